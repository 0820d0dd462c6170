"""Walks through "The course" of the README and the lessons beside this file as a reader on their own
machine does: see walk.py for how, and steps.py for how a lesson is written.
"""

import argparse
import os
import subprocess
import sys
import time

import on_aws
from alarms import alarms, announced, check_alarms
from service import Service, at_port, forget_settings, free_ports, is_open, why_not_ministack
from steps import ON_YOUR_MACHINE, ROOT, lessons, text_under
from terminal import Failed
from walk import Walk, files, refuse_files_in_the_way, remove_files


class LocalWalk(Walk):
    """A reader on their own machine, who starts a ministack of their own."""

    place = ON_YOUR_MACHINE

    def __init__(self, shell):
        self.gateway, self.mqtt = free_ports(2)
        ports = {"GATEWAY_PORT": str(self.gateway), "IOT_MTLS_PORT": str(self.mqtt)}
        super().__init__(shell, Service(at_port(self.gateway)), os.environ | ports, dict(os.environ))
        self.after |= {
            ("README.md", "On your machine"): self.is_new,
            ("README.md", "The clean-up"): self.is_gone,
        }

    def everything(self):
        return self.service.everything()

    def is_new(self):
        reason = why_not_ministack(self.mqtt, os.path.join(ROOT, "ca.pem"))
        if reason:
            raise Failed(reason)
        print("   [TLS] the MQTT port is ministack's own", flush=True)
        self.is_empty()

    def is_empty(self):
        empty = {kind: [] for kind in self.everything()}
        self.expect("what is there", self.everything(), empty)

    def is_everything_there(self):
        """What the clean-up has to remove is really there: the look for what is left can fail."""
        there = self.everything()
        for kind in ("things", "certificates", "policies", "jobs"):
            if not there[kind]:
                raise Failed(f"the service's API lists no {kind} before the clean-up")

    def step(self, step):
        if step.heading == "The clean-up":
            if "ministack --stop" in step.block:
                self.is_empty()  # last look: afterwards nobody answers any more
            else:
                self.is_everything_there()
        return self.expect_no_alarm(step, super().step(step))

    def expect_no_alarm(self, step, shown):
        """Nothing that a reader could take for a mistake is printed where all is well."""
        found = alarms(shown, announced(text_under(step.file, step.heading)))
        if found:
            raise Failed("this looks like an alarm, and the lesson does not announce it:\n" + "\n".join(found))
        return shown

    def is_gone(self):
        for what, port in (("the API's port", self.gateway), ("the MQTT port", self.mqtt)):
            deadline = time.monotonic() + 20
            while is_open(port) and time.monotonic() < deadline:
                time.sleep(0.1)
            self.expect(f"whether {what} is still open", is_open(port), False)

    def close(self):
        super().close()
        ministack = os.path.join(ROOT, "target", "course", f"ministack-{self.gateway}")
        if os.path.exists(f"{ministack}.pid"):
            with open(f"{ministack}.pid") as file:
                subprocess.run(["kill", file.read().strip()], check=False)
            os.remove(f"{ministack}.pid")
        if os.path.exists(f"{ministack}.log"):
            os.remove(f"{ministack}.log")  # its name has this run's port


def walk(shell, lesson):
    check_alarms()
    before = files()
    refuse_files_in_the_way()
    forget_settings()
    others = lessons(lesson)
    walker = LocalWalk(shell)
    try:
        walker.walk_course(others)
    finally:
        walker.close()
        left = remove_files(before)
    walker.expect_whole(others)
    if left:
        raise Failed(f"the clean-up left these files: {', '.join(left)}")
    what = f"Lesson {lesson} is as it is" if lesson else "The course is as the README and its lessons are"
    print(f"\n{what} told: {walker.blocks} blocks, in {shell}; nothing is left.")


def main():
    arguments = argparse.ArgumentParser(prog="tests/course/run", description="Walks through the course.")
    arguments.add_argument("--shell", choices=["bash", "zsh"], default="bash")
    arguments.add_argument("--lesson", metavar="N", help="lesson 1, then this one alone")
    arguments.add_argument("--on-aws", action="store_true", help="in a real account; asks before it begins")
    flags = arguments.parse_args()
    if flags.on_aws:
        return on_aws.main(flags)
    try:
        walk(flags.shell, flags.lesson)
    except Failed as failed:
        print(f"\nThe course fails. {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
