//! tests/deploy/boot alone: whatever is on the disk and whatever fails, it starts something; and a start on
//! trial that was not counted is none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::example::slots::{State, Update};
use tempfile::TempDir;

const SETTLED: &str = "active=b\ndowngrades=0\na=p 1.0.0\nb=p 1.1.0\n";
const TRIAL: &str = "active=b\ndowngrades=0\na=p 1.0.0\nb=p 1.1.0\ntrial=job/1/0\nstarts=1\n";

/// What boot asks of other programs: each can fail.
const TOOLS: [&str; 6] = ["rm", "sed", "sync", "grep", "mv", "timeout"];
/// How: with nothing done; although it was done; half done (of its output); and with all killed, before and
/// after.
const FAULTS: [&str; 5] = ["fail", "fail-after", "half", "kill", "kill-after"];

struct Slots(TempDir);

impl Slots {
    /// Slots with a good program in each.
    fn with(boot: &str) -> Self {
        let slots = Self(tempfile::tempdir().unwrap());
        fs::write(slots.path("boot"), boot).unwrap();
        for slot in ["a", "b"] {
            slots.program(
                slot,
                "#!/bin/sh\n[ \"$1\" = --version ] || echo \"$BOOT_SLOT: $BOOT_WHY\"\n",
            );
        }
        slots
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, slot: &str, content: &str) {
        fs::write(self.path(slot), content).unwrap();
        fs::set_permissions(self.path(slot), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn state(&self) -> State {
        State::read(&fs::read_to_string(self.path("boot")).unwrap())
    }

    fn starts(&self) -> Option<u32> {
        match self.state().update {
            Update::Trial { starts, .. } => Some(starts),
            _ => None,
        }
    }

    fn boot(&self) -> String {
        self.boot_with(|_| ())
    }

    /// Runs boot, and returns what the program says that it has started.
    fn boot_with(&self, set: impl FnOnce(&mut Command)) -> String {
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/boot");
        let mut command = Command::new(boot);
        command.env("FIRMWARE_FOLDER", self.0.path());
        command.env("TRIAL_SECONDS", "5").stderr(Stdio::null());
        set(&mut command);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

#[test]
fn a_trial_is_counted_and_gone_back_on_after_three_starts() {
    let slots = Slots::with(&TRIAL.replace("starts=1", "starts=0"));
    for starts in 1..=3 {
        assert_eq!(slots.boot(), "b: \n");
        assert_eq!(slots.starts(), Some(starts));
    }
    let before = slots.state();
    assert_eq!(
        slots.boot(),
        "a: it was started 3 times, and never reported\n"
    );
    assert_eq!(
        slots.state(),
        before,
        "what becomes of it is for the program"
    );
    for garbage in ["starts=x", "starts=", ""] {
        let slots = Slots::with(&TRIAL.replace("starts=1", garbage));
        assert!(slots.boot().starts_with("a: "), "{garbage}");
    }
}

#[test]
fn a_slot_that_cannot_be_started_is_not_started_if_the_other_can() {
    for text in [SETTLED, TRIAL] {
        type Breaks = fn(&Slots);
        let breaks: [(&str, Breaks); 6] = [
            ("missing", |slots| fs::remove_file(slots.path("b")).unwrap()),
            ("empty", |slots| slots.program("b", "")),
            ("a folder", |slots| {
                fs::remove_file(slots.path("b")).unwrap();
                fs::create_dir(slots.path("b")).unwrap();
            }),
            ("not executable", |slots| {
                let mode = fs::Permissions::from_mode(0o644);
                fs::set_permissions(slots.path("b"), mode).unwrap();
            }),
            ("for another machine", |slots| {
                slots.program("b", "\x7fELF\x02\x01\x01")
            }),
            ("without its interpreter", |slots| {
                slots.program("b", "#!/no/such/thing\n")
            }),
        ];
        for (how, breaks) in breaks {
            let slots = Slots::with(text);
            breaks(&slots);
            let said = slots.boot();
            assert!(said.starts_with("a: "), "{how}: {said}");
            assert_eq!(slots.state(), State::read(text), "{how}: it is not counted");
        }
    }
    // Back, to a slot that is not there: the new one is better than none.
    let slots = Slots::with(&TRIAL.replace("starts=1", "starts=3"));
    fs::remove_file(slots.path("a")).unwrap();
    assert!(slots.boot().starts_with("b: "));
}

/// GNU's `timeout` says so by 124; BusyBox's ends like the program, by SIGTERM.
#[test]
fn one_that_is_slow_to_say_its_version_is_given_its_chance_whosever_timeout_it_is() {
    for status in [124, 143] {
        let slots = Slots::with(TRIAL);
        fs::create_dir(slots.path("bin")).unwrap();
        slots.program("bin/timeout", &format!("#!/bin/sh\nexit {status}\n"));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", slots.path("bin").display());
        let said = slots.boot_with(|command| {
            command.env("PATH", path);
        });
        assert_eq!(
            (said.as_str(), slots.starts()),
            ("b: \n", Some(2)),
            "{status}"
        );
    }
}

#[test]
fn garbage_in_boot_starts_slot_a_and_no_link_is_followed() {
    for text in ["", "\0\u{1}garbage", "active=", "active=c\n"] {
        assert_eq!(Slots::with(text).boot(), "a: \n", "{text:?}");
    }
    let slots = Slots::with(TRIAL);
    fs::write(slots.path("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(slots.path("precious"), slots.path("boot.new")).unwrap();
    assert_eq!(slots.boot(), "b: \n");
    assert_eq!(fs::read(slots.path("precious")).unwrap(), b"precious");
    assert_eq!(slots.starts(), Some(2));
}

/// A folder of programs, each of which is the real one, and says so in a file; at one number, it fails.
fn faulty_tools() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for tool in TOOLS {
        let real = ["/usr/bin", "/bin"].map(|bin| format!("{bin}/{tool}"));
        let real = real.iter().find(|path| Path::new(path).exists()).unwrap();
        let script = format!(
            "#!/bin/sh\necho {tool} >> \"$LOG\"\n\
             if [ $(wc -l < \"$LOG\") -eq \"$AT\" ]; then case $FAULT in\n\
             fail) exit 1 ;;\nfail-after) {real} \"$@\"; exit 1 ;;\n\
             half) {real} \"$@\" | head -c 20; exit ;;\n\
             kill) kill -9 0 ;;\nkill-after) {real} \"$@\"; kill -9 0 ;;\nesac; fi\n\
             exec {real} \"$@\"\n"
        );
        let path = folder.path().join(tool);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[test]
fn whatever_fails_a_slot_is_started_and_a_trial_only_if_it_was_counted() {
    let tools = faulty_tools();
    let path = format!(
        "{}:{}",
        tools.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut struck = 0;
    for (text, fault) in [SETTLED, TRIAL]
        .into_iter()
        .flat_map(|text| FAULTS.map(|fault| (text, fault)))
    {
        for at in 1.. {
            let slots = Slots::with(text);
            let said = slots.boot_with(|command| {
                command.env("PATH", &path).env("LOG", slots.path("log"));
                command.env("AT", at.to_string()).env("FAULT", fault);
                command.process_group(0);
            });
            let log = fs::read_to_string(slots.path("log")).unwrap();
            let told = format!(
                "{fault} at {at} of {:?}: {said}",
                log.split('\n').collect::<Vec<_>>()
            );
            let counted = slots.starts();
            assert!(matches!(counted, None | Some(1 | 2)), "{told}");
            assert_eq!(slots.state().active, "b", "{told}");
            if !fault.starts_with("kill") {
                assert!(said.starts_with("a: ") || said.starts_with("b: "), "{told}");
                if text == TRIAL && said.starts_with("b: ") {
                    assert_eq!(counted, Some(2), "{told}");
                }
            }
            let next = slots.boot();
            assert!(next.starts_with("b: "), "{told}: and then {next}");
            if log.lines().count() < at {
                break;
            }
            struck += 1;
        }
    }
    assert!(struck > 40, "{struck}");
    println!("{struck} faults in boot");
}

/// A disk that is full, or read-only: as root there is no other way to have one than to mount it.
#[test]
fn a_disk_that_is_full_or_read_only_does_not_keep_a_trial_from_going_back() {
    for options in ["size=64k", "ro"] {
        let slots = Slots::with(TRIAL);
        let script = format!(
            "mount -t tmpfs -o size=64k tmpfs {folder} && cp -a {from}/. {folder} && \
             if [ {options} = ro ]; then mount -o remount,ro {folder}; \
             else dd if=/dev/zero of={folder}/full bs=1k 2>/dev/null; fi; \
             FIRMWARE_FOLDER={folder} {boot} 2>&1; FIRMWARE_FOLDER={folder} {boot} 2>&1",
            folder = "/mnt",
            from = slots.0.path().display(),
            boot = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/deploy/boot")
                .display(),
        );
        let unshared = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .output();
        let Ok(unshared) = unshared
            .as_ref()
            .map(|it| String::from_utf8_lossy(&it.stdout))
        else {
            println!("There is no unshare here: not tried.");
            return;
        };
        if unshared.is_empty() {
            println!("Nothing can be mounted here: not tried.");
            return;
        }
        let lines = unshared.lines().filter(|line| line.starts_with(['a', 'b']));
        let lines: Vec<&str> = lines.collect();
        let why = "a: its start can't be written down";
        assert_eq!(lines, [why; 2], "{options}: {unshared}");
    }
}
