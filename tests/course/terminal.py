"""A terminal with an interactive shell in it, and somebody who pastes lines and presses Ctrl-C."""

import os
import pty
import re
import select
import signal
import termios
import time

# What the shell prints before it reads a line: `$?` and, within a command, that it wants more.
PROMPT = re.compile(r"<ended (\d+)>")
MORE = "<more>"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "--noediting", "-i"],
    "zsh": ["zsh", "-f", "-i", "-o", "no_zle", "-o", "no_prompt_sp", "-o", "no_prompt_cr"],
}
# Typed in two halves, so that no echo of it looks like a prompt.
SET_PROMPTS = {
    "bash": "PS1='<'\"ended \"'$?>' PS2='<'more'>'",
    "zsh": "PS1='<'\"ended \"'%?>' PS2='<'more'>'",
}


class Failed(Exception):
    """A step of the course did not go as its lesson says."""


class Ended(Failed):
    """A program ended, and should have gone on, or with another exit code."""

    def __init__(self, message, code, shown):
        super().__init__(message)
        self.code, self.shown = code, shown


class Terminal:
    def __init__(self, name, shell, environment, folder):
        self.name = name
        self.text = ""  # all that was shown so far, without escapes
        self.seen = 0  # how much of it earlier steps have used up
        self.raw = b""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            attributes = termios.tcgetattr(0)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSANOW, attributes)
            os.execvpe(shell, SHELLS[shell], environment)
        self.send(SET_PROMPTS[shell] + "\n")
        self.wait(lambda text: PROMPT.search(text), "the shell's first prompt", 20)

    def send(self, text):
        os.write(self.file, text.encode())

    def wait(self, found, what, limit):
        """Waits until `found` finds a match in what was shown since the last wait, and returns both."""
        deadline = time.monotonic() + limit
        while True:
            new = self.text[self.seen :]
            match = found(new)
            if match:
                self.seen += match.end()
                return new[: match.end()], match
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed(f"{self.name}: waited {limit} s for {what}; this came instead:\n{new}")
            if select.select([self.file], [], [], left)[0]:
                try:
                    data = os.read(self.file, 65536)
                except OSError:  # the shell has ended
                    data = b""
                if not data:
                    raise Failed(f"{self.name}: the shell has ended while {what} was waited for:\n{new}")
                self.raw += data
                text = ESCAPES.sub("", self.raw.decode(errors="replace"))
                self.text = text.replace("\r\n", "\n")

    def wait_for_line(self, line, limit=60):
        """Waits for a line with these words, while the program that says it is running."""
        either = re.compile(rf"{re.escape(line)}[^\n]*\n|{PROMPT.pattern}")
        shown, match = self.wait(either.search, f"{line!r}", limit)
        if match[1] is not None:
            message = f"{self.name}: exit code {match[1]} before it said {line!r}:\n{shown}"
            raise Ended(message, int(match[1]), shown)
        return shown

    def wait_for_prompt(self, limit=120):
        """Waits for the end of the command, and returns what it showed and its exit code."""
        shown, match = self.wait(lambda text: PROMPT.search(text), "the command to end", limit)
        return shown.removesuffix(match[0]), int(match[1])

    def type(self, line):
        """Types a line. Returns what it shows, and its exit code: None if the shell wants more lines."""
        self.send(line + "\n")
        either = re.compile(f"{PROMPT.pattern}|{re.escape(MORE)}")
        text, match = self.wait(either.search, f"the end of: {line}", 180)
        return text.removesuffix(match[0]), match[1] and int(match[1])

    def paste(self, block, until=None, exit_code=0):
        """Pastes the lines of a block. The last command is waited for, or only what it says (`until`)."""
        shown = ""
        lines = block.splitlines()
        for number, line in enumerate(lines):
            if until and number == len(lines) - 1:
                self.send(line + "\n")
                return shown + self.wait_for_line(until)
            text, code = self.type(line)
            expected = exit_code if number == len(lines) - 1 else 0
            if code not in (None, expected):
                raise Failed(f"{self.name}: exit code {code}, not {expected}, of: {line}\n{text}")
            shown += text
        if code is None:
            raise Failed(f"{self.name}: the shell wants more after the block's last line:\n{block}")
        return shown

    def press_ctrl_c(self):
        """Presses Ctrl-C. Returns what is shown since, and the exit code of what was ended by it."""
        self.send("\x03")
        return self.wait_for_prompt(limit=20)

    def close(self):
        """Closes the window: what runs in it is told so, and then the shell is gone."""
        os.close(self.file)
        for kind in (signal.SIGHUP, signal.SIGKILL):
            os.kill(self.pid, kind)
            for _ in range(100):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.05)
