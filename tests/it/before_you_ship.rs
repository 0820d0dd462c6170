//! What tests/deploy/README.md gives to systemd and to Docker, as far as that can be seen without either
//! running. (tests/deploy/under_systemd starts the unit.)

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::readme::has_lines;

const FOLDER: &str = "tests/deploy";

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn what_is_quoted_stands_here() {
    let page = read("README.md");
    let (_, quoted) = page
        .split_once("<!-- from tests/it/before_you_ship.rs -->")
        .unwrap();
    let quoted = quoted.split("```").nth(1).unwrap();
    let (_language, quoted) = quoted.split_once('\n').unwrap();
    let quoted = quoted.trim_end();
    assert!(quoted.lines().count() > 5);
    assert!(
        has_lines(include_str!("before_you_ship.rs"), quoted),
        "{quoted}"
    );
}

#[test]
fn the_unit_comes_back_after_any_end_that_nobody_asked_systemd_for() {
    let unit = read("jobs-mqtt5.service");
    assert!(unit.contains("\nRestart=always\n"), "{unit}");
    // So often, and then it stays away: not for a device.
    assert!(unit.contains("\nStartLimitIntervalSec=0\n"), "{unit}");
    let page = read("README.md");
    assert!(!unit.contains("on-failure") && !page.contains("on-failure"));
    for file in [unit, read("updated.conf")] {
        assert!(!file.contains("PreventExitStatus"), "{file}");
    }
    assert!(page.contains("docker run --restart unless-stopped "));
}

#[test]
fn systemd_finds_the_unit_little_exposed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/jobs-mqtt5.service");
    let Ok(looked_at) = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(path)
        .output()
    else {
        println!("There is no systemd-analyze here, so nobody looks at the unit.");
        return;
    };
    let said = String::from_utf8_lossy(&looked_at.stdout);
    let Some((_, exposure)) = said.split_once("Overall exposure level for jobs-mqtt5.service: ")
    else {
        // Before systemd 250, it looks at units that are loaded only.
        println!("systemd-analyze does not look at files here.");
        return;
    };
    let exposure: f32 = exposure.split(' ').next().unwrap().parse().unwrap();
    assert!(exposure <= 2.0, "{said}");
}

#[test]
fn nothing_goes_to_docker_but_what_is_copied() {
    let copied = read("Dockerfile");
    let copied = copied.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: Vec<_> = copied.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(copied.len(), 1);
    let ignored = read("Dockerfile.dockerignore");
    let ignored: Vec<_> = ignored
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(ignored, ["*", &format!("!{}", copied[0])]);
}

#[cfg(unix)]
mod watchdog {
    use std::ffi::OsString;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    /// Tells systemd that the program is alive. Never ends, whatever comes of it.
    async fn watchdog(notify_socket: Option<OsString>) {
        let Some(systemd) = notify_socket else {
            return std::future::pending().await; // no unit, or one without WatchdogSec=
        };
        loop {
            let _ =
                UnixDatagram::unbound().and_then(|socket| socket.send_to(b"WATCHDOG=1", &systemd));
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    }

    /// A program that does its jobs, with a watchdog beside it.
    async fn ends_with(notify_socket: Option<OsString>) -> &'static str {
        tokio::select! {
            biased;
            () = watchdog(notify_socket) => "the watchdog",
            () = tokio::time::sleep(Duration::from_secs(60)) => "what it is there for",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_ends_the_program() {
        let nowhere = Some("/nowhere/notify".into());
        for notify_socket in [None, nowhere] {
            assert_eq!(ends_with(notify_socket).await, "what it is there for");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn systemd_hears_of_it_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        assert_eq!(ends_with(Some(path.into())).await, "what it is there for");
        for _ in 0..3 {
            let mut heard = [0; 32];
            let length = systemd.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"WATCHDOG=1");
        }
    }
}
