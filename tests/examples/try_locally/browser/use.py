"""What a reader does on the page, and then sees."""

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from scene import wait_for

CONTROLS = {"button", "link", "textbox", "combobox", "checkbox", "spinbutton", "listbox", "searchbox", "DisclosureTriangle"}


def a_job_by_a_click(scene):
    """A click creates a job, and it is seen to reach SUCCEEDED, in the lanes and in the table."""
    scene.status("live")
    scene.row("device to service, CONNECT")
    scene.named("Greet").click()
    scene.job_is("greet-1", "SUCCEEDED")
    scene.row("cloud to service, create-job, greet-1")
    scene.row("greet-1, IN_PROGRESS → SUCCEEDED")
    update = r"device to service, PUBLISH jobs/greet-1/update, SUCCEEDED, QoS 1, packet \d+, after .* of work, acknowledged"
    assert scene.row(update) < scene.row("service to device, PUBLISH jobs/greet-1/update/accepted")
    scene.service.says(r"\(page\) create-job greet-1 .*: greet-1 is QUEUED")


def the_details_of_a_message(scene):
    """A click on a message shows the payload, and the statement of the policy that allowed it."""
    place = scene.row("device to service, PUBLISH jobs/greet-1/update, SUCCEEDED")
    scene.pick(place)
    detail = wait_for("the details", lambda: scene.one("#detail").text)
    for part in ['"status": "SUCCEEDED"', "Allowed by statement 2 (JobsRequests) of the policy in force", "iot:Publish on arn:aws:iot:"]:
        assert part in detail, f"{part} is not in {detail}"
    scene.named("To the reply").click()
    wait_for("the reply", lambda: "update/accepted" in scene.one("#detail h3").text)
    scene.one("#close").click()
    wait_for("no details", lambda: not scene.one("#detail").is_displayed())


def by_keyboard(scene):
    """Arrow keys go from row to row, Enter shows the details and leads there, Escape leads back."""
    focused = "chart.seen.findIndex((row) => chart.drawn.get(row)?.contains(document.activeElement))"
    scene.js("chart.drawn.get(chart.seen.at(-1)).firstChild.focus()")
    keys = lambda *keys: scene.driver.switch_to.active_element.send_keys(*keys)
    keys(Keys.END)
    keys(Keys.ARROW_UP)
    keys(Keys.ARROW_UP)
    here = scene.js("chart.seen.length - 3")
    wait_for("the focus is there", lambda: scene.js(focused) == here)
    keys(Keys.ENTER)
    wait_for("the details are read out", lambda: scene.js("document.activeElement.id") == "detail-name")
    assert scene.one("#detail").is_displayed()
    keys(Keys.ESCAPE)
    wait_for("no details", lambda: not scene.one("#detail").is_displayed())
    assert scene.js(focused) == here
    keys(Keys.HOME)
    wait_for("the first row", lambda: scene.js(focused) == 0)
    for _ in range(scene.js("chart.seen.findIndex((row) => row.kind === 'quiet')") + 1):
        keys(Keys.ARROW_DOWN)
    assert scene.js(f"chart.seen[{focused}].label"), "the focus is on no row"


def the_focus_is_not_lost(scene):
    """A row that has the focus is drawn anew when its filter lets another one through, or is filtered out."""
    focused = "chart.seen.find((row) => chart.drawn.get(row)?.contains(document.activeElement))?.topic"
    message = """((way, topic, job_id, token) => chart.add([{ at: Date.now(), kind: "message", label: "PUBLISH", way, topic, job_id, token }]))"""
    scene.js(f'{message}(["device", "service"], "jobs/start-next", undefined, 1e9)')
    scene.js(f'{message}(["service", "device"], "jobs/later/get/accepted", "later")')
    scene.js("(chart.filters.job = 'later', chart.filter(), chart.drawNow())")
    scene.js("chart.drawn.get(chart.seen.at(-1)).firstChild.focus()")
    scene.js(f'{message}(["service", "device"], "jobs/start-next/accepted", "later", 1e9)')
    shown = scene.js("chart.seen.filter((row) => row.label).map((row) => row.topic)")
    assert shown == ["jobs/start-next", "jobs/later/get/accepted", "jobs/start-next/accepted"], shown
    assert scene.js(focused) == "jobs/later/get/accepted"
    keys = lambda *keys: scene.driver.switch_to.active_element.send_keys(*keys)
    keys(Keys.ENTER)
    wait_for("the details", lambda: scene.js("document.activeElement.id") == "detail-name")
    scene.js("(chart.filters.text = 'start-next/accepted', chart.filter())")
    keys(Keys.ESCAPE)
    assert scene.js(focused) == "jobs/start-next/accepted"
    keys(Keys.ENTER)
    scene.js("(chart.filters.text = 'no such row', chart.filter())")
    keys(Keys.ESCAPE)
    assert scene.js("document.activeElement.id") == "find"
    scene.js("(chart.filters.text = chart.filters.job = '', chart.filter())")
    scene.driver.refresh()
    scene.status("live")


def a_fault_is_armed_and_seen(scene):
    """A fault strikes the next report: the connection breaks, comes back, and the job is done once."""
    assert [len(scene.all(where)) for where in ["#first-faults .fault-line", "#fault-list > details"]] == [6, 3]
    Select(scene.one("#operation")).select_by_value("outcome")
    scene.named("Cut off after the request was carried out").click()
    wait_for("it is armed", lambda: "drop-after outcome" in scene.one("#armed").text)
    scene.named("Install firmware 1.4.2").click()
    scene.row("fault, drop-after outcome")
    scene.row("connection 1 is closed without DISCONNECT")
    scene.row("CONNACK, the session goes on, connection 2")
    scene.job_is("firmware-1", "SUCCEEDED")
    scene.row("rejected, InvalidStateTransition, as it should be: firmware-1 was SUCCEEDED already")
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
        scene.one(f"[data-job={job_id}] [aria-label='{name}: {job_id}']").send_keys(Keys.ENTER)
        scene.job_is(job_id, state)
        wait_for("the focus is at the same job", lambda: scene.js("document.activeElement.closest('tr')?.dataset.job") == job_id)
    scene.one("[data-job=configure-1] [aria-label='Delete: configure-1']").send_keys(Keys.ENTER)
    wait_for("it is gone", lambda: not scene.all("[data-job=configure-1]"))
    wait_for("the focus is at the next job", lambda: scene.js("document.activeElement.closest('#jobs tr') !== null"))
    nodes = scene.js("byId('states-name').textContent")
    assert "1 TIMED_OUT" in nodes and "1 REMOVED" in nodes, nodes


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
    scene.pick(scene.row("PUBLISH jobs/start-next, QoS 1, packet .*, refused with 0x87"))
    detail = wait_for("the details", lambda: scene.one("#detail").text)
    assert "Denied by the policy in force: no statement is about it" in detail, detail
    scene.one("#close").click()
    scene.device.process.wait(60)
    scene.named("The product’s").click()
    in_force = scene.row("cloud to service, policy, product")
    scene.start_device()
    accepted = "start-next/accepted, nothing is pending, QoS 1, packet .* after the request, acknowledged"
    wait_for("it is allowed again", lambda: scene.row(accepted) > in_force)


def names_for_every_control(scene):
    """The accessibility tree has a name for every control."""
    scene.js("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    tree = scene.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(controls) > 60, f"only {len(controls)} controls"
    nameless = [node for node in controls if not node.get("name", {}).get("value", "").strip()]
    assert not nameless, nameless
    scene.js("document.querySelectorAll('details').forEach((one) => (one.open = false))")
