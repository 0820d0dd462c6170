"""The service, the program and a browser, and how to wait for what they do."""

import os
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

ROOT = Path(__file__).resolve().parents[4]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
LIMIT = 60  # seconds: far more than anything takes

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def wait_for(what, condition):
    """Returns what the condition does, as soon as that is something."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"after {LIMIT} seconds still not: {what}")


class Program:
    """A program that runs, and what it says."""

    def __init__(self, *command):
        environment = {name: value for name, value in os.environ.items() if name != "CARGO"}
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines = []
        self.queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            self.queue.put(line)

    def says(self, pattern):
        """Waits for a line with this in it."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                line = self.queue.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {pattern!r}:\n{''.join(self.lines)}") from None
            if found := re.search(pattern, line):
                return found

    def type(self, *lines):
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)


class Scene:
    """All three. The browser is at the page."""

    def __init__(self, job_time):
        self.job_time = job_time
        self.folder = Path(tempfile.mkdtemp(prefix="try_locally-"))
        self.ports = []  # the service's choice, and at the next start the same
        self.programs = []
        self.driver = None
        self.start_service()
        self.start_device()
        self.driver = browser(self.folder / "profile")
        self.driver.get(self.address)

    def start_service(self):
        example = TARGET / "examples" / "try_locally"
        self.service = Program(example, "--serve", "--folder", self.folder / "service", *self.ports)
        self.programs.append(self.service)
        page = self.service.says(r"http://127\.0\.0\.1:(\d+)/\S+")
        self.address = page[0]
        self.flags = self.service.says(r"cargo run -- (.+)")[1].split()
        self.port = self.flags[self.flags.index("--port") + 1]
        self.ports = ["--port", self.port, "--page-port", page[1]]

    def start_device(self, job_time=None):
        self.device = Program(TARGET / "jobs-mqtt5", *self.flags, "--job_time", job_time or self.job_time)
        self.programs.append(self.device)

    def close(self):
        if self.driver:
            self.driver.quit()
        for program in self.programs:
            program.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is seen

    def all(self, selector):
        """The elements that a CSS selector or an XPath (which begins with `//`) finds."""
        by = By.XPATH if selector.startswith("//") else By.CSS_SELECTOR
        return self.driver.find_elements(by, selector)

    def one(self, selector):
        found = self.all(selector)
        assert found, f"no {selector}"
        return found[0]

    def js(self, script, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def named(self, name):
        """The button with this text."""
        return self.one(f"//button[normalize-space()='{name}']")

    def status(self, status):
        wait_for(f"the page says {status}", lambda: self.js("byId('status').dataset.is") == status)

    def row(self, pattern):
        """The place of a row that is described like this, in sight or not."""
        find = "chart.moments.findLastIndex((one) => new RegExp(arguments[0]).test(chart.sentence(one)))"
        return wait_for(f"a row {pattern}", lambda: self.js(find, pattern) + 1) - 1

    def pick(self, place):
        """Shows the details of the row at this place."""
        self.js("chart.pick(chart.moments[arguments[0]])", place)

    def publish(self, topic, payload):
        """Publishes as a device does, at QoS 0, with bytes of our own making."""
        files = dict(zip(self.flags[::2], self.flags[1::2]))
        tls = ssl.create_default_context(cafile=files["--ca_file"])
        tls.load_cert_chain(files["--cert"], files["--key"])
        text = lambda value: len(value).to_bytes(2) + value.encode()
        host = files["--endpoint"]
        with socket.create_connection((host, self.port)) as tcp, tls.wrap_socket(tcp, server_hostname=host) as line:
            line.sendall(packet(0x10, text("MQTT") + b"\x05\x02\x00\x1e\x00" + text("test-page")))
            assert line.recv(1) == b"\x20", "no CONNACK"
            line.sendall(packet(0x30, text(topic) + b"\x00" + payload) + packet(0xE0, b""))
            while line.recv(4096):
                pass  # until the service has closed the connection

    def job_is(self, job_id, state):
        find = "document.querySelector(`[data-job='${arguments[0]}'] .state`)?.textContent"
        wait_for(f"{job_id} is {state}", lambda: self.js(find, job_id) == state)

    def errors(self):
        """What the browser complains about since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


def packet(kind, body):
    """A packet of MQTT: what it is, how long, and the rest."""
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length += bytes([digit | (128 if rest else 0)])
        if not rest:
            return bytes([kind]) + length + body


def browser(profile):
    names = ["chromium", "chromium-browser", "google-chrome"]
    options = Options()
    options.binary_location = next(filter(None, map(shutil.which, names)))
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(LIMIT)
    downloads = {"behavior": "allow", "downloadPath": str(profile.parent / "downloads")}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    looks(driver, 1280, 800, "light")
    return driver


def looks(driver, width, height, scheme, forced="none"):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "forced-colors", "value": forced}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
