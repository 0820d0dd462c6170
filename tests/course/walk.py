"""Walks through the course as a reader does: pastes its blocks, in order and unchanged, into two terminals
with an interactive shell, and presses Ctrl-C where the text says so. A second pair of eyes looks with the
service's API whether what the text promises has come about.
"""

import os
import shutil

from steps import ROOT, read_comment, steps
from terminal import Failed, Terminal

SECTION = "The course"
# The heading of the README at which lesson 1 is done, with its Ctrl-C; the last one takes everything away.
LESSON_1_ENDS = "More lessons"
GROUP, POLICY = "tests/course/4-group.md", "tests/course/5-production-policy.md"
CANCEL = "tests/course/2-cancel-and-timeout.md"


class Walk:
    """A reader who walks through the course. Subclasses know where: `place`, `everything` and `service`."""

    place = None
    cloud_terminal = Terminal

    def __init__(self, shell, service, cloud, device):
        """`cloud` and `device` are the environments of the two terminals."""
        self.service = service
        same = {"TERM": "dumb", "CARGO_TERM_COLOR": "never", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}
        self.cloud = self.cloud_terminal("cloud's terminal", shell, cloud | same, ROOT)
        self.device = Terminal("device's terminal", shell, device | same, ROOT)
        self.is_on = False  # whether a program runs in the device's terminal
        self.blocks = 0  # how many were pasted
        # What must hold when all the steps under a heading are done.
        self.after = {
            ("README.md", "The program"): lambda: self.expect_status("hello-1", "SUCCEEDED"),
            ("README.md", "The outcome"): lambda: self.expect_status("hello-2", "SUCCEEDED"),
            (CANCEL, "Cancel a job while it runs"): lambda: self.expect_status("cancel-me", "CANCELED"),
            (CANCEL, "A timeout"): lambda: self.expect_status("too-slow", "TIMED_OUT"),
            (GROUP, "How it stops"): self.is_aborted,
            (POLICY, "What it refuses, and what it allows"): self.is_second_policy,
        }
        self.checked = set()

    # One step.

    def step(self, step):
        """Does what the step says, and returns what was shown."""
        kind, values = read_comment(step.comment, step.block)
        self.is_on = kind == "until" or (self.is_on and kind not in ("exits", "Ctrl-C"))
        if kind == "until":
            return self.start(step.block, values[0])
        if kind == "exits":
            return self.run_to_end(step.block, int(values[0]), values[1])
        if kind == "says":
            return self.device.wait_for_line(values[0])
        if kind == "Ctrl-C":
            return self.press_ctrl_c()
        if kind == "prints":
            return self.paste_and_look(step.block, values[0])
        return self.cloud.paste(step.block)

    def start(self, block, line):
        """Starts a program in the device's terminal, and goes on when it says this."""
        return self.device.paste(block, until=line)

    def run_to_end(self, block, code, words):
        """Runs a program in the device's terminal to its end."""
        shown = self.device.paste(block, exit_code=code)
        if words not in shown:
            raise Failed(f"{words!r} is not in what the device says:\n{shown}")
        return shown

    def paste_and_look(self, block, line):
        """Pastes a block that has to print this line."""
        shown = self.cloud.paste(block)
        if line not in shown.splitlines():
            raise Failed(f"no line of what the block prints is {line!r}:\n{shown}")
        return shown

    def press_ctrl_c(self):
        shown, code = self.device.press_ctrl_c()
        if code != 0:
            raise Failed(f"the device ends with exit code {code} after Ctrl-C, not with 0")
        return shown

    # What the service's API says.

    def expect(self, what, found, expected):
        if found != expected:
            raise Failed(f"the service's API: {what} is {found!r}, not {expected!r}")
        print(f"   [API] {what}: {found}", flush=True)

    def expect_status(self, job, status, thing="my-first-thing"):
        self.expect(f"{job} on {thing}", self.service.status(job, thing), status)

    def is_aborted(self):
        job = self.service.iot.describe_job(jobId="reboot-all")["job"]
        self.expect("the group's job", job["status"], "CANCELED")
        status = self.service.status("reboot-all")
        self.expect("whether the device has failed it", status in ("FAILED", "REJECTED"), True)
        self.expect_status("reboot-all", "CANCELED", "my-second-thing")

    def is_second_policy(self):
        policy = self.service.iot.get_policy(policyName="jobs-mqtt5-policy")
        self.expect("the policy in force", policy["defaultVersionId"], "2")

    def everything_again(self, before):
        """All that is there, when it should be what was there before."""
        return self.everything()

    # All steps.

    def walk_steps(self, all_steps, before=lambda heading: None):
        """Does these steps; `before` is called with each heading before its steps are done."""
        all_steps = [step for step in all_steps if step.place in (None, self.place)]
        for number, step in enumerate(all_steps):
            if number == 0 or all_steps[number - 1].heading != step.heading:
                print(f"\n### {step.heading}", flush=True)
                before(step.heading)
            terminal = "device" if (step.comment or "").startswith("device") else " cloud"
            for typed in (step.block or "").splitlines():
                print(f"{terminal}$ {typed}", flush=True)
            try:
                shown = self.step(step)
                print("".join(f"   {one}\n" for one in shown.splitlines()), end="", flush=True)
                self.blocks += step.block is not None
                last = number + 1 == len(all_steps) or all_steps[number + 1].heading != step.heading
                if last and (step.file, step.heading) in self.after:
                    self.after[step.file, step.heading]()
                    self.checked.add((step.file, step.heading))
            except Failed as error:
                raise Failed(f"{step.file}, line {step.line}, {step.heading!r}: {error}") from None

    def walk_lesson(self, file):
        """Walks through another lesson, and looks whether it leaves things as they were."""
        print(f"\n# {file}", flush=True)
        before, blocks = (self.everything(), files()), self.blocks
        at_the_end = []

        def look(heading):
            if heading == "Back to the beginning":
                at_the_end.append((self.everything(), files()))

        self.walk_steps(steps(file, "The lesson"), look)
        self.expect(f"whether {file} leaves a program running", self.is_on, False)
        # What it makes is seen, or nobody would see that it is left.
        if at_the_end in ([], [before]):
            raise Failed(f"{file} makes nothing, or does not say where it takes it away")
        after = (self.everything_again(before[0]), files())
        if after != before:
            raise Failed(f"{file} leaves {after}, and began with {before}")
        if self.blocks < blocks + 3:
            raise Failed(f"{file} has {self.blocks - blocks} blocks: has a heading changed?")

    def walk_course(self, others):
        """Lesson 1, these others, and the clean-up."""
        all_steps = steps("README.md", SECTION)
        first = 1 + max(at for at, step in enumerate(all_steps) if step.heading == LESSON_1_ENDS)
        self.walk_steps(all_steps[:first])
        self.expect("whether lesson 1 leaves a program running", self.is_on, False)
        for file in others:
            self.walk_lesson(file)
        self.walk_steps(all_steps[first:])

    def expect_whole(self, others):
        """Nothing was passed over: lesson 1 has its blocks (the others are counted when they are walked), and
        each heading with a check was checked."""
        wanted = {(file, heading) for file, heading in self.after if file in ["README.md", *others]}
        if self.blocks < 8 or self.checked != wanted:
            missing = wanted - self.checked
            raise Failed(f"{self.blocks} blocks, and nothing was checked for {missing}: has a heading changed?")

    def close(self):
        """Ends what the steps have left running, if one of them has failed."""
        for terminal in (self.device, self.cloud):
            terminal.close()


def files():
    """What stands in the folder, `target/` aside."""
    return sorted(name for name in os.listdir(ROOT) if name != "target")


def refuse_files_in_the_way():
    """Refuses to begin if the course would overwrite files."""
    ends = (".pem", ".key", ".crt", ".env")
    found = [name for name in files() if name.endswith(ends) or name in ("installed", "identity", "logs", "claim", "token")]
    if found:
        raise Failed(f"these files may be yours, and the course would overwrite them: {', '.join(found)}")


def remove_files(before):
    """Removes what was not there before, and returns its names."""
    left = sorted(set(files()) - set(before))
    for name in left:
        path = os.path.join(ROOT, name)
        (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    return left
