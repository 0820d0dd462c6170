"""What a command prints that looks like an alarm, although all is well: a reader who sees it stops, and
looks for a mistake that is not there."""

import re

WORDS = (
    "error errors exception traceback fatal panicked warning failed failure fails denied refused rejected forbidden "
    "unauthorized invalid illegal unable cannot missing unknown unrecognized unsupported unexpected deprecated usage"
)
PHRASES = "can't|could not|couldn't|not found|no such|not authorized|not allowed|not permitted|is used by|it is not|timed out"
ALARM = re.compile(rf"(?<![\w./-])(?:{WORDS.replace(' ', '|')}|{PHRASES})(?![\w./-])", re.IGNORECASE)


def alarms(shown, announced):
    """The lines that look like an alarm, but for those with something that the lesson announces."""
    lines = [line for line in shown.splitlines() if ALARM.search(line)]
    return [line for line in lines if not any(words in line for words in announced)]


def announced(text):
    """The alarms that a lesson announces: in backticks, or in the comments that only the walker reads. Of what
    is printed in columns, each."""
    text = re.sub(r"(?ms)^```.*?^```$", "", text)  # blocks are what is typed
    quoted = re.findall(r'`([^`\n]+)`|^<!-- .*?"(.*)" -->$', text, re.MULTILINE)
    spans = {span.rstrip(".…") for pair in quoted for span in pair}
    return {column for span in spans if ALARM.search(span) for column in span.split("\t")}


# Lines, and whether each looks like an alarm where the lesson announces TEXT.
TEXT = """Look for `Job refused`.
<!-- device, exits with 1 after "not authorized" -->
```sh
echo "unable"
```
<!-- prints "FAILED\tno sensor" -->
"""
EXAMPLES = [
    ("It is not ministack that listens on port 8883", True),
    ("curl: option --connect-only: is unknown", True),
    ("An error occurred (DeleteConflictException)", True),
    ("warning: unused variable", True),
    ("echo: unable", True),
    ("Job refused: unknown operation", False),
    ("CONNACK 0x87 (not authorized).", False),
    ("SUCCEEDED", False),
    ("Work on job failed: no sensor", False),
    ("Work on job failed: no disk", True),
    ("Failed-jobs.txt target/errors/error.log my-invalid-1", False),
]


def check_alarms():
    """Looks whether it finds what it is for."""
    for line, is_one in EXAMPLES:
        found = bool(alarms(line, announced(TEXT)))
        assert found == is_one, f"{line!r} {'is not taken' if is_one else 'is taken'} for an alarm"
