"""The service as its API tells it: what is there, and what became of a job."""

import os
import socket
import subprocess
import sys
import time

# Whoever runs this may have settings for the AWS CLI: they are neither used nor touched.
for setting in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[setting]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))

import botocore.config
import botocore.session


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def is_open(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


class Service:
    """Asks the service at a port of this machine."""

    def __init__(self, port):
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        config = botocore.config.Config(retries={"max_attempts": 1})

        def client(name):
            return session.create_client(
                name, region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}", config=config
            )

        self.iot, self.s3, self.iam = client("iot"), client("s3"), client("iam")

    def execution(self, job, thing="my-first-thing"):
        return self.iot.describe_job_execution(jobId=job, thingName=thing)["execution"]

    def status(self, job, thing="my-first-thing"):
        return self.execution(job, thing)["status"]

    def everything(self):
        """All that a course can leave behind, by kind."""
        iot = self.iot
        return {
            "things": [thing["thingName"] for thing in iot.list_things()["things"]],
            "thing groups": [group["groupName"] for group in iot.list_thing_groups()["thingGroups"]],
            "certificates": [one["certificateId"] for one in iot.list_certificates()["certificates"]],
            "policies": [policy["policyName"] for policy in iot.list_policies()["policies"]],
            "jobs": [job["jobId"] for job in iot.list_jobs()["jobs"]],
            "buckets": [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]],
            "roles": [role["RoleName"] for role in self.iam.list_roles()["Roles"]],
        }


class Ministack:
    """A ministack of its own, for as long as a `with` lasts."""

    def __init__(self, folder, auth=True):
        self.auth = auth
        self.gateway, self.mqtt = free_ports(2)
        self.log = os.path.join(folder, "ministack.log")
        self.folder = folder

    def __enter__(self):
        environment = os.environ | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.gateway),
            "IOT_MTLS_PORT": str(self.mqtt),
            "AUTH": "true" if self.auth else "false",
            "TMPDIR": self.folder,
        }
        with open(self.log, "w") as log:
            command = [sys.executable, "-m", "ministack"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not (is_open(self.gateway) and is_open(self.mqtt)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                with open(self.log) as log:
                    raise RuntimeError(f"ministack does not come up:\n{log.read()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
