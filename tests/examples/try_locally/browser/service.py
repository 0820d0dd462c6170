"""The page and its service: the page says how it is, and gets all that happened."""

import os
import signal
import time

from selenium.webdriver.common.keys import Keys

from scene import wait_for


def a_hung_service(scene):
    """Within seconds the page says that the service does not answer, to who saves as well; once it does, that it is live."""
    os.kill(scene.service.process.pid, signal.SIGSTOP)
    begin = time.monotonic()
    scene.status("hung")
    assert time.monotonic() - begin < 15
    begin = time.monotonic()
    scene.one("#save").click()
    assert scene.one("#save").text == "Saving …"
    wait_for("it gives up", lambda: "did not answer" in scene.one("#refusal").text)
    assert time.monotonic() - begin < 15 and "windows" not in scene.one("#refusal").text
    assert scene.one("#save").text == "Save as a file"
    os.kill(scene.service.process.pid, signal.SIGCONT)
    scene.status("live")


def save(scene):
    """Clicks on Save, and returns the file that comes of it. None if the page says why there is none."""
    file = scene.folder / "downloads" / "jobs-mqtt5.html"
    file.unlink(missing_ok=True)
    scene.js("byId('answers').replaceChildren()")
    scene.one("#save").click()
    wait_for("an answer", lambda: scene.js("byId('answers').textContent"))
    if scene.one("#refusal").text:
        assert not file.exists()
        return None
    wait_for("the file", file.exists)
    return file.read_text()


def a_wrong_token(scene):
    """It is told apart from a service that is gone, and nothing is saved."""
    scene.driver.switch_to.new_window("tab")
    scene.driver.get(scene.address[:-1] + ("0" if scene.address[-1] != "0" else "1"))
    scene.status("refused")
    assert save(scene) is None
    assert "the token is wrong" in scene.one("#refusal").text
    scene.driver.close()
    scene.driver.switch_to.window(scene.driver.window_handles[0])
    assert all("401" in error for error in scene.errors())
    assert '"label":"create-job"' in save(scene)


def eight_tabs(scene):
    """A tab that nobody sees gives its connection back: the one in sight still gets through."""
    for _ in range(7):
        scene.driver.switch_to.new_window("tab")
        scene.driver.get(scene.address)
        scene.status("live")
    assert scene.js("document.visibilityState") == "visible"
    scene.named("Cut the connection now").click()
    scene.row("cloud to service, cut")
    first, *others = scene.driver.window_handles
    for tab in others:
        scene.driver.switch_to.window(tab)
        scene.driver.close()
    scene.driver.switch_to.window(first)
    scene.status("live")
    scene.row("cloud to service, cut")


def too_many_windows(scene):
    """Six connections are all that a browser has for a host: what is held back for that says so."""
    hold = """(window.stopHolding = new AbortController(), Promise.all([1, 2, 3, 4, 5].map(() =>
        fetch("events?last=", { headers: { "X-Token": token() }, signal: window.stopHolding.signal }))))"""
    # The script ends when all five are open: the browser asks for them one after another, and a command that came
    # between two of them would be sent.
    scene.js(f"{hold}.then((held) => (window.held = held).length)")
    scene.one("#line").send_keys("list", Keys.ENTER)
    wait_for("why", lambda: "too many windows" in scene.one("#refusal").text)
    scene.status("live")
    scene.js("window.stopHolding.abort()")
    scene.one("#line").send_keys("list", Keys.ENTER)
    wait_for("an answer", lambda: not scene.one("#refusal").text)


def a_reload(scene):
    """All that happened is there again."""
    before = scene.js("chart.moments.length")
    scene.driver.refresh()
    scene.status("live")
    wait_for("all rows", lambda: scene.js("chart.moments.length") >= before)
    scene.job_is("firmware-1", "SUCCEEDED")


def ten_thousand_messages(scene):
    """They take no more elements than a hundred, and no frame takes long. A reload has them all."""
    scene.service.type("quiet", *[f"publish dt/my-thing/n {number}" for number in range(10_000)])
    wait_for("10,000 rows", lambda: scene.js("chart.moments.length") >= 10_000)
    time.sleep(0.2)
    assert len(scene.all("#rows li")) < 100
    script = """(() => {
        const box = byId("chart"), times = [];
        chart.follows = false;
        for (let part = 1; part <= 20; part++) {
            box.scrollTop = (box.scrollHeight * part) / 20;
            const begin = performance.now();
            chart.drawNow();
            times.push(performance.now() - begin);
        }
        return times.sort((a, b) => a - b)[10];
    })()"""
    median = scene.js(script)
    assert median < 50, f"{median} ms a frame"
    begin = time.monotonic()
    a_reload(scene)
    print(f"    10,000 rows: {median:.1f} ms a frame, {time.monotonic() - begin:.1f} s to load")


def a_foreign_page(scene):
    """Another page in the same browser knows the address and even the token, and gets nowhere."""
    scene.driver.switch_to.new_window("tab")
    scene.driver.get("data:text/html,<title>foreign</title>")
    base, token = scene.address.split("#")
    attempt = """
        const [base, token, done] = arguments;
        const body = 'create-job foreign-1 {"operation": "greet"}';
        const simple = fetch(base + "command", { method: "POST", mode: "no-cors", body });
        const header = fetch(base + "command", { method: "POST", headers: { "X-Token": token }, body });
        const look = fetch(base + "events", { headers: { "X-Token": token } });
        Promise.allSettled([simple, header, look]).then((all) => done(all.map((one) => one.status)));"""
    outcome = scene.driver.execute_async_script(attempt, base, token)
    assert outcome[1:] == ["rejected", "rejected"], outcome
    scene.driver.close()
    scene.driver.switch_to.window(scene.driver.window_handles[0])
    assert not scene.all("[data-job=foreign-1]")
    scene.service.type("list")
    scene.service.says("greet-1 SUCCEEDED")
    assert not any("foreign-1" in line for line in scene.service.lines)
    assert all("blocked by CORS policy" in error or "net::ERR_FAILED" in error for error in scene.errors())


def a_restart_of_the_service(scene):
    """The page says that the service is gone, in the midst of a file as well, and goes on with the next one by itself."""
    throttle = lambda rate: scene.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": rate, "uploadThroughput": -1})
    scene.service.type("quiet", *[f"publish dt/my-thing/long {'x' * 32_000}"] * 600)  # more than fits between the two
    wait_for("600 rows", lambda: scene.js("chart.weight") > 600 * 32_000)
    scene.driver.execute_cdp_cmd("Network.enable", {})
    throttle(100_000)
    scene.one("#save").click()
    time.sleep(1)
    assert scene.one("#save").text == "Saving …"
    scene.service.process.kill()
    scene.service.end()
    throttle(-1)
    wait_for("it is told", lambda: scene.one("#refusal").text == "nothing is saved: the service is gone")
    scene.status("gone")
    assert save(scene) is None
    assert "the service is gone" in scene.one("#refusal").text
    scene.device.process.kill()
    scene.start_service()
    scene.status("live")
    scene.row("the service was started anew")
    scene.named("Greet").click()
    scene.job_is("greet-1", "QUEUED")
    refused = [error for error in scene.errors() if "/events" not in error and "/recording" not in error]
    assert refused == [], refused  # that it was not there for a while is no news


def a_recording_without_payloads(scene):
    """A request and its reply belong together in it as well, and what is as it should be is so."""
    links = "chart.moments.map((one) => [one.took ?? -1, one.partner?.n ?? -1, one.expected ?? ''])"
    linked = scene.js(links)
    assert any(took >= 0 for took, *_ in linked) and any(expected for *_, expected in linked)
    file = scene.folder / "bare.html"
    scene.service.type(f"record {file} no-payloads")
    scene.service.says("written to")
    scene.driver.get(file.as_uri())
    scene.status("recorded")
    assert scene.js("chart.moments.every((one) => !one.payload?.text)")
    assert scene.js(links)[: len(linked)] == linked
    scene.driver.get(scene.address)
    scene.status("live")


def a_recording(scene):
    """What is saved opens by itself, shows the chart, and has nothing to click that needs a service. No script but
    its own runs in it."""
    file = scene.folder / "run.html"
    scene.service.type(f"record {file}")
    scene.service.says("written to")
    scene.driver.get(file.as_uri())
    scene.status("recorded")
    scene.row("cloud to service, create-job, greet-1")
    scene.job_is("greet-1", "QUEUED")
    assert not scene.one("#cut").is_displayed()
    assert scene.js("chart.moments.every((one) => one.label !== arguments[0])", "can't be shown")
    foreign = scene.folder / "foreign.html"
    evil = "<base href='https://evil.example/'><script>document.title = 'evil'</script><img src='x' onerror=\"document.title = 'evil'\">"
    foreign.write_text(file.read_text().replace("</body>", evil + "</body>"))
    scene.driver.get(foreign.as_uri())
    scene.job_is("greet-1", "QUEUED")
    assert scene.driver.title != "evil"
    errors = scene.errors()
    assert len(errors) >= 3 and all("Content Security Policy" in error for error in errors), errors
