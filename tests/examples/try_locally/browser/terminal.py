"""The terminal of `try_locally --serve`: the line being typed stays whole, arrow keys work, and the
terminal is given back as it was."""

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

from scene import LIMIT, ROOT, TARGET, free_ports


class Console:
    """The example in a terminal of its own."""

    def __init__(self):
        self.ours, self.its = pty.openpty()
        self.before = termios.tcgetattr(self.its)[3]  # the local modes: echo and so on
        command = [TARGET / "examples" / "try_locally", "--serve", "--port", str(free_ports())]
        environment = {name: value for name, value in os.environ.items() if name != "CARGO"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment | {"TERM": "xterm"}, start_new_session=True,
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
        asked = re.findall(r"\x1b\[\?2004([hl])", self.shown)
        self.marks_pastes = asked[-1] == "h" if asked else self.marks_pastes

    def type(self, text):
        """A key at a time, as people do: rustyline looks at what came at once only with the next key."""
        for key in re.findall(r"\x1b\[[^~A-D]*[~A-D]|.", text, re.DOTALL):
            os.write(self.ours, key.encode())
            time.sleep(0.01)

    def paste(self, text):
        """As terminals do: between two marks."""
        os.write(self.ours, f"\x1b[200~{text}\x1b[201~".encode())

    def modes(self):
        return termios.tcgetattr(self.its)[3]


@contextmanager
def running():
    console = Console()
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


if __name__ == "__main__":
    sys.exit(main())
