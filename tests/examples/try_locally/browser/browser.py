"""The page in a real browser. Each step is what a reader would do, and then see."""

import hashlib
import sys
import time
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from scene import Scene, looks, wait_for

PAGE = Path(__file__).resolve().parents[1] / "page"
PICTURES = Path(__file__).resolve().parents[1] / "pictures"
CONTROLS = {"button", "link", "textbox", "combobox", "checkbox", "spinbutton", "listbox", "searchbox", "DisclosureTriangle"}


def a_job_by_a_click(scene):
    """A click creates a job, and it is seen to reach SUCCEEDED, in the lanes and in the table."""
    scene.status("live")
    scene.row("device to service, CONNECT")
    scene.named("Greet").click()
    scene.job_is("greet-1", "SUCCEEDED")
    scene.row("cloud to service, create-job, greet-1")
    scene.row("greet-1, IN_PROGRESS → SUCCEEDED")
    update = r"device to service, PUBLISH jobs/greet-1/update, SUCCEEDED, QoS 1, packet \d+, acknowledged"
    assert scene.row(update) < scene.row("service to device, PUBLISH jobs/greet-1/update/accepted")
    scene.service.says(r"\(page\) create-job greet-1 .*: greet-1 is QUEUED")


def the_details_of_a_message(scene):
    """A click on a message shows the payload, and the statement of the policy that allowed it."""
    place = scene.row("device to service, PUBLISH jobs/greet-1/update, SUCCEEDED")
    scene.js("chart.pick(arguments[0])", place)
    detail = wait_for("the details", lambda: scene.one("#detail").text)
    for part in ['"status": "SUCCEEDED"', "Allowed by statement 2 (JobsRequests) of the policy", "iot:Publish on arn:aws:iot:"]:
        assert part in detail, f"{part} is not in {detail}"
    scene.named("To the reply").click()
    wait_for("the reply", lambda: "update/accepted" in scene.one("#detail h3").text)
    scene.one("#close").click()
    wait_for("no details", lambda: not scene.one("#detail").is_displayed())


def by_keyboard(scene):
    """Arrow keys go from row to row, Enter shows the details, Escape leads back."""
    scene.js("chart.drawn.get(chart.seen.at(-1)).firstChild.focus()")
    keys = lambda *keys: scene.driver.switch_to.active_element.send_keys(*keys)
    keys(Keys.END)
    keys(Keys.ARROW_UP)
    keys(Keys.ARROW_UP)
    here = scene.js("chart.seen[chart.seen.length - 3]")
    wait_for("the focus is there", lambda: scene.js("Number(document.activeElement.closest('li')?.dataset.place)") == here)
    keys(Keys.ENTER)
    wait_for("the details", lambda: scene.one("#detail").is_displayed())
    keys(Keys.ESCAPE)
    wait_for("no details", lambda: not scene.one("#detail").is_displayed())
    assert scene.js("Number(document.activeElement.closest('li')?.dataset.place)") == here
    keys(Keys.HOME)
    wait_for("the first row", lambda: scene.js("document.activeElement.closest('li')?.dataset.place") == str(scene.js("chart.seen[0]")))


def a_fault_is_armed_and_seen(scene):
    """A fault strikes the next report: the connection breaks, comes back, and the job is done once."""
    scene.one("#faults summary").click()
    Select(scene.one("#operation")).select_by_value("outcome")
    scene.named("drop-after outcome").click()
    wait_for("it is armed", lambda: "drop-after outcome" in scene.one("#armed").text)
    scene.named("Install firmware 1.4.2").click()
    scene.row("fault, drop-after outcome")
    scene.row("connection closed, connection 1")
    scene.row("CONNACK, the session goes on, connection 2")
    scene.job_is("firmware-1", "SUCCEEDED")
    wait_for("it has struck", lambda: scene.one("#armed").text == "No fault is armed.")
    assert "Signature" not in scene.driver.page_source
    scene.named("Cut the connection now").click()
    scene.row("CONNACK, the session goes on, connection 3")


def a_command_by_its_words(scene):
    """What is typed on the page and in the terminal comes to the same, and what fails is said."""
    line = scene.one("#line")
    line.send_keys("cancel-job nothing", Keys.ENTER)
    scene.row("service to cloud, not done, no job 'nothing'")
    wait_for("the answer", lambda: "no job 'nothing'" in scene.one("#answers").text)
    line.send_keys(Keys.ARROW_UP)
    assert line.get_attribute("value") == "cancel-job nothing"
    line.clear()
    scene.service.type('create-job typed-1 {"operation": "greet"}')
    scene.job_is("typed-1", "SUCCEEDED")


def every_button_of_a_job(scene):
    """Jobs for which nobody is there: canceled, timed out, deleted; and one by force."""
    scene.device.end()
    scene.row("DISCONNECT, 0x00")
    for name, job_id, state in [("Cancel", "configure-1", "CANCELED"), ("Time out", "configure-2", "TIMED_OUT")]:
        scene.named("Report every minute").click()
        scene.job_is(job_id, "QUEUED")
        scene.one(f"[data-job={job_id}] [aria-label='{name}: {job_id}']").click()
        scene.job_is(job_id, state)
    scene.one("[data-job=configure-1] [aria-label='Delete: configure-1']").click()
    wait_for("it is gone", lambda: not scene.all("[data-job=configure-1]"))
    nodes = scene.one("#states").text
    assert "TIMED_OUT 1" in nodes and "REMOVED 1" in nodes, nodes


def a_denial(scene):
    """A policy is put in force by a click on the page, and the message that it denies says so."""
    scene.one("#policy summary, [aria-labelledby=policy-name] summary").click()
    text = scene.one("#policy-text")
    policy = text.get_attribute("value")
    assert '"Sid": "Connect"' in policy, policy
    scene.js("arguments[0].value = arguments[1]", text, policy.replace("start-next\"", "nothing\"", 1))
    scene.named("Put in force").click()
    scene.row("another policy is in force")
    scene.start_device()
    scene.js("chart.pick(arguments[0])", scene.row("PUBLISH jobs/start-next, QoS 1, packet .*, refused with 0x87"))
    detail = wait_for("the details", lambda: scene.one("#detail").text)
    assert "Denied by the policy: no statement is about it" in detail, detail
    scene.one("#close").click()
    scene.device.process.wait(60)
    scene.named("The product’s").click()
    scene.start_device()
    scene.row("start-next/accepted, nothing is pending, QoS 1, packet .*, acknowledged, connection 5")


def names_for_every_control(scene):
    """The accessibility tree has a name for every control."""
    for details in scene.all("details:not([open]) > summary"):
        details.click()
    tree = scene.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(controls) > 60, f"only {len(controls)} controls"
    nameless = [node for node in controls if not node.get("name", {}).get("value", "").strip()]
    assert not nameless, nameless
    for details in scene.all("details[open] > summary"):
        details.click()


def on_a_phone(scene):
    """Nothing sticks out on the right."""
    looks(scene.driver, 390, 844, "dark")
    assert scene.js("document.documentElement.scrollWidth") <= 390
    looks(scene.driver, 1280, 800, "light")


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
    wait_for("10,000 rows", lambda: scene.js("chart.seen.length") >= 10_000)
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
        const look = fetch(base + "events?token=" + token);
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
    """The page says that the service is gone, and goes on with the next one by itself."""
    scene.service.end()
    scene.status("gone")
    scene.device.process.kill()
    scene.start_service()
    scene.status("live")
    scene.row("the service was started anew")
    scene.named("Greet").click()
    scene.job_is("greet-1", "QUEUED")
    refused = [error for error in scene.errors() if "/events" not in error]
    assert refused == [], refused  # that it was not there for a while is no news


def a_recording(scene):
    """What is saved opens by itself, shows the chart, and has nothing to click that needs a service."""
    file = scene.folder / "run.html"
    scene.service.type(f"record {file}")
    scene.service.says("written to")
    scene.driver.get(file.as_uri())
    scene.status("recorded")
    scene.row("cloud to service, create-job, greet-1")
    scene.job_is("greet-1", "QUEUED")
    assert not scene.one("#cut").is_displayed()


STEPS = [
    a_job_by_a_click, the_details_of_a_message, by_keyboard, a_fault_is_armed_and_seen, a_command_by_its_words,
    every_button_of_a_job, a_denial, names_for_every_control, on_a_phone, a_reload, a_foreign_page,
    ten_thousand_messages, a_restart_of_the_service, a_recording,
]  # fmt: skip


def what_pictures_show():
    """Tells the page that was photographed from one that was changed since."""
    files = ["chart.html", "chart.css", "chart.js", "page.js"]
    return hashlib.sha256(b"".join((PAGE / name).read_bytes() for name in files)).hexdigest()


def take_pictures(scene):
    """A job, and one that is cut off: in light and in dark."""
    PICTURES.mkdir(exist_ok=True)
    scene.status("live")
    scene.row("device to service, CONNECT")
    scene.named("Greet").click()
    scene.job_is("greet-1", "SUCCEEDED")
    scene.service.type("fault drop-after outcome")
    scene.named("Install firmware 1.4.2").click()
    scene.job_is("firmware-1", "SUCCEEDED")
    scene.row("update/rejected")
    scene.named("Report every minute").click()
    scene.job_is("configure-1", "IN_PROGRESS")
    scene.row("next: configure-1.*acknowledged")
    for scheme in ["light", "dark"]:
        looks(scene.driver, 1280, 860, scheme)
        time.sleep(1)
        scene.driver.save_screenshot(str(PICTURES / f"{scheme}.png"))
    (PICTURES / "of.sha256").write_text(what_pictures_show() + "\n")


def main(arguments):
    steps = STEPS
    if "--pictures" in arguments:
        steps = [take_pictures]
    elif (PICTURES / "of.sha256").read_text().strip() != what_pictures_show():
        sys.exit("The page has changed since its pictures were made: tests/examples/try_locally/browser/run --pictures")
    scene = Scene(job_time=3 if steps == [take_pictures] else 1)
    try:
        for step in steps:
            begin = time.monotonic()
            step(scene)
            assert (errors := scene.errors()) == [], errors
            print(f"{step.__name__.replace('_', ' ')}: {time.monotonic() - begin:.1f} s", flush=True)
    except Exception:
        scene.driver.save_screenshot(str(scene.folder.parent / "try_locally-failed.png"))
        print("".join(scene.service.lines[-40:]), *scene.errors(), sep="\n")
        raise
    finally:
        scene.close()


if __name__ == "__main__":
    main(sys.argv[1:])
