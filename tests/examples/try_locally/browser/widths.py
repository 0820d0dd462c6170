"""How the page looks, at every width and for everybody."""

from scene import ROOT, looks, wait_for

AXE = ROOT / "target" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = [320, 390, 620, 1024, 1440]

# What is wrong with where things are, as sentences.
LOOK = """(() => {
    const wrong = [], box = (element) => element.getBoundingClientRect();
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility({ visibilityProperty: true }) && box(one).width > 0);
    const { scrollWidth, clientWidth } = document.documentElement; // without the scroll bar
    if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} wide, of ${clientWidth}`);
    const heads = shown(".lane").map(box);
    for (let index = 1; index < heads.length; index++) if (heads[index].left < heads[index - 1].right + 4) wrong.push("headings collide");
    if (heads.length !== 3 || heads[2].right > box(byId("chart")).right) wrong.push("a heading is cut off");
    for (const row of shown("#rows .row.message, #rows .row.ack, #rows .row.command")) {
        const words = row.querySelector(".words"), parts = [...words.children].filter((one) => !one.matches(".tick") && box(one).width > 12);
        if (!parts.length) wrong.push(`a naked arrow: ${row.textContent}`);
        if (words.matches(".right") && box(words).left < box(document.querySelector(".line.service")).right) wrong.push(`across the service's line: ${words.textContent}`);
        if (box(words).right > box(row).right) wrong.push(`too wide: ${words.textContent}`);
    }
    for (const node of document.querySelectorAll(".node")) {
        const frame = box(node.querySelector("rect"));
        for (const text of node.querySelectorAll("text")) if (text.textContent && (box(text).left < frame.left || box(text).right > frame.right || box(text).bottom > frame.bottom || box(text).top < frame.top)) wrong.push(`out of its box: ${text.textContent}`);
    }
    for (const control of shown("button, select, input:not([type=checkbox]), textarea, summary, label:has([type=checkbox])")) {
        const { width, height } = box(control);
        if (width < 24 || height < 24) wrong.push(`${control.textContent || control.id}: ${width} x ${height}`);
    }
    const line = getComputedStyle(document.querySelector(".line.device"));
    const back = getComputedStyle(byId("chart")).backgroundColor;
    if (parseFloat(line.borderLeftWidth) < 1 || line.borderLeftColor === back) wrong.push("no lifelines");
    return wrong;
})()"""


def at_every_width(scene):
    """Headings, arrows and boxes have room, in light, in dark and in forced colors; nothing is too small to hit."""
    for width in WIDTHS:
        for scheme, forced in [("light", "none"), ("dark", "none"), ("dark", "active")]:
            looks(scene.driver, width, 900, scheme, forced)
            scene.js("byId('show-acks').checked || byId('show-acks').click()")
            for part in [0, 0.5, 1]:
                scene.js("byId('chart').scrollTop = byId('chart').scrollHeight * arguments[0]", part)
                scene.js("chart.drawNow()")
                wrong = scene.js(LOOK)
                assert not wrong, f"{width}, {scheme}, forced colors {forced}: {wrong}"
    scene.js("byId('show-acks').click()")
    looks(scene.driver, 1280, 800, "light")


def crowded(scene):
    """A thousand jobs, a hundred and twenty connections: the numbers stay in their boxes, what runs comes first."""
    crowd = """(() => {
        const state = (job_id, status) => ({ at: Date.now() - 9000, kind: "state", label: job_id, about: status, job_id, execution: { status, version: 1, number: 1, details: {} } });
        take([state("runs-1", "IN_PROGRESS"), state("waits-1", "QUEUED"), ...Array.from({ length: 1013 }, (_, n) => state(`done-${n}`, "SUCCEEDED"))]);
        chart.open = Array.from({ length: 120 }, (_, n) => n + 1);
        take([{ at: Date.now(), kind: "message", way: ["device", "service"], label: "CONNECT", connection: 60 }]);
        chart.drawNow();
        return byId("jobs").tBodies[0].rows[0].dataset.job + " " + byId("jobs").tBodies[0].rows[1].dataset.job;
    })()"""
    assert scene.js(crowd) == "runs-1 waits-1"
    assert scene.one("#connected").text == "120 connections"
    at_every_width(scene)
    scene.driver.refresh()
    scene.status("live")


def details_on_a_phone(scene):
    """Their heading has the whole width to itself."""
    looks(scene.driver, 320, 900, "light")
    scene.pick(scene.row("PUBLISH jobs/greet-1/update, SUCCEEDED"))
    wait_for("the details", lambda: scene.one("#partner").is_displayed())
    assert scene.js("byId('detail-name').clientWidth / byId('detail-body').clientWidth") == 1
    scene.one("#close").click()
    looks(scene.driver, 1280, 800, "light")


def the_newest_stays_in_sight(scene):
    """A window that changes its size is not a reader who scrolls."""
    scene.js("(chart.follows = true, chart.drawNow())")
    for height in [500, 900, 420, 800]:
        looks(scene.driver, 1280, height, "light")
        newest = "byId('chart').scrollTop + byId('chart').clientHeight >= byId('chart').scrollHeight - 4"
        wait_for("the size", lambda: scene.js("innerHeight") == height and scene.js("chart.height === byId('chart').clientHeight"))
        wait_for(f"the newest, at {height}", lambda: scene.js(newest) and not scene.one("#newest").is_displayed())
    scene.js("byId('chart').scrollTop = 0")
    wait_for("the way back", lambda: scene.one("#newest").is_displayed())
    scene.named("Jump to latest").click()
    wait_for("the newest", lambda: scene.js(newest))


def for_everybody(scene):
    """What axe-core looks for, in light, dark and on a phone: WCAG 2.2, A and AA, and what else is good practice."""
    scene.pick(scene.row("PUBLISH jobs/greet-1/update, SUCCEEDED"))
    scene.js("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    scene.driver.execute_script(AXE.read_text())
    for width, scheme in [(1440, "light"), (1440, "dark"), (390, "light")]:
        looks(scene.driver, width, 900, scheme)
        script = "const done = arguments[0]; axe.run({ resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }).then(done)"
        found = scene.driver.execute_async_script(script)
        assert len(found["passes"]) > 20, "axe-core has looked at nothing"
        told = [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found["violations"]]
        assert not told, f"{width}, {scheme}: {told}"
    scene.js("document.querySelectorAll('details').forEach((one) => (one.open = false))")
    scene.one("#close").click()
    looks(scene.driver, 1280, 800, "light")
