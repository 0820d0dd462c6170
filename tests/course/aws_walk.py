"""A reader who walks through the course on AWS, and waits where the lessons say that AWS takes its time."""

import contextlib
import re
import time

from patience import PASSES, may_pass
from steps import ON_AWS, read_comment
from terminal import Ended, Failed, Terminal
from walk import Walk

IDLE = "there are no jobs to be done"
ROLE_PAUSE = 15  # seconds until AWS IoT can assume a new role; lesson 7 waits as long, lesson 3 says "some"


class CloudTerminal(Terminal):
    """Types a command again if the service refuses it for now: on `DeleteConflictException`, says the clean-up,
    wait and repeat that line."""

    patience = told = None
    typed = ()  # the lines of the command that is being typed, or that runs

    def type(self, line):
        self.typed = [*self.typed, line]
        first = super().type(line)
        if first[1] is None:  # the command goes on
            return first
        command, results = self.typed, iter([first])

        def once():
            result = next(results, None) or self.type_all(command)
            if result[1] != 0 and PASSES.search(result[0]):
                raise Failed(result[0])
            self.typed = ()
            return result

        return self.patience(f"`{command[0]}`", once, lambda error: True, self.told)

    def type_all(self, lines):
        return [super(CloudTerminal, self).type(line) for line in lines][-1]

    def finish(self, limit=30):
        """Waits for the end of a command that was left running."""
        if self.typed:
            with contextlib.suppress(Failed):
                self.wait_for_prompt(limit)


class AwsWalk(Walk):
    place = ON_AWS
    cloud_terminal = CloudTerminal
    role_pause = ROLE_PAUSE

    def __init__(self, shell, account, belongings, patience, report):
        device = {name: value for name, value in account.environment.items() if not name.startswith("AWS_")}
        super().__init__(shell, account.service, account.environment, device)
        self.belongings, self.patience, self.report = belongings, patience, report
        self.cloud.patience, self.cloud.told = patience, report.differs
        self.after[("README.md", "The clean-up")] = self.is_gone
        self.after = {key: self.patient(key[1], check) for key, check in self.after.items()}

    def patient(self, heading, check):
        """What must hold comes about after a while."""
        return lambda: self.patience(f"the check after {heading!r}", check, lambda error: True, self.report.differs)

    # One step.

    def step(self, step):
        began, result, shown = time.monotonic(), "failed", ""
        try:
            shown = super().step(step)
            if "put-role-policy" in (step.block or "") and "sleep" not in step.block:
                time.sleep(self.role_pause)  # nothing tells when it can be assumed
            result = "ok"
            return shown
        finally:
            what = step.comment or (step.block or "").splitlines()[0]
            row = (f"{step.file}, {step.heading}", f"`{what}`", came(step, shown), result)
            self.report.steps.append((*row, round(time.monotonic() - began, 1)))

    def start(self, block, line):
        """A policy that was attached a moment ago may not be in force yet."""

        def refused(error):
            return isinstance(error, Ended) and re.search("not authorized|certificate", error.shown) is not None

        def once():
            return super(AwsWalk, self).start(block, line)

        return self.patience(f"the device's {line!r}", once, refused, self.report.differs)

    def run_to_end(self, block, code, words):
        """A policy that allows no longer may still be in force: then the program is let in, and goes on."""

        def once():
            try:
                self.device.paste(block, until=IDLE)
            except Ended as ended:
                if ended.code != code or words not in ended.shown:
                    raise
                return ended.shown
            self.press_ctrl_c()
            raise Failed(f"the device is let in, and should say {words!r}")

        def is_let_in(error):
            return not isinstance(error, Ended)

        return self.patience(f"the device's {words!r}", once, is_let_in, self.report.differs)

    def paste_and_look(self, block, line):
        """What is printed may be some time behind; a pause in the block is made once."""
        blocks = iter([block])
        again = "\n".join(one for one in block.splitlines() if not one.startswith("sleep "))

        def once():
            return super(AwsWalk, self).paste_and_look(next(blocks, again), line)

        return self.patience(f"the print of {line!r}", once, lambda error: True, self.report.differs)

    # What the service's API says.

    def expect(self, what, found, expected):
        super().expect(what, found, expected)
        self.report.steps.append(("", f"API: {what}", found, "ok", ""))

    def everything(self):
        return self.patience("a look at what is there", self.belongings.there, may_pass, self.report.differs)

    def everything_again(self, before):
        def once():
            there = self.everything()
            if there != before:
                raise Failed(f"there is {there}, and there was {before}")
            return there

        with contextlib.suppress(Failed):
            return self.patience("what is there after the lesson", once, lambda error: True, self.report.differs)
        return self.everything()

    def is_gone(self):
        self.expect("what is left", {kind: names for kind, names in self.everything().items() if names}, {})


def came(step, shown):
    """The line that a step was waiting for."""
    kind, values = read_comment(step.comment, step.block)
    words = {"until": 0, "says": 0, "prints": 0, "exits": 1}.get(kind)
    lines = [line for line in shown.splitlines() if words is not None and values[words] in line]
    return f"`{lines[-1].strip()}`" if lines else ""
