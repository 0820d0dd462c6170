//! A configuration that does not simply lie there: behind a link, with an owner and a mode of its own,
//! mounted.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use local_iot_core::Status;

use super::{done, json_in, outcome};

const GOOD: (&str, &str) = (
    "good",
    r#"{"operation": "write-config", "config": {"report_every_seconds": 7}}"#,
);

/// Has the job done, and looks for what it may have left beside the file.
async fn replaced(path: &Path) {
    let world = done(&[GOOD], path).await;
    assert_eq!(outcome(&world, "good"), (Status::Succeeded, String::new()));
    assert_eq!(json_in(path)["report_every_seconds"], 7);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn behind_a_link_it_is_the_target_that_is_replaced() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, target) = (
        folder.path().join("config.json"),
        data.path().join("real.json"),
    );
    // Over a second link, which is relative; and at first to a file that is not there yet.
    symlink(data.path().join("current"), &link).unwrap();
    symlink("real.json", data.path().join("current")).unwrap();
    for old in [None, Some("{}")] {
        if let Some(old) = old {
            fs::write(&target, old).unwrap();
        }
        replaced(&link).await;
        assert!(link.is_symlink() && data.path().join("current").is_symlink());
        assert_eq!(json_in(&target)["report_every_seconds"], 7);
        assert_eq!(names(folder.path()), ["config.json"]);
        assert_eq!(names(data.path()), ["current", "real.json"]);
    }
}

#[tokio::test]
async fn a_link_that_leads_round_in_a_circle_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    symlink("config.json", &path).unwrap();
    let world = done(&[GOOD], &path).await;
    let (status, reason) = outcome(&world, "good");
    assert_eq!(status, Status::Failed);
    assert!(reason.contains("can't be replaced: "), "{reason}");
    assert!(path.is_symlink());
}

#[tokio::test]
async fn mode_and_owner_stay_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for mode in [0o600, 0o664] {
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        // Only root can give a file away.
        let _ = chown(&path, Some(65_534), Some(65_534));
        let before = fs::metadata(&path).unwrap();
        replaced(&path).await;
        let after = fs::metadata(&path).unwrap();
        assert_ne!(before.ino(), after.ino(), "it was not replaced");
        let kept = |file: &fs::Metadata| (file.mode(), file.uid(), file.gid());
        assert_eq!(kept(&before), kept(&after));
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn what_a_power_failure_has_left_is_removed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, folder.path().join("config.json.new")).unwrap();
    replaced(&path).await;
    assert_eq!(names(folder.path()), ["config.json", "precious"]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

/// A file that is mounted by itself, as into a container. (Needs the right to mount.)
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_mounted_by_itself_stays_as_it_is_and_the_reason_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let outside = folder.path().join("outside.json");
    for file in [&path, &outside] {
        fs::write(file, "{}").unwrap();
    }
    let run = |program: &str, arguments: &[&Path]| {
        let command = std::process::Command::new(program).args(arguments).output();
        command.is_ok_and(|output| output.status.success())
    };
    if !run("mount", &[Path::new("--bind"), &outside, &path]) {
        println!("Nothing can be mounted here.");
        return;
    }
    let world = done(&[GOOD], &path).await;
    let left = names(folder.path());
    let now = fs::read_to_string(&path).unwrap();
    assert!(run("umount", &[&path]));
    let (status, reason) = outcome(&world, "good");
    assert_eq!(status, Status::Failed);
    assert!(reason.ends_with("mount its folder instead"), "{reason}");
    assert_eq!(
        (left, now.as_str()),
        (vec!["config.json".into(), "outside.json".into()], "{}")
    );
}
