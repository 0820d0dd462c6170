"""The page in a real browser. Each step is what a reader would do, and then see."""

import hashlib
import sys
import time
from pathlib import Path

import service
import shown
import use
import widths
from scene import Scene, looks

PAGE = Path(__file__).resolve().parents[1] / "page"
PICTURES = Path(__file__).resolve().parents[1] / "pictures"

STEPS = [
    use.a_job_by_a_click, use.the_details_of_a_message, shown.the_device_at_work, use.by_keyboard, use.the_focus_is_not_lost, use.a_fault_is_armed_and_seen,
    use.a_command_by_its_words, shown.what_a_request_leads_to, shown.the_payload_as_it_was_sent, shown.any_topic,
    shown.a_filter_that_nothing_fits, shown.many_jobs, widths.at_every_width, widths.crowded, widths.details_on_a_phone,
    widths.the_newest_stays_in_sight, widths.for_everybody, shown.after_a_forced_cancel, service.a_recording_without_payloads,
    service.a_hung_service, service.a_wrong_token, service.eight_tabs, service.too_many_windows, shown.any_moment,
    shown.what_is_let_go, use.every_button_of_a_job, use.a_denial, use.names_for_every_control, service.a_reload,
    service.a_foreign_page, service.ten_thousand_messages, service.a_restart_of_the_service, service.a_recording,
]  # fmt: skip


def what_pictures_show():
    """Tells the page that was photographed from one that was changed since."""
    files = sorted(path for path in PAGE.iterdir() if path.suffix in {".html", ".css", ".js"})
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def take_pictures(scene):
    """A job, and one that is cut off: in light and in dark."""
    PICTURES.mkdir(exist_ok=True)
    scene.status("live")
    scene.row("device to service, CONNECT")
    scene.named("Greet").click()
    scene.job_is("greet-1", "SUCCEEDED")
    scene.service.type("fault drop-after update")
    scene.named("Install firmware 1.4.2").click()
    scene.job_is("firmware-1", "SUCCEEDED")
    scene.row("update/rejected")
    scene.named("Report every minute").click()
    scene.job_is("configure-1", "IN_PROGRESS")
    scene.row("next: configure-1.*acknowledged")
    for scheme in ["light", "dark"]:
        looks(scene.driver, 1280, 960, scheme)
        time.sleep(1)
        scene.driver.save_screenshot(str(PICTURES / f"{scheme}.png"))
    (PICTURES / "of.sha256").write_text(what_pictures_show() + "\n")


def main(arguments):
    steps = STEPS
    if "--pictures" in arguments:
        steps = [take_pictures]
    elif (PICTURES / "of.sha256").read_text().strip() != what_pictures_show():
        sys.exit("The page has changed since its pictures were made: tests/examples/try_locally/browser/run --pictures")
    scene = Scene(job_time=8 if steps == [take_pictures] else 1)
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
