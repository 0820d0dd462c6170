"""`tests/course/run --on-aws`, tried with an emulator in AWS's place: the same code with other credentials, and
what only AWS has replaced in one place, `EmulatedWalk`. Each walk is a process of its own, which reads its answer
from a pipe, and is asked for its exit code. `--all` walks all lessons and not only the shortest.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading

from botocore.exceptions import ClientError

import on_aws
from aws_walk import AwsWalk
from patience import Patience
from redact_check import check_redact
from service import Ministack, Service, at_port, forget_settings
from steps import ON_YOUR_MACHINE, ROOT, steps

ACCOUNT, SECRET = "123456789012", "a-secret-that-nobody-should-read"
LIMIT = 300  # seconds for a walk
STRANGER = "somebody-elses"


class EmulatedWalk(AwsWalk):
    """AWS's endpoint and CA are ministack's; and ministack makes no URL for an upload, so that lesson 7 makes it as
    on one's own machine, after it has made the role as on AWS."""

    role_pause = 0

    def __init__(self, shell, account, *arguments):
        account.known["endpoint"] = f"localhost:{os.environ['CHECK_MQTT']}"  # in the place of AWS's
        super().__init__(shell, account, *arguments)
        self.before = self.all_names()
        self.refusals = int(os.environ.get("CHECK_REFUSALS", 0))
        self.service.iot.meta.events.register("before-call.iot.DeletePolicy", self.refuse)

    def step(self, step):
        if step.heading == "On AWS" and step.file == "README.md":
            mqtt, ca = os.environ["CHECK_MQTT"], os.environ["CHECK_CA"]
            block = f"cp {ca} ca.pem\nENDPOINT=localhost:{mqtt}\nREGION=us-east-1\n"
            step = step._replace(block=step.block.splitlines()[0] + "\n" + block)
        elif step.heading == "On AWS":
            local = next(one for one in steps(step.file, "The lesson") if one.place == ON_YOUR_MACHINE)
            # (It knows one secret, which is not ours: by that it looks at a URL's signature.)
            presign = local.block.replace("URL=$(python", "URL=$(AWS_SECRET_ACCESS_KEY=test python")
            assert presign != local.block
            step = step._replace(block=re.sub(r"(?m)^sleep .*\n", "", step.block) + presign)
        shown = super().step(step)
        # Nothing that the course makes is overlooked by what removes it.
        new, seen = self.all_names() - self.before, {name for names in self.belongings.there().values() for name in names}
        assert new == seen, f"there is {new}, and the clean-up would see {seen}"
        return shown

    def refuse(self, **_):
        """As AWS does for some minutes after a policy was detached; only the removal at the end asks here."""
        if self.refusals > 0:
            self.refusals -= 1
            answer = {"Error": {"Code": "DeleteConflictException", "Message": "The policy is attached."}}
            raise ClientError(answer, "DeletePolicy")

    def all_names(self):
        return {name for names in self.service.everything().values() for name in names if STRANGER not in name}


# An `aws` that stands before the real one: it fails where a check has it fail, and tells that it did.
AWS = """#!{python}
import os, subprocess, sys
command, struck = " ".join(sys.argv[1:]), os.environ["CHECK_FOLDER"] + "/struck"
times = open(struck).read().count("x") if os.path.exists(struck) else 0
if os.environ.get("CHECK_FAULT", "nothing") in command and times < int(os.environ["CHECK_TIMES"]):
    with open(struck, "a") as file:
        file.write("x")
    if "hello-2" in command:  # meanwhile, somebody else goes on with their work
        other = "iot create-job --document {{}} --job-id {stranger}-second --targets " + os.environ["CHECK_STRANGER"]
        subprocess.run([{aws!r}, *other.split()], check=True, stdout=subprocess.DEVNULL)
    sys.exit(f"An error occurred ({{os.environ['CHECK_ERROR']}}) for account {account} with {secret}")
os.execv({aws!r}, [{aws!r}, *sys.argv[1:]])
"""


class Check:
    """An emulator, with what somebody else has there, and walks in it."""

    def __init__(self, folder, ministack):
        self.folder, self.report, self.struck = folder, f"{folder}/on-aws.md", f"{folder}/struck"
        self.service = Service(at_port(ministack.gateway, ACCOUNT))
        iot = self.service.iot
        self.stranger = iot.create_thing(thingName=f"{STRANGER}-thing")["thingArn"]
        iot.create_job(jobId=f"{STRANGER}-job", targets=[self.stranger], document="{}")
        certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        iot.attach_thing_principal(thingName=f"{STRANGER}-thing", principal=certificate)
        self.strangers = self.service.everything()

        bin = os.path.dirname(sys.executable)
        with open(os.open(f"{folder}/aws", os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
            values = {"python": sys.executable, "aws": f"{bin}/aws", "stranger": STRANGER}
            file.write(AWS.format(**values, account=ACCOUNT, secret=SECRET))
        self.environment = os.environ | {
            "PATH": os.pathsep.join([folder, bin, os.environ["PATH"]]),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ministack.gateway}",
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "CHECK_MQTT": str(ministack.mqtt),
            "CHECK_CA": ministack.ca,
            "CHECK_FOLDER": folder,
            "CHECK_REPORT": self.report,
            "CHECK_STRANGER": self.stranger,
        }

    def walk(self, answer, lesson="1", stop_at=None, **settings):
        """Walks, and returns the exit code and what was said. SIGTERM comes as soon as a line has `stop_at`."""
        for name in (self.struck, self.report):
            if os.path.exists(name):
                os.remove(name)
        command = [sys.executable, os.path.abspath(__file__), "--walk", "--lesson", lesson]
        environment = self.environment | {f"CHECK_{name.upper()}": value for name, value in settings.items()}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            timer = threading.Timer(LIMIT, process.kill)
            timer.start()
            try:
                process.stdin.write(answer)
                process.stdin.close()
                said = ""
                for line in process.stdout:
                    said += line
                    if stop_at and stop_at in line:
                        process.terminate()
                        stop_at = None
            finally:
                timer.cancel()
                process.kill()
        assert stop_at is None, f"nothing says {stop_at!r}:\n{said}"
        return process.returncode, said

    def expect_strangers(self, more=()):
        """What somebody else has is there, and nothing else but this."""
        found = self.service.everything()
        assert found == self.strangers | dict(more), f"{found} is there, and should be {self.strangers} and {more}"

    def read_report(self):
        with open(self.report, encoding="utf-8") as file:
            report = file.read()
        endpoint = self.environment["CHECK_MQTT"], self.environment["AWS_ENDPOINT_URL"]
        for secret in (ACCOUNT, SECRET, *endpoint, ROOT, "BEGIN"):
            assert secret not in report, f"{secret} is in the report:\n{report}"
        assert not re.search(r"[0-9a-f]{64}|X-Amz-|arn:aws", report), report
        return report


def no_creates_nothing(check):
    for answer in ("no\n", "y\n", "YES\n", ""):
        code, said = check.walk(answer)
        assert code == 2 and "Nothing was created." in said, said
        assert "********9012, Region us-east-1" in said and ACCOUNT not in said, said
        check.expect_strangers()
    assert not os.path.exists(check.report)


def what_is_there_is_not_touched(check):
    iot = check.service.iot
    iot.create_thing(thingName="my-first-thing", attributePayload={"attributes": {"of": "somebody"}})
    iot.create_job(jobId="too-slow", targets=[check.stranger], document="{}")
    before = check.service.everything()
    code, said = check.walk("yes\n")
    assert code == 2 and "exist already" in said and "job too-slow, thing my-first-thing" in said, said
    assert check.service.everything() == before
    assert iot.describe_thing(thingName="my-first-thing")["attributes"] == {"of": "somebody"}
    iot.delete_thing(thingName="my-first-thing")
    iot.delete_job(jobId="too-slow", force=True)


def a_whole_walk(check, lesson):
    """The lesson's own `delete-policy` is refused twice, and typed again."""
    refused = {"fault": "iot delete-policy ", "times": "2", "error": "DeleteConflictException"}
    code, said = check.walk("yes\n", lesson, **refused)
    assert code == 0, said
    assert os.path.getsize(check.struck) == 2
    check.expect_strangers()
    report = check.read_report()
    assert "| outcome | each step went as its lesson says |" in report, report
    assert "| left in the account | nothing |" in report and "What failed" not in report, report
    differs = report.split("## What differed")[1].split("##")[0]
    assert differs.count("\n* ") == 1 and "at try 3" in differs and "DeleteConflictException" in differs, report
    for seen in ("7-logs.md", "`SUCCEEDED`", "API: hello-2 on my-first-thing", "us-east-1", "aws-cli/"):
        assert seen in report, f"{seen} is not in the report:\n{report}"


def a_step_fails(check):
    """While a device runs; and at first, the policy can't be removed."""
    fault = {"fault": "--job-id hello-2 ", "times": "1", "error": "InvalidNonsense", "refusals": "2"}
    code, said = check.walk("yes\n", **fault)
    assert code == 1 and os.path.exists(check.struck) and "Nothing is left." in said, said
    jobs = sorted([f"{STRANGER}-second", f"{STRANGER}-job"])
    found = check.service.everything()
    found["jobs"].sort()
    assert found == check.strangers | {"jobs": jobs}, found
    check.service.iot.delete_job(jobId=f"{STRANGER}-second", force=True)
    report = check.read_report()
    assert "InvalidNonsense" in report.split("## What failed")[1], report
    assert "the removal of policy jobs-mqtt5-policy: at try 3" in report, report


def stopped_and_something_stays(check):
    """SIGTERM while a job is worked on; and the policy can't be removed at all: the rest is."""
    code, said = check.walk("yes\n", stop_at="Starting local work on job", refusals="1000000")
    assert code == 1 and "please remove it yourself: policy jobs-mqtt5-policy\n" in said, said
    check.expect_strangers({"policies": ["jobs-mqtt5-policy"]})
    assert "It was stopped: SIGTERM" in said, said
    assert "| left in the account | policy jobs-mqtt5-policy |" in check.read_report()
    check.service.iot.delete_policy(policyName="jobs-mqtt5-policy")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--all", action="store_true", help="all lessons but 0, which ministack has not; CI has 1, 5 and 7")
    arguments.add_argument("--walk", action="store_true", help=argparse.SUPPRESS)  # as `tests/course/run --on-aws`
    arguments.add_argument("--lesson", help=argparse.SUPPRESS)
    arguments.add_argument("--shell", default="bash", help=argparse.SUPPRESS)
    flags = arguments.parse_args()
    if flags.walk:
        limit = 2 if int(os.environ.get("CHECK_REFUSALS", 0)) > 10 else 30
        return on_aws.main(flags, EmulatedWalk, Patience(limit, pause=0.2), os.environ["CHECK_REPORT"])

    forget_settings()
    check_redact()
    print("what a report must not have is taken out: ok", flush=True)
    with tempfile.TemporaryDirectory(prefix="jobs-mqtt5-on-aws-") as folder, Ministack(folder) as ministack:
        check = Check(folder, ministack)
        checks = [no_creates_nothing, what_is_there_is_not_touched, a_step_fails, stopped_and_something_stays]
        for one in checks:
            one(check)
            print(f"{one.__name__.replace('_', ' ')}: ok", flush=True)
        a_whole_walk(check, "[1-9]" if flags.all else "[57]")
        print("a whole walk: ok", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
