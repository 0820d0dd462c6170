"""What the course makes in an account: its names, what of it is there, and how it is taken away again.

Only what has one of these names is ever looked at, and what hangs on it. Before the course, none of it is
there, or it does not begin; so what is there afterwards is its own.
"""

import hashlib
import os
import ssl

from botocore.exceptions import BotoCoreError, ClientError

from patience import may_pass
from steps import ROOT

THINGS = ["my-first-thing", "my-second-thing", "my-new-thing"]
GROUPS = ["my-things", "jobs-mqtt5-first-day"]
TEMPLATES = ["jobs-mqtt5-first-day"]
POLICIES = ["jobs-mqtt5-policy", "jobs-mqtt5-first-day", "jobs-mqtt5-claim"]
ROLES = ["jobs-mqtt5-firmware-reader", "jobs-mqtt5-log-writer", "jobs-mqtt5-provisioner"]
BUCKETS = ["jobs-mqtt5-{account}-{region}", "jobs-mqtt5-{account}-{region}-logs"]
JOBS = ["hello-1", "hello-2", "cancel-me", "too-slow", "firmware-1-4-2", "firmware-1-4-3", "firmware-1-4-4"]
JOBS += ["firmware-1-4-0", "reboot-all", "new-key", "new-certificate", "send-log"]
JOBS += ["start-sensors", "start-sshd", "run-command", "restart", "first-job", "by-token"]
CERTIFICATE_FILES = ["device.pem.crt", "new.pem.crt", "claim/claim.pem.crt", "identity/current.pem"]
CERTIFICATE_FILES += ["token/device.pem.crt"]

GONE = ("ResourceNotFoundException", "NoSuchEntity", "NoSuchBucket")


class Belongings:
    def __init__(self, service, account, region, started, with_storage):
        """`started`: the service's time before the course; `with_storage`: whether it makes buckets and roles."""
        self.service, self.iot, self.started = service, service.iot, started
        self.buckets = [name.format(account=account, region=region) for name in BUCKETS]
        jobs = self.all_jobs()
        self.jobs_before = set(jobs)
        # In the order in which they can be removed: what hangs on something goes before it.
        self.kinds = {
            "job": (self.jobs, self.remove_job),
            "provisioning template": (self.templates, self.remove_template),
            "certificate": (self.certificates, self.remove_certificate),
            "policy": (self.policies, self.remove_policy),
            "thing": (self.things, self.remove_thing),
            "thing group": (self.groups, self.remove_group),
        }
        if with_storage:
            self.kinds |= {"role": (self.roles, self.remove_role), "bucket": (self.own_buckets, self.remove_bucket)}

    # What is there.

    def in_the_way(self):
        """What was there before the course and has one of its names."""
        return [f"job {name}" for name in JOBS if name in self.jobs_before] + list_of(self.there())

    def there(self):
        """The names of what is there, by kind."""
        return {kind: look() for kind, (look, _) in self.kinds.items()}

    def all_jobs(self):
        """All jobs of the account, with their status."""
        pages = self.iot.get_paginator("list_jobs").paginate()
        return {job["jobId"]: job["status"] for page in pages for job in page["jobs"]}

    def jobs(self):
        """Jobs that are new, and only for the course's things."""
        jobs = self.all_jobs().items()
        new = [job for job, status in jobs if job not in self.jobs_before and status != "DELETION_IN_PROGRESS"]
        return sorted(job for job in new if self.is_ours(job))

    def is_ours(self, job):
        ours = [f"thing/{name}" for name in THINGS] + [f"thinggroup/{name}" for name in GROUPS]
        found = if_there(self.iot.describe_job, jobId=job)
        return found is not None and all(arn.split(":")[-1] in ours for arn in found["job"]["targets"])

    def certificates(self):
        """Certificates that are new, and hang on the course's thing or policy or are in its files."""
        ids = {certificate_id(os.path.join(ROOT, name)) for name in CERTIFICATE_FILES} - {None}
        for kind, name in [("thing", one) for one in THINGS] + [("policy", one) for one in POLICIES]:
            ids |= {arn.split("/")[-1] for arn in self.attached_to(kind, name) if ":cert/" in arn}
        return sorted(filter(self.is_new_certificate, ids))

    def is_new_certificate(self, certificate):
        found = if_there(self.iot.describe_certificate, certificateId=certificate)
        return found is not None and found["certificateDescription"]["creationDate"] >= self.started

    def attached_to(self, kind, name):
        """The ARNs of the certificates at a thing or a policy."""
        if kind == "thing":
            return (if_there(self.iot.list_thing_principals, thingName=name) or {}).get("principals", [])
        return (if_there(self.iot.list_targets_for_policy, policyName=name) or {}).get("targets", [])

    def templates(self):
        return [name for name in TEMPLATES if if_there(self.iot.describe_provisioning_template, templateName=name)]

    def policies(self):
        return [name for name in POLICIES if if_there(self.iot.get_policy, policyName=name)]

    def things(self):
        return [name for name in THINGS if if_there(self.iot.describe_thing, thingName=name)]

    def groups(self):
        return [name for name in GROUPS if if_there(self.iot.describe_thing_group, thingGroupName=name)]

    def roles(self):
        return [name for name in ROLES if if_there(self.service.iam.get_role, RoleName=name)]

    def own_buckets(self):
        names = {bucket["Name"] for bucket in self.service.s3.list_buckets()["Buckets"]}
        return [name for name in self.buckets if name in names]

    # How it is removed.

    def remove(self, patience, told):
        """Removes all that is there. Returns what is left, with the reason."""
        left = []
        for kind, (look, remove) in self.kinds.items():
            try:
                for name in patience(f"the look for each {kind}", look, may_pass, told):
                    reason = self.remove_one(kind, name, remove, patience, told)
                    left += [f"{kind} {name}: {reason}"] if reason else []
            except (ClientError, BotoCoreError) as error:
                left.append(f"perhaps a {kind}, since nobody can look: {error}")
        return left

    def remove_one(self, kind, name, remove, patience, told):
        """Removes this. Returns the reason if it can't be."""
        try:
            patience(f"the removal of {kind} {name}", lambda: if_there(remove, name), may_pass, told)
        except (ClientError, BotoCoreError) as error:
            return str(error)
        print(f"   removed: {kind} {name}", flush=True)
        return None

    def remove_job(self, name):
        self.iot.delete_job(jobId=name, force=True)  # with its executions

    def remove_template(self, name):
        self.iot.delete_provisioning_template(templateName=name)

    def remove_certificate(self, name):
        self.iot.update_certificate(certificateId=name, newStatus="INACTIVE")
        arn = self.iot.describe_certificate(certificateId=name)["certificateDescription"]["certificateArn"]
        for thing in self.iot.list_principal_things(principal=arn)["things"]:
            self.iot.detach_thing_principal(thingName=thing, principal=arn)
        for policy in self.iot.list_attached_policies(target=arn)["policies"]:
            self.iot.detach_policy(policyName=policy["policyName"], target=arn)
        self.iot.delete_certificate(certificateId=name)

    def remove_policy(self, name):
        for arn in self.attached_to("policy", name):
            self.iot.detach_policy(policyName=name, target=arn)
        for version in self.iot.list_policy_versions(policyName=name)["policyVersions"]:
            if not version["isDefaultVersion"]:
                self.iot.delete_policy_version(policyName=name, policyVersionId=version["versionId"])
        self.iot.delete_policy(policyName=name)

    def remove_thing(self, name):
        for arn in self.attached_to("thing", name):
            self.iot.detach_thing_principal(thingName=name, principal=arn)
        self.iot.delete_thing(thingName=name)

    def remove_group(self, name):
        self.iot.delete_thing_group(thingGroupName=name)

    def remove_role(self, name):
        iam = self.service.iam
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)

    def remove_bucket(self, name):
        s3 = self.service.s3
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
        s3.delete_bucket(Bucket=name)


def list_of(there):
    return [f"{kind} {name}" for kind, names in there.items() for name in names]


def if_there(request, *names, **parameters):
    """What the request is answered; None if what it asks for does not exist."""
    try:
        return request(*names, **parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return None
        raise


def certificate_id(path):
    """AWS IoT's ID of the certificate in a file, which is its SHA-256; None without such a file."""
    try:
        with open(path, encoding="ascii") as file:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
    except (OSError, ValueError):
        return None
