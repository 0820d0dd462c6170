"""The terminal of `try_locally --serve`: the line being typed stays whole, arrow keys work, nothing that
comes in one piece is lost, and the terminal is given back as it was. Where stdin and stdout are pipes, too."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager

from scene import LIMIT, ROOT, TARGET


COMMAND = [TARGET / "examples" / "try_locally", "--serve"]
# Without CARGO, it does not build the program first.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("CARGO", "NO_COLOR")}


class Console:
    """The example in a terminal of its own."""

    def __init__(self, name="xterm"):
        """`name` is the terminal's, as in TERM."""
        self.ours, self.its = pty.openpty()
        self.before = termios.tcgetattr(self.its)[3]  # the local modes: echo and so on
        self.process = subprocess.Popen(
            COMMAND, cwd=ROOT, env=ENVIRONMENT | {"TERM": name}, start_new_session=True,
            stdin=self.its, stdout=self.its, stderr=self.its,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),  # whom Ctrl-C is for
        )  # fmt: skip
        self.shown = ""
        self.marks_pastes = False  # what the terminal was last asked for

    def shows(self, pattern):
        """Waits for this, and forgets what stands before its end."""
        end = time.monotonic() + LIMIT
        while not (found := re.search(pattern, self.shown, re.DOTALL)):
            ready, _, _ = select.select([self.ours], [], [], max(0, end - time.monotonic()))
            assert ready, f"never shown: {pattern!r}, but {self.shown!r}"
            self.read()
        self.shown = self.shown[found.end() :]
        return found

    def read(self):
        self.shown += os.read(self.ours, 4096).decode(errors="replace")
        # Left out: around what is to be seen at once, and where the cursor goes to its place in a line.
        self.shown = re.sub(r"\x1b\[\?2026[hl]|\r\x1b\[\d+C", "", self.shown)
        asked = re.findall(r"\x1b\[\?2004([hl])", self.shown)
        self.marks_pastes = asked[-1] == "h" if asked else self.marks_pastes

    def type(self, text):
        """A key at a time, as people do."""
        for key in re.findall(r"\x1b\[[^~A-D]*[~A-D]|.", text, re.DOTALL):
            os.write(self.ours, key.encode())
            time.sleep(0.01)

    def send(self, text):
        """All in one piece: type-ahead, `tmux send-keys`, input methods, and terminals that mark no pastes."""
        os.write(self.ours, text if isinstance(text, bytes) else text.encode())

    def paste(self, text):
        """As most terminals do: between two marks."""
        os.write(self.ours, f"\x1b[200~{text}\x1b[201~".encode())

    def modes(self):
        return termios.tcgetattr(self.its)[3]


@contextmanager
def running(name="xterm"):
    console = Console(name)
    try:
        console.port = int(console.shows(r"--port (\d+)")[1])
        yield console
    finally:
        console.process.kill()
        console.process.wait()


def the_line_stays_whole(console):
    console.shows("`help` lists")
    console.shows("> ")
    console.type('create-job a {"operation": "greet"}\r')
    console.shows("a is QUEUED.*\n")
    console.type("time-o")  # half a line, and then something happens
    console.shows("time-o")
    console.type("ut a\r")
    console.shows("a is TIMED_OUT")
    console.paste("create-job b {}\ndelete-job b\n")
    console.shows("delete-job b")
    console.type("\r")
    console.shows("b is QUEUED.*b is deleted")


def what_happens_stands_above(console):
    """A message that comes while a line is typed is printed above it, and the line is drawn again."""
    console.type("verbose\r")
    console.shows("all that happens is shown")
    console.type("half a li")
    console.shows("half a li")
    port = console.port
    subprocess.run(["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port})).close()"], check=True)
    console.shows(r"-- connection.*\n.*> half a li")
    console.type("\x15")  # Ctrl-U: away with it


def the_history(console):
    console.type("list\r")
    console.shows(r"a TIMED_OUT")
    console.type("\x1b[A")
    console.shows("list")
    console.type("\x1b[A" * 4)
    console.shows("time-out a")
    console.type("\x15")


def it_ends_and_gives_the_terminal_back(console, how):
    how(console)
    console.shows("Goodbye")
    assert console.process.wait(LIMIT) == 0
    assert console.modes() == console.before, "the terminal is not as it was"
    assert not console.marks_pastes, "the terminal still marks what is pasted"


def what_comes_in_one_piece_is_not_lost():
    with running() as console:
        console.send("policy sample\r")  # before there is a prompt
        console.shows("the policy is in force")
        console.send("list\r")
        console.shows(r"list\b.*no jobs")
        console.send("".join(f"create-job many-{number} {{}}\r" for number in range(30)))
        for number in range(30):
            console.shows(rf"many-{number} is QUEUED")
        console.send("delete-job many-7\rdelete-")  # and half a line
        console.shows("many-7 is deleted")
        console.send("job many-8\r")
        console.shows("many-8 is deleted")
    print("the terminal, with what comes in one piece")


def a_bad_byte_is_told_and_what_follows_is_done():
    with running() as console:
        console.shows("`help` lists")
        console.send(b"li\xffst")
        console.shows("a byte that is not UTF-8")
        console.send("\x15list\r")
        console.shows("no jobs")
    with piped(stdin=subprocess.PIPE) as process:
        process.stdin.write(b"li\xffst\ncreate-job a {}\n")
        process.stdin.flush()
        reads(process, b"a byte that is not UTF-8")
        reads(process, b"a is QUEUED")
    print("the terminal, with a bad byte")


def a_dumb_terminal_gets_no_colors():
    for name, is_colored in [("xterm", True), ("dumb", False)]:
        with running(name) as console:
            console.shows("`help` lists")
            console.send("create-job a {}\r")
            told = console.shows(r"[^\n]*-- a QUEUED[^\n]*\n")[0]
            assert ("\x1b[1;32m" in told) == is_colored, f"{name}: {told!r}"
            assert is_colored or "\x1b" not in told, f"{name}: {told!r}"
    print("the terminal, a dumb one")


@contextmanager
def piped(*flags, stdin=subprocess.DEVNULL):
    """The example with a pipe for each of its streams."""
    process = subprocess.Popen([*COMMAND, *flags], cwd=ROOT, env=ENVIRONMENT, stdin=stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def reads(process, words):
    """Reads what it says until these words come. (A process that ends says no more.)"""
    line = b"-"
    while words not in line:
        line = process.stdout.readline()
        assert line, f"it ended without {words!r}"


def nobody_reads_what_it_says():
    """`--serve | head`: it ends, as programs do, and does not panic."""
    with piped(stdin=subprocess.PIPE) as process:
        reads(process, b"`help` lists")
        process.stdout.close()
        process.stdin.write(b"list\n")
        process.stdin.flush()
        assert process.wait(LIMIT) == 0
        assert process.stderr.read() == b""
    three_jobs = subprocess.Popen(COMMAND[:1], cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    three_jobs.stdout.close()
    try:
        said = three_jobs.communicate(timeout=2 * LIMIT)[1]
        assert (three_jobs.returncode, said) == (0, b""), said
    finally:
        three_jobs.kill()
    print("stdout, when nobody reads it")


def a_recording_that_can_not_be_written_is_told_at_once():
    with piped("--record", "no/such/folder/r.html") as process:
        said, why = process.communicate(timeout=LIMIT)
        assert process.returncode == 1 and said == b"", said
        assert b"no/such/folder/r.html can't be written" in why, why
    print("a recording that can't be written")


def even_when_a_line_is_just_begun():
    """The editor takes the terminal from a thread of its own, and may come late. (A Ctrl-D that comes
    before it is lost.)"""
    for name in ["quit", "Ctrl-C", "SIGTERM"]:
        how = ENDS[name]
        for _ in range(5):
            with running() as console:
                console.type("help\r")
                console.shows("create-job")
                it_ends_and_gives_the_terminal_back(console, how)
        print(f"the terminal, until {name} at any moment")


ENDS = {
    "quit": lambda console: console.type("quit\r"),
    "Ctrl-D": lambda console: console.type("\x04"),
    "Ctrl-C": lambda console: console.type("\x03"),
    "SIGTERM": lambda console: os.kill(console.process.pid, signal.SIGTERM),
    "SIGHUP": lambda console: os.kill(console.process.pid, signal.SIGHUP),
}


def main():
    for name, how in ENDS.items():
        with running() as console:
            the_line_stays_whole(console)
            if name == "quit":
                what_happens_stands_above(console)
                the_history(console)
            it_ends_and_gives_the_terminal_back(console, how)
            print(f"the terminal, until {name}")
    even_when_a_line_is_just_begun()
    what_comes_in_one_piece_is_not_lost()
    a_bad_byte_is_told_and_what_follows_is_done()
    a_dumb_terminal_gets_no_colors()
    nobody_reads_what_it_says()
    a_recording_that_can_not_be_written_is_told_at_once()


if __name__ == "__main__":
    sys.exit(main())
