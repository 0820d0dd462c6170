//! Every step on the disk fails, in every way: the configuration is the old one or the new one, and what is
//! reported is which.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::example;
use crate::support::failing_calls;

const OLD: &str = "the old content, which is a good deal longer than the new";
const NEW: &str = "the new content";
const IT: &str = "REPLACE";

/// What the others start as a process of its own, so that it can be killed.
#[test]
#[ignore = "the tests beside it start it"]
fn a_process_that_replaces_a_file() {
    let path = std::env::var_os(IT).expect("it is started by the tests beside it");
    match example::replace(Path::new(&path), NEW.as_bytes()) {
        Ok(()) => println!("SUCCEEDED"),
        Err(reason) => println!("FAILED {reason}"),
    }
}

/// A process that came to these steps, and said this; `None` if it was killed.
struct Ended {
    said: Option<String>,
    steps: Vec<String>,
}

/// Replaces the file in a process of its own, in which that fault strikes at that step.
fn replace(path: &Path, step: usize, fault: &str) -> Ended {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("write_config::each_step::a_process_that_replaces_a_file")
        .env(IT, path)
        .env("LD_PRELOAD", failing_calls())
        .env("FAULT_FOLDER", path.parent().unwrap())
        .env("FAULT_STEP", step.to_string())
        .env("FAULT", fault)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(ended.stdout),
        String::from_utf8(ended.stderr),
    );
    let steps = err.unwrap();
    let steps = steps.lines().filter_map(|line| line.strip_prefix("step "));
    let steps = steps.map(str::to_owned).collect();
    let said = out.unwrap();
    let mut lines = said.lines();
    let said = lines.find(|line| line.starts_with("SUCCEEDED") || line.starts_with("FAILED"));
    assert_eq!(said.is_some(), ended.status.success(), "{steps:?}");
    let said = said.map(str::to_owned);
    Ended { said, steps }
}

/// The steps of a replacement that nothing happens to. (`none` is no fault.)
fn steps() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, OLD).unwrap();
    let Ended { said, steps } = replace(&path, 0, "none");
    assert_eq!(said.as_deref(), Some("SUCCEEDED"));
    steps
}

#[test]
fn the_new_content_is_on_the_disk_before_it_has_its_name_and_the_name_before_it_is_done() {
    let expected = [
        "unlink", // what a power failure has left
        "create", "fchmod", "write", "fsync", "rename", // the file
        "open", "fsync", // its folder
    ];
    assert_eq!(steps(), expected);
}

#[test]
fn what_only_its_owner_could_read_is_never_open_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, OLD).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    // Killed at once, it leaves the file as it was created.
    let Ended { said, steps } = replace(&path, 1, "kill after");
    assert_eq!((said, &*steps[1]), (None, "create"));
    let new = fs::metadata(folder.path().join("config.json.new")).unwrap();
    assert_eq!(new.permissions().mode() & 0o777, 0o600);
}

#[test]
fn whatever_fails_the_old_one_or_the_new_one_is_in_use_and_the_report_says_which() {
    let all = steps().len();
    let faults = [
        "kill before",
        "kill in the middle",
        "kill after",
        "EIO",
        "ENOSPC",
        "EIO after",
        "full",
    ];
    let mut struck = 0;
    for (fault, step) in faults
        .into_iter()
        .flat_map(|fault| (0..all).map(move |step| (fault, step)))
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, OLD).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let Ended { said, steps } = replace(&path, step, fault);
        let now = fs::read_to_string(&path).unwrap();
        let at = format!("{fault} at {:?}: {said:?}, {now:?}", &steps[..=step]);
        match said.as_deref() {
            Some("SUCCEEDED") => assert_eq!(now, NEW, "{at}"),
            Some(_) => assert_eq!(now, OLD, "{at}"),
            None => assert!(now == OLD || now == NEW, "{at}"),
        }
        struck += usize::from(said.is_none() || said.as_deref() != Some("SUCCEEDED"));
        // The next run: nothing is in its way, and nothing is left behind.
        let next = replace(&path, 0, "none");
        assert_eq!(next.said.as_deref(), Some("SUCCEEDED"), "after {at}");
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW, "after {at}");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "after {at}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "after {at}");
    }
    // A kill ends it at each step (in the middle: at the one that writes), an error at most of them.
    assert!(
        struck >= 4 * all,
        "{struck} of {} faults",
        faults.len() * all
    );
}
