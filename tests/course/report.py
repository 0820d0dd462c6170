"""The report of a walk on AWS, fit to be published."""

import os
import platform
import subprocess
import time

from redact import redact
from steps import ROOT

TAIL = 40  # lines of output of the step that failed


class Report:
    def __init__(self, path, account, shell):
        self.path = path
        begun = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        self.facts = {"begun": begun, "Region": account.region} | versions(account.environment, shell)
        self.steps = []  # rows: lesson and heading, what is done and expected, what came, result, seconds
        self.differences = []
        self.known = account.known  # what must not be in it
        self.failure, self.outcome = None, "not walked to its end"
        self.left = []

    def differs(self, sentence):
        self.differences.append(sentence)

    def write(self):
        """Writes what is known by now. Nothing gets past `redact`, and the tail is cut after it."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.text())

    def text(self):
        clean = redact(self.raw_text(), self.known)
        if self.failure:
            lines = redact(self.failure, self.known).splitlines()
            shown = "\n".join(lines[:1] + ["…"] + lines[-TAIL:] if len(lines) > TAIL else lines)
            clean += f"\n## What failed\n\n````text\n{shown}\n````\n"
        return clean

    def raw_text(self):
        rows = [f"| {name} | {cell(value)} |" for name, value in self.facts.items()]
        lines = ["# The course of jobs-mqtt5 on AWS", "", "| | |", "|---|---|", *rows]
        lines.append(f"| outcome | {cell(self.outcome)} |")
        lines.append(f"| left in the account | {cell('; '.join(self.left) or 'nothing')} |")
        lines += ["", "## What differed from ministack", ""]
        lines += [f"* {cell(one)}" for one in self.differences] or ["Nothing: each step went as there, at once."]
        lines += ["", "## Each step", "", "| lesson | step | came | result | seconds |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(cell, row))} |" for row in self.steps]
        return "\n".join(lines) + "\n"


def versions(environment, shell):
    def first_line(*command):
        try:
            done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]

    with open(os.path.join(ROOT, "Cargo.toml"), encoding="utf-8") as file:
        version = next(line.split('"')[1] for line in file if line.startswith("version"))
    return {
        "jobs-mqtt5": f"{version}, commit {first_line('git', 'describe', '--always', '--dirty')}",
        "AWS CLI": first_line("aws", "--version"),
        "system": platform.platform(),
        "shell": first_line(shell, "--version"),
        "rustc": first_line("rustc", "--version"),
    }


def cell(value):
    """One line of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|")
