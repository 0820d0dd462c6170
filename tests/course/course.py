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

The other lessons are the files `tests/course/N-*.md`, in this format: a title (`# Lesson 6: …`), a section
`## The lesson`, in it headings `### …`, blocks and comments as above; blocks for AWS alone stand under
`### On AWS`. Each lesson begins where lesson 1 ends, with its Ctrl-C: the set-up's variables are in the
cloud's terminal, the thing has its certificate and policy, no program is running. It has to end in that
state: with the same entries at the service and the same files, its own jobs and the folders it made removed.
What it shows, its blocks check with `prints`, `cmp` and the like. `--lesson 6` walks lesson 1 and then that
one alone; without it, all are walked where the README's device is switched off.
"""

import argparse
import collections
import glob
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
# The heading of the README at whose end lesson 1 is done, and one where the device is off afterwards.
FIRST_LESSON, DEVICE_IS_OFF = "The outcome", "A timeout"
# The headings under which nothing is for a reader on their own machine.
ELSEWHERE = {"On AWS"}


# A comment or a block, or both: where it stands, and what is in it.
Step = collections.namedtuple("Step", "file heading line comment block")


def steps(file, section):
    """The steps in a section of a file."""
    with open(os.path.join(ROOT, file), encoding="utf-8") as text:
        lines = text.read().splitlines()
    at = lines.index(f"## {section}") + 1
    found, heading, comment = [], "", None

    def add(block=None):
        found.append(Step(file, heading, at, comment, block))

    while at < len(lines) and not lines[at].startswith("## "):
        line = lines[at]
        at += 1
        if line.startswith("### "):
            heading = line[4:]
        marked = re.fullmatch(r"<!-- (.*) -->", line)
        if marked:
            if comment is not None:
                add()
            comment = marked[1]
        elif line.startswith("```"):
            end = lines.index("```", at)
            if line == "```sh":
                add("\n".join(lines[at:end]) + "\n")
            comment, at = None, end + 1
        elif comment is not None:
            add()
            comment = None
    for step in found:
        kind, _ = read_comment(step.comment, step.block)
        if (kind == "on AWS") != (step.heading in ELSEWHERE):
            raise Failed(f"{file}, line {step.line}: no block but those on AWS is left out")
    return found


def lessons(number="[0-9]"):
    """The files of the other lessons, or of one of them."""
    found = sorted(glob.glob(os.path.join(HERE, f"{number}-*.md")))
    if not found:
        raise Failed(f"there is no lesson {number} in tests/course")
    return [os.path.relpath(path, ROOT) for path in found]


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
        self.is_on = False  # whether a program runs in the device's terminal
        # What must hold when all the steps under a heading of the README are done.
        self.after = {
            "On your machine": self.is_new,
            "The program": lambda: self.expect_status("hello-1", "SUCCEEDED"),
            "The outcome": lambda: self.expect_status("hello-2", "SUCCEEDED"),
            "Cancel a job while it runs": lambda: self.expect_status("cancel-me", "CANCELED"),
            "A timeout": lambda: self.expect_status("too-slow", "TIMED_OUT"),
            "A group of things": self.is_aborted,
            "The production policy": self.is_everything_there,
            "The clean-up": self.is_gone,
        }

    def step(self, comment, block):
        """Does what the step says, and returns what was shown."""
        kind, values = read_comment(comment, block)
        self.is_on = kind == "until" or (self.is_on and kind not in ("exits", "Ctrl-C"))
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

    def is_aborted(self):
        job = self.service.iot.describe_job(jobId="reboot-all")["job"]
        self.expect("the group's job", job["status"], "CANCELED")
        status = self.service.status("reboot-all")
        self.expect("whether the device has failed it", status in ("FAILED", "REJECTED"), True)
        self.expect_status("reboot-all", "CANCELED", "my-second-thing")

    def is_everything_there(self):
        """What the clean-up has to remove is really there: the look for what is left can fail."""
        for kind, names in self.service.everything().items():
            if not names and kind not in ("buckets", "roles"):  # of lessons, which take them away
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


def walk_steps(walker, all_steps):
    """Walks through some steps. Returns how many blocks that were, and which headings were checked."""
    blocks, checked = 0, set()
    for number, step in enumerate(all_steps):
        if number == 0 or all_steps[number - 1].heading != step.heading:
            print(f"\n### {step.heading}", flush=True)
        if step.heading in ELSEWHERE:
            continue
        terminal = "device" if (step.comment or "").startswith("device") else " cloud"
        for typed in (step.block or "").splitlines():
            print(f"{terminal}$ {typed}", flush=True)
        try:
            if step.heading == "The clean-up" and step.block and "ministack --stop" in step.block:
                walker.is_new()  # last look: afterwards nobody answers any more
            shown = walker.step(step.comment, step.block)
            print("".join(f"   {one}\n" for one in shown.splitlines()), end="", flush=True)
            blocks += step.block is not None
            last = number + 1 == len(all_steps) or all_steps[number + 1].heading != step.heading
            if last and step.file == "README.md" and step.heading in walker.after:
                walker.after[step.heading]()
                checked.add(step.heading)
        except Failed as failed:
            raise Failed(f"{step.file}, line {step.line}, {step.heading!r}: {failed}") from None
    return blocks, checked


def walk_lesson(walker, file):
    """Walks through another lesson, and looks whether it leaves things as they were. Returns its blocks."""
    print(f"\n# {file}", flush=True)
    before = (walker.service.everything(), files())
    blocks, _ = walk_steps(walker, steps(file, "The lesson"))
    walker.expect(f"whether {file} leaves a program running", walker.is_on, False)
    after = (walker.service.everything(), files())
    if after != before:
        raise Failed(f"{file} leaves {after}, and began with {before}")
    if blocks < 3:
        raise Failed(f"{file} has {blocks} blocks: has a heading changed?")
    return blocks


def walk(shell, lesson=None):
    before = files()
    in_the_way = [name for name in before if name.endswith((".pem", ".key", ".crt", ".env")) or name == "installed"]
    if in_the_way:
        raise Failed(f"these files may be yours, and the course would overwrite them: {', '.join(in_the_way)}")
    all_steps = steps("README.md", SECTION)
    switch = FIRST_LESSON if lesson else DEVICE_IS_OFF
    first = 1 + max(at for at, step in enumerate(all_steps) if step.heading == switch)
    walker = Walk(shell)
    try:
        blocks, checked = walk_steps(walker, all_steps[:first])
        if walker.is_on:
            walker.step("device, press Ctrl-C", None)
        for file in lessons(lesson or "[0-9]"):
            blocks += walk_lesson(walker, file)
        if lesson:
            print(f"\nLesson {lesson} is as it is told: {blocks} blocks with those of lesson 1, in {shell}.")
            return
        more, rest = walk_steps(walker, all_steps[first:])
        blocks, checked = blocks + more, checked | rest
    finally:
        walker.close()
        left = sorted(set(files()) - set(before))
        for name in left:
            path = os.path.join(ROOT, name)
            (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    if blocks < 20 or checked != set(walker.after):
        raise Failed(f"nothing was checked for {set(walker.after) - checked}: has a heading changed?")
    if left:
        raise Failed(f"the clean-up left these files: {', '.join(left)}")
    print(f"\nThe course is as the README and its lessons tell it: {blocks} blocks, in {shell}; nothing is left.")


def main():
    arguments = argparse.ArgumentParser(description="Walks through the course of the README.")
    arguments.add_argument("--shell", choices=["bash", "zsh"], default="bash")
    arguments.add_argument("--lesson", metavar="N", help="after lesson 1, this one alone")
    flags = arguments.parse_args()
    try:
        walk(flags.shell, flags.lesson)
    except Failed as failed:
        print(f"\nThe course fails. {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
