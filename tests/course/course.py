"""Walks through "The course" of the README as a reader on their own machine does: pastes its blocks, in
order and unchanged, into two terminals with an interactive shell, presses Ctrl-C where the text says so,
and looks with the service's API whether what the text promises has come about.

The README tells the walker what a reader sees by themselves in comments that no reader sees:

    <!-- device, until "LINE" -->               paste into the device's terminal; go on when it says LINE
    <!-- device, exits with N after "LINE" -->  the same; it says LINE and ends with exit code N
    <!-- device says "LINE" -->                 wait for it
    <!-- device, press Ctrl-C -->
    <!-- prints "LINE" -->                      the block prints this line
    <!-- on AWS -->                             not for a reader on their own machine

A block of `sh` without such a comment goes into the cloud's terminal. Every command has to end with 0.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

from service import Service, free_ports, is_open
from terminal import Failed, Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECTION = "The course"
# The headings under which nothing is for a reader on their own machine.
ELSEWHERE = {"On AWS"}


def steps():
    """The steps of the course: (heading, line number, comment or None, block or None)."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    first = lines.index(f"## {SECTION}") + 1
    found, heading, comment, at = [], "", None, first
    while at < len(lines) and not lines[at].startswith("## "):
        line = lines[at]
        at += 1
        if line.startswith("### "):
            heading = line[4:]
        marked = re.fullmatch(r"<!-- (.*) -->", line)
        if marked:
            if comment is not None:
                found.append((heading, at, comment, None))
            comment = marked[1]
        elif line.startswith("```"):
            end = lines.index("```", at)
            if line == "```sh":
                found.append((heading, at, comment, "\n".join(lines[at:end]) + "\n"))
            comment, at = None, end + 1
        elif comment is not None:
            found.append((heading, at, comment, None))
            comment = None
    return found


# What a comment says, and whether a block follows it.
COMMENTS = {
    "until": (r'device, until "(.*)"', True),
    "exits": (r'device, exits with (\d+) after "(.*)"', True),
    "says": (r'device says "(.*)"', False),
    "Ctrl-C": (r"device, press Ctrl-C", False),
    "prints": (r'prints "(.*)"', True),
    "on AWS": (r"on AWS", True),
}


def read_comment(comment, block):
    """What the comment before a block, or one without a block, asks for: its kind, and its values."""
    if comment is None:
        return "cloud", ()
    for kind, (pattern, has_block) in COMMENTS.items():
        match = re.fullmatch(pattern, comment)
        if match and has_block == (block is not None):
            return kind, match.groups()
    raise Failed(f"a comment that the walker does not know, or in the wrong place: {comment!r}")


class Walk:
    """A reader who walks through the course, with a second pair of eyes on the service."""

    def __init__(self, shell):
        self.gateway, self.mqtt = free_ports(2)
        environment = os.environ | {"TERM": "dumb", "CARGO_TERM_COLOR": "never", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}
        ports = {"GATEWAY_PORT": str(self.gateway), "IOT_MTLS_PORT": str(self.mqtt)}
        self.service = Service(self.gateway)
        self.cloud = Terminal("cloud's terminal", shell, environment | ports, ROOT)
        self.device = Terminal("device's terminal", shell, environment, ROOT)
        # What must hold when all the steps under a heading are done.
        self.after = {
            "On your machine": self.is_new,
            "The program": lambda: self.expect_status("hello-1", "SUCCEEDED"),
            "The outcome": lambda: self.expect_status("hello-2", "SUCCEEDED"),
            "Cancel a job while it runs": lambda: self.expect_status("cancel-me", "CANCELED"),
            "A timeout": lambda: self.expect_status("too-slow", "TIMED_OUT"),
            "A firmware update": self.is_installed,
            "A group of things": self.is_aborted,
            "The production policy": self.is_everything_there,
            "The clean-up": self.is_gone,
        }

    def step(self, comment, block):
        """Does what the step says, and returns what was shown."""
        kind, values = read_comment(comment, block)
        if kind == "until":
            return self.device.paste(block, until=values[0])
        if kind == "exits":
            shown = self.device.paste(block, exit_code=int(values[0]))
            if values[1] not in shown:
                raise Failed(f"{values[1]!r} is not in what the device says:\n{shown}")
            return shown
        if kind == "says":
            return self.device.wait_for_line(values[0])
        if kind == "Ctrl-C":
            code = self.device.press_ctrl_c()
            if code != 0:
                raise Failed(f"the device ends with exit code {code} after Ctrl-C, not with 0")
            return "^C\n"
        shown = self.cloud.paste(block)
        if kind == "prints" and values[0] not in shown.splitlines():
            raise Failed(f"no line of what the block prints is {values[0]!r}:\n{shown}")
        return shown

    def expect(self, what, found, expected):
        if found != expected:
            raise Failed(f"the service's API: {what} is {found!r}, not {expected!r}")
        print(f"   [API] {what}: {found}", flush=True)

    def expect_status(self, job, status, thing="my-first-thing"):
        self.expect(f"{job} on {thing}", self.service.status(job, thing), status)

    def is_new(self):
        empty = {kind: [] for kind in self.service.everything()}
        self.expect("what is there", self.service.everything(), empty)

    def is_installed(self):
        self.expect_status("firmware-1-4-2", "SUCCEEDED")
        with open(os.path.join(ROOT, "installed", "firmware.bin"), "rb") as file:
            installed = file.read()
        bucket = self.service.everything()["buckets"][0]
        stored = self.service.s3.get_object(Bucket=bucket, Key="firmware-1.4.2.bin")["Body"].read()
        self.expect("whether the bucket's firmware is installed", installed == stored, True)

    def is_aborted(self):
        job = self.service.iot.describe_job(jobId="reboot-all")["job"]
        self.expect("the group's job", job["status"], "CANCELED")
        status = self.service.status("reboot-all")
        self.expect("whether the device has failed it", status in ("FAILED", "REJECTED"), True)
        self.expect_status("reboot-all", "CANCELED", "my-second-thing")

    def is_everything_there(self):
        """What the clean-up has to remove is really there: the look for what is left can fail."""
        for kind, names in self.service.everything().items():
            if not names:
                raise Failed(f"the service's API lists no {kind} before the clean-up")
        policy = self.service.iot.get_policy(policyName="jobs-mqtt5-policy")
        self.expect("the policy in force", policy["defaultVersionId"], "2")

    def is_gone(self):
        for what, port in (("the API's port", self.gateway), ("the MQTT port", self.mqtt)):
            deadline = time.monotonic() + 20
            while is_open(port) and time.monotonic() < deadline:
                time.sleep(0.1)
            self.expect(f"whether {what} is still open", is_open(port), False)

    def close(self):
        """Ends what the steps have left running, if one of them has failed."""
        for terminal in (self.device, self.cloud):
            terminal.close()
        ministack = os.path.join(ROOT, "target", "course", f"ministack-{self.gateway}")
        if os.path.exists(f"{ministack}.pid"):
            with open(f"{ministack}.pid") as file:
                subprocess.run(["kill", file.read().strip()], check=False)
            os.remove(f"{ministack}.pid")
        if os.path.exists(f"{ministack}.log"):
            os.remove(f"{ministack}.log")  # its name has this run's port


def files():
    """What stands in the folder, `target/` aside."""
    return sorted(name for name in os.listdir(ROOT) if name != "target")


def walk(shell):
    before = files()
    in_the_way = [name for name in before if name.endswith((".pem", ".key", ".crt", ".env")) or name == "installed"]
    if in_the_way:
        raise Failed(f"these files may be yours, and the course would overwrite them: {', '.join(in_the_way)}")
    all_steps = steps()
    for heading, line, comment, block in all_steps:
        kind, _ = read_comment(comment, block)
        if (kind == "on AWS") != (heading in ELSEWHERE):
            raise Failed(f"README.md, line {line}: no block but those on AWS is left out")
    walker = Walk(shell)
    left_out, checked = [], set()
    try:
        for number, (heading, line, comment, block) in enumerate(all_steps):
            if number == 0 or all_steps[number - 1][0] != heading:
                print(f"\n### {heading}", flush=True)
            if heading in ELSEWHERE:
                left_out.append(line)
                continue
            for typed in (block or "").splitlines():
                print(f"{'device' if (comment or '').startswith('device') else ' cloud'}$ {typed}", flush=True)
            try:
                if heading == "The clean-up" and block and "ministack --stop" in block:
                    walker.is_new()  # last look: afterwards nobody answers any more
                shown = walker.step(comment, block)
                print("".join(f"   {one}\n" for one in shown.splitlines()), end="", flush=True)
                last = number + 1 == len(all_steps) or all_steps[number + 1][0] != heading
                if last and heading in walker.after:
                    walker.after[heading]()
                    checked.add(heading)
            except Failed as failed:
                raise Failed(f"README.md, line {line}, {heading!r}: {failed}") from None
    finally:
        walker.close()
        left = sorted(set(files()) - set(before))
        for name in left:
            path = os.path.join(ROOT, name)
            (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    blocks = [step for step in all_steps if step[3]]
    ran = len(blocks) - len(left_out)
    if len(left_out) != len(ELSEWHERE) or ran < 20:
        raise Failed(f"of {len(blocks)} blocks, those in line {left_out} were left out")
    if checked != set(walker.after):
        raise Failed(f"nothing was checked for {set(walker.after) - checked}: has a heading changed?")
    if left:
        raise Failed(f"the clean-up left these files: {', '.join(left)}")
    print(f"\nThe course is as the README tells it: {ran} blocks, in {shell}; nothing is left.")


def main():
    arguments = argparse.ArgumentParser(description="Walks through the course of the README.")
    arguments.add_argument("--shell", choices=["bash", "zsh"], default="bash")
    try:
        walk(arguments.parse_args().shell)
    except Failed as failed:
        print(f"\nThe course fails. {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
