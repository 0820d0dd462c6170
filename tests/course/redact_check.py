"""What `redact` takes out, and what it leaves."""

from redact import redact

ACCOUNT = "123456789012"
KNOWN = {"account": ACCOUNT, "endpoint": "localhost:12345", "secret key": "hunter/2+hunter", "session token": None}
KEY_LINE = "MIIEowIBAAKCAQEAvK9" + "x3Zt/+aB" * 6

# A text, and what must not be in what becomes of it.
SECRETS = [
    ("in account 123456789012.", ["123456789012"]),
    ("another: 210987654321, or 2109-8765-4321", ["210987654321", "2109-8765-4321"]),
    ("the bucket jobs-mqtt5-123456789012-eu-west-1", [ACCOUNT]),
    ("arn:aws:iot:eu-west-1:123456789012:cert/" + "0a" * 32, [ACCOUNT, "0a0a"]),
    ("arn:aws:sts::210987654321:assumed-role/Admin/jane.doe@example.com is not authorized", ["jane", "Admin"]),
    ("arn:aws-cn:iam::210987654321:user/jane", ["jane"]),
    ("certificate " + "0123456789abcdef" * 4, ["0123456789abcdef"]),
    ("Connecting to a1b2c3d4e5f6g7-ats.iot.eu-west-1.amazonaws.com:8883", ["a1b2c3d4e5f6g7"]),
    ("Connecting to a1b2c3d4e5f6g7.credentials.iot.eu-west-1.amazonaws.com", ["a1b2c3d4e5f6g7"]),
    ("Connecting to localhost:12345 ...", ["12345"]),
    ('"url":"https://s3.eu-west-1.amazonaws.com/b/k?X-Amz-Signature=00ff&X-Amz-Credential=AKIAX"}', ["00ff", "s3.eu"]),
    (r"https://b.s3.amazonaws.com/k?versionId=3\u0026X-Amz-Security-Token=abcd", ["abcd", "versionId"]),
    ("... cut off: X-Amz-Signature=0f0f0f", ["0f0f0f"]),
    ("AKIAIOSFODNN7EXAMPLE and ASIAIOSFODNN7EXAMPLE", ["IOSFODNN7"]),
    ("AROAIOSFODNN7EXAMPLE:session", ["IOSFODNN7"]),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ["wJalr"]),
    ('"SecretAccessKey": "wJalrXUtnFEMI", "SessionToken": "IQoJb3"', ["wJalr", "IQoJb3"]),
    ("with hunter/2+hunter as secret", ["hunter"]),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINE}\nAb12==\n-----END RSA PRIVATE KEY-----", ["MIIE", "Ab12", "BEGIN"]),
    (f"-----BEGIN CERTIFICATE-----\\n{KEY_LINE}\\nAb12\\n-----END CERTIFICATE-----", ["MIIE", "Ab12"]),
    (f"-----BEGIN EC PRIVATE KEY-----\n{KEY_LINE}\nAb12==\n", ["MIIE", "Ab12"]),  # cut off
    (f"the end of one: {KEY_LINE}", ["MIIE"]),
    ("from 203.0.113.7", ["203.0.113.7"]),
]

# What a report is for stays.
HARMLESS = """aws-cli/2.31.5 Python/3.13.7 Linux/6.8.0 exe/x86_64
jobs-mqtt5 0.1.0, commit 8ae4e97a1b2c, eu-west-1, 2026-11-27 09:35 UTC
Request to update job was accepted. job_id:firmware-1-4-2
An error occurred (DeleteConflictException) when calling the DeletePolicy operation
see https://docs.aws.amazon.com/iot/latest/developerguide/iot-jobs.html
FAILED\tgone back to 1.4.2: --self-test ended with exit status: 3: no sensor"""


def check_redact():
    for text, secrets in SECRETS:
        for around in ("{}", "before\n{}\nafter", "| `{}` |"):
            clean = redact(around.format(text), KNOWN)
            for secret in secrets:
                assert secret in text, f"{secret!r} is not in {text!r}, so that nothing is checked"
                assert secret not in clean, f"{secret!r} is left of {text!r}: {clean!r}"
            assert redact(clean, KNOWN) == clean, f"twice is not once: {clean!r}"
    assert redact(HARMLESS, KNOWN) == HARMLESS, redact(HARMLESS, KNOWN)
