"""What is shown is what was sent: every moment, each payload, the time that it took."""

from pathlib import Path

from selenium.webdriver.support.ui import Select

from scene import LIMIT, wait_for

MOMENTS = (Path(__file__).parent / "moments.js").read_text()


def any_moment(scene):
    """Any moment is a row, and its details open; one that is none is a row that says so. Nothing else is lost."""
    scene.driver.refresh()
    scene.status("live")
    for seed in range(40):
        found = scene.driver.execute_script(MOMENTS + "return tryMoments(arguments[0])", seed)
        assert found == {"rows": 120, "refused": 20, "lost": []}, f"seed {seed}: {found}"
    assert scene.js("[...jobs.values()].every((job) => STATES.includes(job.status))")
    scene.driver.refresh()
    scene.status("live")


def what_is_let_go(scene):
    """Memory has a bound, here and in the service. A row says how much came before."""
    many = """(() => {
        const message = (n) => ({ n, at: 1.7e12 + n, kind: "message", way: ["device", "service"], label: "PUBLISH", topic: "dt/a" });
        take(Array.from({ length: MOST_MOMENTS + 5 }, (_, n) => message(n)));
        chart.follows = false;
        byId("chart").scrollTop = 0;
        chart.drawNow();
        return [chart.moments.length <= MOST_MOMENTS, chart.gone];
    })()"""
    is_bounded, gone = scene.js(many)
    assert is_bounded and gone >= 5
    words = lambda: scene.js("byId('rows').firstElementChild.textContent")
    assert words() == f"{gone:,} earlier rows were let go, to keep memory in bounds", words()
    assert f"{gone:,} let go" in scene.one("#count").text
    heavy = """(() => {
        chart.forget();
        const hex = () => "0".repeat(65_536); // 32 KiB
        for (let n = 0; n < 1500; n++) take([{ at: 1.7e12 + n, kind: "message", label: "PUBLISH", topic: "dt/a", token: n, way: ["device", "service"], payload: { hex: hex(), size: 32_768, kept: 32_768 } }]);
        chart.follows = false;
        byId("chart").scrollTop = 0;
        chart.drawNow();
        const held = [...chart.moments, ...chart.requests.values()].filter((one, index, all) => all.indexOf(one) === index);
        return [held.reduce((sum, one) => sum + (one.payload?.hex ?? '').length, 0), chart.gone, chart.moments.length];
    })()"""
    weight, gone, kept = scene.js(heavy)
    assert weight <= 64 * 1024 * 1024 and gone + kept == 1500 and kept > 800, [weight, gone, kept]
    assert words().startswith(f"{gone:,} earlier rows"), words()
    before = '{ gone: 70, policy: {}, open: [3], jobs: { kept: { status: "QUEUED", version: 1, number: 1, details: {} } } }'
    scene.js(f"(chart.forget(), startRun({before}), chart.drawNow())")
    assert words().startswith("70 earlier rows"), words()
    assert scene.one("#connected").text == "connection 3"
    scene.job_is("kept", "QUEUED")
    scene.driver.refresh()
    scene.status("live")


def a_filter_that_nothing_fits(scene):
    """That is told apart from nothing that has happened."""
    told = "[...document.querySelectorAll('#chart > p')].filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    scene.one("#find").send_keys("no such row")
    wait_for("it is told", lambda: scene.js(told) == ["No row fits the filter."])
    scene.one("#find").clear()
    scene.one("#find").send_keys(" ")
    wait_for("the rows", lambda: scene.all("#rows li") and scene.js(told) == [])
    scene.js("(chart.forget(), chart.drawNow())")
    assert "Nothing has happened yet" in scene.js(told)[0]
    scene.driver.refresh()
    scene.status("live")


def many_jobs(scene):
    """What the table has no room for is counted, and is not the next in line. All that waits can be filtered by."""
    told = """((first, last, status, more) => {
        const state = (job_id, status) => ({ at: Date.now() - 9000, kind: "state", label: job_id, about: status, job_id, execution: { status, version: 1, number: 1, details: {} } });
        take([...Array.from({ length: last - first }, (_, n) => state(`waits-${first + n}`, status)), ...more.map(([id, status]) => state(id, status))]);
        return [...byId("jobs").tBodies[0].rows].map((row) => row.dataset.job);
    })(...arguments)"""
    scene.js("jobs.clear()")
    shown = scene.js(told, 0, 60, "QUEUED", [["runs", "IN_PROGRESS"], ["done-0", "FAILED"], ["done-1", "SUCCEEDED"]])
    assert shown == ["runs", *[f"waits-{number}" for number in range(39)]]
    assert scene.one("#jobs-note").text == "and 21 unfinished, 2 finished"
    assert len(scene.all("#only-job option")) == 1 + 61
    assert scene.js(told, 3, 60, "REMOVED", []) == ["runs", "waits-0", "waits-1", "waits-2", "done-1", "done-0"]
    assert scene.one("#jobs-note").text == ""
    scene.driver.refresh()
    scene.status("live")


def any_topic(scene):
    """A client publishes to topics that no policy allows. All rows are there, after a reload as well."""
    for topic in ["$aws/things/my-thing/", "$aws/things/my-thing/jobs/", "$aws/things/my-thing/jobs//update", "$aws/things/my-thing"]:
        scene.publish(topic, b'{"clientToken": "a"}')
    scene.row(r"denied, iot:Publish \$aws/things/my-thing")
    rows = scene.js("chart.moments.length")
    scene.driver.refresh()
    scene.status("live")
    wait_for("all rows", lambda: scene.js("chart.moments.length") >= rows)
    assert scene.js("chart.moments.every((one) => one.label !== arguments[0])", "can't be shown")
    scene.job_is("greet-1", "SUCCEEDED")


def the_payload_as_it_was_sent(scene):
    """Numbers keep their digits, names their order; bytes are bytes; what is cut is said."""
    look = lambda name: scene.one(f"//*[@id='detail']//button[.='{name}']").click()
    text = lambda: scene.js("document.querySelector('#detail pre').textContent")
    sent = b'{"n":12345678901234567890,"a":1.0,"a":1e400}'
    scene.publish("dt/my-thing/number", sent)
    scene.pick(scene.row("dt/my-thing/number"))
    for part in ["12345678901234567890", '"a": 1.0', '"a": 1e400']:
        assert part in text(), text()
    look("As sent")
    assert text() == sent.decode()
    look("Hex")
    assert text().startswith("00000  7b 22 6e 22 3a 31 32 33"), text()
    scene.publish("dt/my-thing/bytes", bytes([0, 0xFF, 0x41]))
    scene.pick(scene.row("dt/my-thing/bytes"))
    assert text().split() == ["00000", "00", "ff", "41", "..A"], text()
    scene.publish("dt/my-thing/long", b"x" * 50_000)
    scene.pick(scene.row("dt/my-thing/long"))
    assert "Cut: the first 32,768 of 50,000 bytes" in scene.one("#detail").text
    look("Copy")
    wait_for("it is copied", lambda: scene.all("//*[@id='detail']//button[.='Copied' or .='Selected']"))
    scene.publish("dt/my-thing/signed", rb"https://a.example/f\u003fX-Amz-Signature=SECRET")
    scene.pick(scene.row("dt/my-thing/signed"))
    assert "SECRET" not in scene.driver.page_source
    scene.one("#close").click()


def the_device_at_work(scene):
    """A bar on its lifeline, from the start to the report, with how far it is; and a mark where it was quiet."""
    report = scene.row("PUBLISH jobs/greet-1/update, SUCCEEDED, .*after [1-9].* of work")
    start = scene.row("start-next/accepted, next: greet-1")
    scene.pick(start)
    wait_for("the bar begins", lambda: scene.js("chart.drawn.get(chart.picked).querySelector('.work.begins') !== null"))
    scene.pick(report)
    wait_for("the bar ends", lambda: scene.js("chart.drawn.get(chart.picked).querySelector('.work.ends') !== null"))
    scene.one("#close").click()
    quiet = "chart.seen.find((row) => row.kind === 'quiet' && row.work.some((one) => one.job === 'greet-1')).quiet"
    assert 900 < scene.js(quiet) < 30_000
    update = '{"kind": "message", "way": ["device", "service"], "label": "PUBLISH", "job_id": "far", "topic": "jobs/far/update", "says": "IN_PROGRESS, 40 %"}'
    scene.js(f"chart.add([Object.assign({update}, {{ at: Date.now() }})])")
    wait_for("how far it is", lambda: "far: at work for" in scene.one("#working").text and "40 %" in scene.one("#working").text)
    assert scene.js("byId('working').querySelector('.work').style.getPropertyValue('--done') === '40%'")
    goes = '{"kind": "message", "way": ["device", "service"], "label": "DISCONNECT"}'
    scene.js(f"chart.add([Object.assign({goes}, {{ at: Date.now() }})])")
    wait_for("a device that goes works no longer", lambda: not scene.one("#working").is_displayed())
    scene.driver.refresh()
    scene.status("live")
    scene.job_is("greet-1", "SUCCEEDED")


def what_a_request_leads_to(scene):
    """The job filter keeps it. The text filter looks at all that a row says; times can be relative."""
    sentences = "chart.seen.filter((row) => row.label).map((row) => chart.sentence(row)).join('\\n')"
    Select(scene.one("#only-job")).select_by_value("greet-1")
    shown = scene.js(sentences)
    for part in ["PUBLISH jobs/start-next, ", "start-next/accepted, next: greet-1", "notify-next, next: greet-1", "notify-next, nothing is pending", "create-job, greet-1"]:
        assert part in shown, f"{part} is not in {shown}"
    assert "firmware-1" not in shown, shown
    Select(scene.one("#only-job")).select_by_value("")
    scene.one("#find").send_keys("Start-Next/ACCEPTED")
    rows = scene.js(sentences).split("\n")
    assert rows and all("start-next/accepted" in row and "after the request" in row for row in rows), rows
    scene.one("#find").clear()
    scene.one("#find").send_keys(" ")
    Select(scene.one("#time")).select_by_value("previous")
    wait_for("relative times", lambda: scene.js("[...document.querySelectorAll('.time')].every((one) => /^\\+\\d+\\.\\d{3} s$/.test(one.textContent))"))
    Select(scene.one("#time")).select_by_value("utc")
    wait_for("the zone", lambda: scene.one("#zone").text == "UTC")


def after_a_forced_cancel(scene):
    """The row of the refusal says that this is as it should be, and is not red."""
    scene.device.end()
    scene.start_device(job_time=LIMIT)  # the work does not end before the click
    scene.named("Greet").click()
    scene.job_is("greet-2", "IN_PROGRESS")
    scene.one("[aria-label='Force cancel: greet-2']").click()
    scene.job_is("greet-2", "CANCELED")
    place = scene.row("greet-2/.*/rejected, (TerminalStateReached|InvalidStateTransition), as it should be: greet-2 was CANCELED")
    assert scene.js("!chart.moments[arguments[0]].bad", place)
    scene.pick(place)
    assert "This is as it should be" in scene.one("#detail").text
    scene.one("#close").click()
