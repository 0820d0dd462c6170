"""Compares local_iot_core with a ministack of its own: see conformance.rs."""

import os
import subprocess
import sys
import tempfile

from service import Ministack, forget_settings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    forget_settings()
    program = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "examples", "conformance")
    # The policies are no part of what is compared: its devices ask for more than one would allow them.
    with tempfile.TemporaryDirectory(prefix="jobs-mqtt5-conformance-") as folder, Ministack(folder, auth=False) as ministack:
        at = ["--ministack-http", f"http://127.0.0.1:{ministack.gateway}", "--mqtt-port", str(ministack.mqtt)]
        return subprocess.run([program, *at], timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
