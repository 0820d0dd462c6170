"""Reads the course: the steps of a section, each a block to paste or a comment that no reader sees.

    <!-- device, until "LINE" -->               paste into the device's terminal; go on when it says LINE
    <!-- device, exits with N after "LINE" -->  the same; it says LINE and ends with exit code N
    <!-- device says "LINE" -->                 wait for it
    <!-- device, press Ctrl-C -->
    <!-- prints "LINE" -->                      the block prints this line
    <!-- on AWS -->                             not for a reader on their own machine
    <!-- on your machine -->                    not for a reader on AWS

A block of `sh` without such a comment goes into the cloud's terminal. Every command has to end with 0.

The other lessons are the files `tests/course/N-*.md`, in this format: a title (`# Lesson 6: …`), a section
`## The lesson`, in it headings `### …`, blocks and comments as above. Each begins where lesson 1 ends: the
set-up's variables are in the cloud's terminal, the thing has its certificate and policy, no program is
running. It has to end in that state: with the same entries at the service and the same files.
"""

import collections
import glob
import os
import re
import shutil

from terminal import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ON_AWS, ON_YOUR_MACHINE = "on AWS", "on your machine"
# What stands under these headings is for one place alone; elsewhere, only parts of the clean-up may be.
PLACES = {"On AWS": ON_AWS, "On your machine": ON_YOUR_MACHINE}
CLEAN_UP = ("The clean-up", "Back to the beginning")

# A comment or a block, or both: where it stands, what is in it, and the one place that it is for, if any.
Step = collections.namedtuple("Step", "file heading line comment block place")

# What a comment says, and whether a block follows it.
COMMENTS = {
    "until": (r'device, until "(.*)"', True),
    "exits": (r'device, exits with (\d+) after "(.*)"', True),
    "says": (r'device says "(.*)"', False),
    "Ctrl-C": (r"device, press Ctrl-C", False),
    "prints": (r'prints "(.*)"', True),
    ON_AWS: (ON_AWS, True),
    ON_YOUR_MACHINE: (ON_YOUR_MACHINE, True),
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


def place_of(file, heading, line, comment, block):
    """The one place that a step is for, or None."""
    kind, _ = read_comment(comment, block)
    marked = kind if kind in (ON_AWS, ON_YOUR_MACHINE) else None
    place = PLACES.get(heading)
    if (place == ON_AWS) != (marked == ON_AWS) and heading not in CLEAN_UP:
        raise Failed(f"{file}, line {line}: no block but those on AWS is left out")
    if marked == ON_YOUR_MACHINE and heading not in CLEAN_UP:
        raise Failed(f"{file}, line {line}: only the clean-up has blocks that are left out on AWS")
    return place or marked


def steps(file, section):
    """The steps in a section of a file."""
    with open(os.path.join(ROOT, file), encoding="utf-8") as text:
        lines = text.read().splitlines()
    at = lines.index(f"## {section}") + 1
    found, heading, comment = [], "", None

    def add(block=None):
        place = place_of(file, heading, at, comment, block)
        found.append(Step(file, heading, at, comment, block, place))

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
    return found


def text_under(file, heading):
    """What stands under a heading of a file: text, comments and blocks."""
    with open(os.path.join(ROOT, file), encoding="utf-8") as text:
        _, rest = text.read().split(f"\n### {heading}\n", 1)
    return re.split(r"(?m)^##", rest)[0]


def lessons(number=None):
    """The files of the other lessons, or of one of them: lesson 1 has none of its own."""
    found = sorted(glob.glob(os.path.join(HERE, f"{number or '[0-9]'}-*.md")))
    if number is None and not shutil.which("softhsm2-util"):
        print("Lesson 9 is left out: it needs SoftHSM (on Debian: softhsm2).", flush=True)
        found = [path for path in found if not os.path.basename(path).startswith("9-")]
    if not found and number != "1":
        raise Failed(f"there is no lesson {number} in tests/course")
    return [os.path.relpath(path, ROOT) for path in found]
