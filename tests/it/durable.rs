//! The module `durable` of the worked examples: a file is replaced as a whole, whatever fails.
#![cfg(unix)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::support::{Fault, FaultyDisk, eventually, faulty_disk_for};

#[path = "../examples/durable.rs"]
#[allow(dead_code)] // each example uses a part of it
mod example;

use example::{Folder, RealDisk, remove, rename, replace};

faulty_disk_for!(crate::durable::example::Disk);

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Does something with the file `it`, which says `old`, with each fault at each step of it. Afterwards it
/// says `old` or `new`; `new` for sure, if it was said to be done; and it can be done the next time.
fn with_each_fault(does: impl Fn(&FaultyDisk, &Path) -> std::io::Result<()>) -> usize {
    let mut count = 0;
    for fault in Fault::all() {
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("it");
            fs::write(&path, "old").unwrap();
            fs::write(folder.path().join("other"), "new").unwrap();
            let disk = FaultyDisk::new(folder.path(), Some((step, fault)));
            let done = catch_unwind(AssertUnwindSafe(|| does(&disk, &path)));
            if !disk.has_struck() {
                assert!(matches!(done, Ok(Ok(()))), "{fault:?}: without a fault");
                break;
            }
            count += 1;
            let now = text(&path);
            let at = format!("{fault:?} at {:?}: {now:?}", disk.steps());
            assert!(now == "old" || now == "new", "{at}");
            if matches!(done, Ok(Ok(()))) {
                assert_eq!(now, "new", "{at}");
            }
            disk.restart();
            disk.mend();
            if path.parent().unwrap().join("other").exists() {
                does(&disk, &path).unwrap();
            }
            assert_eq!(text(&path), "new", "{at}, and once more");
            assert!(!folder.path().join("it.new").exists(), "{at}: a leftover");
        }
    }
    count
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all_whatever_fails() {
    let count = with_each_fault(|disk, path| replace(disk, path, b"new", 0o600));
    assert!(count > 50, "{count}");
}

#[test]
fn a_file_takes_the_place_of_another_or_does_not_whatever_fails() {
    let count = with_each_fault(|disk, path| rename(disk, &path.with_file_name("other"), path));
    assert!(count > 20, "{count}");
}

#[test]
fn what_was_said_to_be_done_survives_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    fs::write(&path, "old").unwrap();
    // (What was not synced is there by its name, and empty.)
    for (ignores_syncs, survives) in [(true, ""), (false, "new")] {
        let disk = FaultyDisk::new(folder.path(), Some((5, Fault::NamesOnly)));
        if ignores_syncs {
            disk.ignore_syncs();
        }
        replace(&disk, &path, b"new", 0o600).unwrap();
        let next = || remove(&disk, &folder.path().join("it.new"));
        let _ = catch_unwind(AssertUnwindSafe(next));
        assert!(disk.has_struck(), "{:?}", disk.steps());
        assert_eq!(text(&path), survives, "{:?}", disk.steps());
    }
}

#[test]
fn a_link_stays_a_link_and_its_target_is_replaced() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, target) = (folder.path().join("it"), data.path().join("real"));
    fs::write(&target, "old").unwrap();
    symlink(&target, &link).unwrap();
    replace(&RealDisk, &link, b"new", 0o600).unwrap();
    assert!(link.is_symlink());
    assert_eq!(text(&target), "new");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "a leftover");

    fs::remove_file(&target).unwrap();
    let error = replace(&RealDisk, &link, b"new", 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn what_somebody_else_has_left_is_replaced_by_a_file_of_the_folder_s_owner() {
    let folder = tempfile::tempdir().unwrap();
    let files = Folder::open(folder.path(), Arc::new(RealDisk)).unwrap();
    let path = files.path("it");
    let owner = |path: &Path| fs::metadata(path).map(|it| (it.uid(), it.gid())).unwrap();
    let ours = owner(folder.path());
    files.replace("it", "first").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let is_root = chown(&path, Some(65_534), Some(65_534)).is_ok();
    files.replace("it", "second").unwrap();
    assert_eq!((text(&path).as_str(), mode(&path)), ("second", 0o600));
    assert_eq!(owner(&path), ours);
    if is_root {
        // Run as root once, it does not lock out whoever the folder belongs to.
        chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
        for name in ["it", "new"] {
            files.replace(name, "third").unwrap();
            assert_eq!(owner(&files.path(name)), (65_534, 65_534));
        }
    }
    replace(&RealDisk, &path, b"fourth", 0o640).unwrap();
    assert_eq!(mode(&path), 0o640, "the one asked for");
}

#[test]
fn what_an_earlier_try_has_left_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, precious) = (folder.path().join("it"), folder.path().join("precious"));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, folder.path().join("it.new")).unwrap();
    replace(&RealDisk, &path, b"new", 0o600).unwrap();
    assert_eq!((text(&path).as_str(), path.is_symlink()), ("new", false));
    assert_eq!(text(&precious), "precious");
}

#[tokio::test]
async fn a_folder_is_for_one_program_and_the_second_says_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Folder::open(folder.path(), Arc::new(RealDisk)).unwrap();
    first.replace("it", "text").unwrap();
    assert_eq!(first.read("it").unwrap().as_deref(), Some("text"));
    assert_eq!(first.read("nothing").unwrap(), None);
    let Err(error) = Folder::open(folder.path(), Arc::new(RealDisk)) else {
        panic!("a second one has opened it");
    };
    let id = std::process::id();
    let words = format!("is in use by process {id}: end that one first");
    assert!(error.to_string().contains(&words), "{error}");
    drop(first);
    // (A process that another test starts just then has the lock until it has become its program.)
    eventually(|| Folder::open(folder.path(), Arc::new(RealDisk)).is_ok()).await;
}
