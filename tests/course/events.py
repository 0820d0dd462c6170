"""The program against a service that no one here wrote, with more at once than a course has.

Each check has a thing, a certificate and a run of the program of its own, and asks the service's API what
became of the jobs. Everything is waited for by what the program says, with a limit.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

from service import Ministack, Service, at_port, forget_settings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ACCOUNT, REGION = "000000000000", "us-east-1"
LIMIT = 60  # seconds, for whatever is waited for
IDLE = "there are no jobs to be done"
EMPTY = "Received Next Job Execution Changed event: None"


class Device:
    """A thing with a certificate and the course's policy, and the program that runs as it."""

    def __init__(self, service, ministack, folder, name):
        self.service, self.name, self.folder = service, name, os.path.join(folder, name)
        os.mkdir(self.folder)
        self.arn = service.iot.create_thing(thingName=name)["thingArn"]
        made = service.iot.create_keys_and_certificate(setAsActive=True)
        with open(os.path.join(ROOT, "policy.json")) as file:
            policy = file.read()
        for placeholder, value in (("<region>", REGION), ("<account>", ACCOUNT), ("<thingname>", name)):
            policy = policy.replace(placeholder, value)
        service.iot.create_policy(policyName=f"of-{name}", policyDocument=policy)
        service.iot.attach_policy(policyName=f"of-{name}", target=made["certificateArn"])
        service.iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        self.command = [os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "jobs-mqtt5")]
        for flag, value in (
            ("endpoint", "localhost"),
            ("port", str(ministack.mqtt)),
            ("thing_name", name),
            ("cert", self.keep("cert.pem", made["certificatePem"])),
            ("key", self.keep("key.pem", made["keyPair"]["PrivateKey"])),
            ("ca_file", ministack.ca),
        ):
            self.command += [f"--{flag}", value]

    def keep(self, name, text):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
        return path

    def create(self, job, document=None):
        document = json.dumps(document or {"operation": "greet"})
        self.service.iot.create_job(jobId=job, targets=[self.arn], document=document)

    def status(self, job):
        return self.service.status(job, self.name)

    @contextlib.contextmanager
    def running(self, job_time):
        """The program, until the `with` ends; then it is sent SIGINT, and has to end with 0."""
        command = [*self.command, "--job_time", str(job_time)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        program = Program(process)
        try:
            yield program
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
            assert code == 0, f"the program ends with {code}:\n{program.text()}"
        finally:
            process.kill()
            process.wait()
            program.reader.join()


class Program:
    """What a running program says."""

    def __init__(self, process):
        self.lines, self.news = [], threading.Condition()
        self.reader = threading.Thread(target=self.read, args=[process.stdout], daemon=True)
        self.reader.start()

    def read(self, pipe):
        for line in pipe:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()

    def text(self):
        return "\n".join(self.lines)

    def count(self, words):
        return sum(words in line for line in self.lines)

    def wait_for(self, words, times=1, limit=LIMIT):
        with self.news:
            came = self.news.wait_for(lambda: self.count(words) >= times, limit)
        assert came, f"waited {limit} s for {words!r} ({times} times); this came:\n{self.text()}"


def jobs_while_it_is_idle(device):
    """Three jobs, each created while the device has nothing to do: each is announced, none is asked for."""
    with device.running(job_time=0) as program:
        program.wait_for(IDLE)
        for number in range(1, 4):
            device.create(f"idle-{number}")
            program.wait_for(IDLE, times=number + 1)
            assert device.status(f"idle-{number}") == "SUCCEEDED"
        for number in range(1, 4):
            assert program.count(f"Received Next Job Execution Changed event. job_id:idle-{number}") == 1


def a_burst_of_a_hundred_jobs(device):
    """Created as fast as the API takes them, while the device works: each is done once, in their order."""
    jobs = [f"burst-{number:03}" for number in range(100)]
    with device.running(job_time=0) as program:
        program.wait_for(IDLE)
        for job in jobs:
            device.create(job)
        program.wait_for("Request to update job was accepted.", times=100, limit=180)
        program.wait_for(IDLE, times=2)
        started = [
            line.split("job_id:")[1].split()[0]
            for line in program.lines
            if line.startswith("Request to start next job was accepted. job_id:")
        ]
        assert started == jobs, f"started in this order: {started}"
    for job in jobs:
        execution = device.service.execution(job, device.name)
        assert (execution["status"], execution["versionNumber"]) == ("SUCCEEDED", 3), execution


def canceled_by_force(device):
    """A job that is canceled while it is worked on stays CANCELED, and the next one is done."""
    with device.running(job_time=8) as program:
        program.wait_for(IDLE)
        device.create("cancel-me")
        program.wait_for("Starting local work on job")
        assert device.status("cancel-me") == "IN_PROGRESS"
        device.service.iot.cancel_job(jobId="cancel-me", force=True)
        program.wait_for(EMPTY)
        device.create("after-it")
        program.wait_for("job_id:after-it")
        program.wait_for("Request to update job was accepted.")
    assert device.status("cancel-me") == "CANCELED"
    assert device.status("after-it") == "SUCCEEDED"


def canceled_one_by_one_in_the_queue(device):
    """Of jobs that wait, one is canceled and one is deleted: the device never sees them."""
    with device.running(job_time=4) as program:
        program.wait_for(IDLE)
        for job in ("first", "canceled", "deleted", "last"):
            device.create(job)
        program.wait_for("Starting local work on job")
        device.service.iot.cancel_job(jobId="canceled")
        device.service.iot.delete_job(jobId="deleted", force=True)
        program.wait_for("Request to update job was accepted.", times=2)
        program.wait_for(IDLE, times=2)
        assert program.count("Request to start next job was accepted. job_id:") == 2, program.text()
    assert [device.status(job) for job in ("first", "canceled", "last")] == ["SUCCEEDED", "CANCELED", "SUCCEEDED"]


def two_things_at_once(first, second):
    """One job for two things: each device does its own execution, and hears nothing of the other's."""
    with first.running(job_time=1) as one, second.running(job_time=1) as other:
        one.wait_for(IDLE)
        other.wait_for(IDLE)
        document = json.dumps({"operation": "greet"})
        first.service.iot.create_job(jobId="both", targets=[first.arn, second.arn], document=document)
        first.create("first-only")
        one.wait_for("Request to update job was accepted.", times=2)
        other.wait_for("Request to update job was accepted.")
        one.wait_for(IDLE, times=2)
        other.wait_for(IDLE, times=2)
        assert other.count("first-only") == 0, other.text()
    assert [first.status("both"), second.status("both"), first.status("first-only")] == ["SUCCEEDED"] * 3
    assert first.service.iot.describe_job(jobId="both")["job"]["status"] == "COMPLETED"


def what_the_policy_does_not_allow(device):
    """The service enforces the policy, and the program ends with the action and the resource that are missing."""
    with open(os.path.join(ROOT, "policy.json")) as file:
        policy = file.read().replace("<region>", REGION).replace("<account>", ACCOUNT)
    for thing, client, missing in (
        (device.name, "test-*", None),
        ("another-thing", "test-*", ("iot:Subscribe", "iot:Publish")),  # both leave together
        (device.name, "another-*", ("iot:Connect",)),
    ):
        document = policy.replace("<thingname>", thing).replace("test-*", client)
        versions = device.service.iot.list_policy_versions(policyName=f"of-{device.name}")["policyVersions"]
        for version in versions:
            if not version["isDefaultVersion"]:
                device.service.iot.delete_policy_version(
                    policyName=f"of-{device.name}", policyVersionId=version["versionId"]
                )
        device.service.iot.create_policy_version(
            policyName=f"of-{device.name}", policyDocument=document, setAsDefault=True
        )
        if missing is None:
            with device.running(job_time=0) as program:
                program.wait_for(IDLE)
            continue
        ended = subprocess.run(device.command, capture_output=True, text=True, timeout=LIMIT)
        assert ended.returncode == 1, ended
        assert "0x87 (not authorized)" in ended.stderr, ended.stderr
        assert any(action in ended.stderr for action in missing), ended.stderr


def documents_of_every_kind(device):
    """What a job document may hold comes through to the device, and each of them is done."""
    documents = {
        "nothing": {},
        "unicode": {"operation": "Grüße, 世界 🚀", "null": None, "deep": [[[[{"a": [1.5, -2e10, True]}]]]]},
        "escapes": {"text": "line\nfeed \"quoted\" \\ \u0001"},
        "large": {"filler": "x" * 32_000},
    }
    with device.running(job_time=0) as program:
        program.wait_for(IDLE)
        for job, document in documents.items():
            device.create(job, document or {"a": None})
        program.wait_for("Request to update job was accepted.", times=len(documents))
        program.wait_for("世界 🚀")
    assert [device.status(job) for job in documents] == ["SUCCEEDED"] * len(documents)


CHECKS = [
    (jobs_while_it_is_idle, 1),
    (a_burst_of_a_hundred_jobs, 1),
    (canceled_by_force, 1),
    (canceled_one_by_one_in_the_queue, 1),
    (two_things_at_once, 2),
    (documents_of_every_kind, 1),
    (what_the_policy_does_not_allow, 1),
]


def main():
    forget_settings()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="jobs-mqtt5-events-") as folder, Ministack(folder) as ministack:
        service = Service(at_port(ministack.gateway))
        for check, things in CHECKS:
            name = check.__name__
            devices = [Device(service, ministack, folder, f"{name}-{one}") for one in range(things)]
            try:
                check(*devices)
                print(f"{name.replace('_', ' ')}: ok", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name.replace('_', ' ')}: FAILED: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
