"""The course in a real account, for whoever has one: asks before it creates anything, removes what it has made
whatever happens, and writes a report that is fit to be published. Exit codes: 0 if all went well and nothing is
left, 1 if not, 2 if nothing was begun.
"""

import email.utils
import os
import re
import signal
import subprocess
import sys

import botocore.config
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from aws_walk import AwsWalk
from belongings import BUCKETS, CERTIFICATE_FILES, GROUPS, JOBS, POLICIES, ROLES, TEMPLATES, THINGS, Belongings, list_of
from patience import Patience
from report import Report
from service import Service
from steps import ROOT, lessons, steps
from terminal import Failed
from walk import files, refuse_files_in_the_way, remove_files

REPORT = os.path.join(ROOT, "target", "course", "on-aws.md")
QUESTION = 'Go on? Only "yes" does: '


class Account:
    """Where the reader's own settings lead, for the AWS CLI and for the walker's second pair of eyes."""

    def __init__(self, environment):
        # What comes with the course stands last: the reader's own `aws` is the one that is tried.
        path = environment.get("PATH", "") + os.pathsep + os.path.dirname(sys.executable)
        self.environment = environment | {"PATH": path, "AWS_PAGER": ""}
        command = "aws iot describe-endpoint --endpoint-type iot:Data-ATS --query endpointAddress --output text".split()
        asked = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        if asked.returncode != 0:
            raise Failed(f"`{' '.join(command)}` ends with {asked.returncode}: {asked.stderr.strip()}")
        self.endpoint = asked.stdout.strip()
        self.region = self.endpoint.split(".")[2]

        session = botocore.session.Session()
        config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 5})
        self.client = lambda name: session.create_client(name, region_name=self.region, config=config)
        self.service = Service(self.client)
        answer = self.service.iot.describe_endpoint(endpointType="iot:Data-ATS")
        if answer["endpointAddress"] != self.endpoint:
            raise Failed("the AWS CLI and botocore do not reach the same account with your settings")
        # The service's own time: this machine's may be wrong.
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        self.started = email.utils.parsedate_to_datetime(date)
        self.id = self.client("sts").get_caller_identity()["Account"]
        keys = session.get_credentials().get_frozen_credentials()
        self.known = {"account": self.id, "endpoint": self.endpoint, "access key": keys.access_key}
        self.known |= {"secret key": keys.secret_key, "session token": keys.token}
        self.known |= {"folder": ROOT, "home": os.path.expanduser("~")}

    def masked(self, text):
        return text.replace(self.id, "*" * 8 + self.id[-4:])


class Signals:
    """Ctrl-C and its like end the walk. Once it has ended, they are put off: first, all is removed."""

    def __init__(self):
        self.are_put_off = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.came)

    def came(self, number, _):
        if self.are_put_off:
            say("   [what the course has made is being removed: that is brought to its end]")
            return
        self.are_put_off = True
        raise KeyboardInterrupt(signal.Signals(number).name)

    def put_off(self):
        self.are_put_off = True


def say(text):
    try:
        print(text, flush=True)
    except OSError:  # the terminal is closed, which is no reason to leave anything behind
        sys.stdout = open(os.devnull, "w")


def ask(account, others, with_storage):
    names = [f"the things {', '.join(THINGS)}", f"the groups {', '.join(GROUPS)}"]
    names += [f"the policies {', '.join(POLICIES)}", f"the provisioning template {TEMPLATES[0]}"]
    names += [f"{len(CERTIFICATE_FILES)} certificates", f"the jobs {', '.join(JOBS)}"]
    if with_storage:
        buckets = [name.format(account=account.id, region=account.region) for name in BUCKETS]
        names += [f"the roles {', '.join(ROLES)}", f"the buckets {', '.join(buckets)}"]
    walked = ", ".join(["lesson 1", *(os.path.basename(file) for file in others)])
    say(account.masked(f"This walks through {walked},\nin the AWS account {account.id}, Region {account.region}."))
    say("It creates there, as far as these lessons do, and removes in the end, whatever happens:")
    for name in names:
        say(account.masked(f"   {name}"))
    say("It costs a few cents at most.")
    try:
        return input(QUESTION) == "yes"
    except EOFError:
        return False


def begin(account, with_storage):
    """What the course will make; nothing of it may be there."""
    belongings = Belongings(account.service, account.id, account.region, account.started, with_storage)
    there = belongings.in_the_way()
    if there:
        names = account.masked(", ".join(there))
        raise Failed(f"these exist already, and may be yours: {names}. The course makes its own by these names.")
    return belongings


def clean_up(walker, belongings, report):
    """Removes what is there, and returns what is left."""
    say("\n### What the course has made is removed")
    walker.cloud.finish()  # a request on its way may still create something
    walker.close()
    reasons = belongings.remove(walker.patience, report.differs)
    for reason in reasons:
        say(f"   not removed: {reason}")
        report.differs(f"not removed: {reason}")
    try:
        return list_of(belongings.there())
    except (ClientError, BotoCoreError) as error:
        return [*reasons, f"perhaps more, since nobody can look: {error}"]


def walk(walker, belongings, others, report):
    """Walks, and removes what was made. Returns the exit code."""
    before, failure, signals = files(), None, Signals()
    try:
        try:
            walker.walk_course(others)
            walker.expect_whole(others)
        finally:
            signals.put_off()
    except KeyboardInterrupt as stopped:
        failure = f"It was stopped: {stopped}"
    except Exception as error:  # whatever it is, what was made is removed
        failure = f"{'' if isinstance(error, Failed) else type(error).__name__ + ': '}{error}"
    left = clean_up(walker, belongings, report)
    left_files = remove_files(before)
    if left_files and not failure:
        failure = f"the clean-up left these files: {', '.join(left_files)}"
    say(f"\nThe course fails. {failure}" if failure else f"\nThe course is as its lessons say: {walker.blocks} blocks.")
    say(f"This is left in the account; please remove it yourself: {', '.join(left)}" if left else "Nothing is left.")
    report.failure, report.left = failure, left
    report.outcome = "a step failed, or it was stopped" if failure else "each step went as its lesson says"
    report.write()
    say(f"The report is in {os.path.relpath(report.path, ROOT)}. Read it, and send it as an issue if you like.")
    return 1 if failure or left else 0


def main(flags, walk_type=AwsWalk, patience=None, report_path=REPORT):
    try:
        refuse_files_in_the_way()
        others = lessons(flags.lesson)
        all_steps = [step for file in others for step in steps(file, "The lesson")]
        with_storage = any(re.search("aws (s3|iam) ", step.block or "") for step in all_steps)
        account = Account(dict(os.environ))
        begin(account, with_storage)
        if not ask(account, others, with_storage):
            say("Nothing was created.")
            return 2
        belongings = begin(account, with_storage)  # again: the answer may have come hours later
    except (Failed, ClientError, BotoCoreError, OSError, subprocess.TimeoutExpired) as error:
        say(f"The course does not begin: {error}")
        return 2
    except KeyboardInterrupt:
        say("\nNothing was created.")
        return 2
    report = Report(report_path, account, flags.shell)
    walker = walk_type(flags.shell, account, belongings, patience or Patience(), report)
    return walk(walker, belongings, others, report)
