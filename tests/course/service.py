"""The service as its API tells it: what is there, and what became of a job."""

import functools
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import botocore.config
import botocore.session


def forget_settings():
    """Whoever runs this may have settings for the AWS CLI: they are neither used nor touched."""
    for setting in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[setting]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))


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


def why_not_ministack(port, ca_file):
    """Why what listens on the port is not the ministack with this CA, in a sentence; None if it is. Ministack
    goes on without MQTT if its port is taken, and then somebody else answers there, or nobody."""
    trust = ssl.create_default_context(cafile=ca_file)
    what_to_do = "End what has the port (its log in target/course names the reason), or set IOT_MTLS_PORT to another."
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            trust.wrap_socket(plain, server_hostname="localhost").close()
    except ConnectionRefusedError:
        return f"Nothing listens on port {port}, where ministack should take MQTT. {what_to_do}"
    except OSError as error:  # of TLS as well
        return f"Port {port}, where ministack should take MQTT, is used by another program ({error}). {what_to_do}"
    return None


def at_port(port, account="test"):
    """Makes clients for what listens at a port of this machine."""
    session = botocore.session.Session()
    session.set_credentials(account, "test")
    config = botocore.config.Config(retries={"max_attempts": 1})
    return functools.partial(
        session.create_client, region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}", config=config
    )


class Service:
    """Asks the service, with clients from `client(NAME)`."""

    def __init__(self, client):
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
        self.ca = os.path.join(self.folder, "ca.pem")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway}/_ministack/iot/ca.pem", timeout=20) as ca:
            with open(self.ca, "wb") as file:
                file.write(ca.read())
        reason = why_not_ministack(self.mqtt, self.ca)
        if reason:
            self.__exit__()
            raise RuntimeError(reason)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
