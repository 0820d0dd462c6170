"""AWS takes its time: what is detached, put in force or newly made is known everywhere only after a while."""

import re
import time

from botocore.exceptions import BotoCoreError, ClientError

from terminal import Failed

# What the service answers if the same request may go well a little later. (A role that was made a moment
# ago can't be assumed yet; the words for that are not documented, but all that is known of them has "role".)
PASSES = re.compile(
    r"DeleteConflict|BucketNotEmpty|OperationAborted|still attached|attached to one or more"
    r"|Throttl|TooManyRequests|SlowDown|LimitExceeded|ServiceUnavailable|InternalFailure|InternalError"
    r"|InvalidRequestException.*\b[Rr]ole\b"
)


class Patience:
    """How long something that passes is waited for, and how long between two tries."""

    def __init__(self, limit=360, pause=5):
        self.limit, self.pause = limit, pause

    def __call__(self, what, action, passes, told):
        """Does the action, again if it fails in a way that passes. `told` hears what did not go well at once."""
        began, tries, first = time.monotonic(), 1, None
        while True:
            try:
                result = action()
                break
            except (Failed, ClientError, BotoCoreError) as error:
                first = first or error
                if not passes(error) or time.monotonic() - began > self.limit:
                    raise
                if tries == 1:
                    print(f"   [{what}: not yet; tried again for {self.limit} s at most]", flush=True)
            time.sleep(self.pause)  # nothing tells when it has passed
            tries += 1
        if first:
            seconds = round(time.monotonic() - began)
            told(f"{what}: at try {tries}, after {seconds} s. At first: {last_line(first)}")
        return result


def may_pass(error):
    return isinstance(error, BotoCoreError) or PASSES.search(str(error)) is not None


def last_line(error):
    return (str(error).strip().splitlines() or [""])[-1]
