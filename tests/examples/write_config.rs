//! Work that does something real: a job document brings a configuration, which becomes a file.
//! The README's "Make it yours" puts it in the place of `src/work.rs`.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use serde::{Deserialize, Serialize};

/// What every job document for this device says: what is to be done.
#[derive(Deserialize)]
struct Task {
    operation: String,
}

/// A job document for the operation `write-config`.
#[derive(Deserialize)]
struct WriteConfig {
    config: Config,
}

/// The configuration of this device.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    report_every_seconds: u32,
}

/// Does the job: writes the configuration to `config.json`.
pub async fn work(job: &Job, _flags: &Flags) -> WorkResult {
    write_config(job, Path::new("config.json"))
}

pub fn write_config(job: &Job, path: &Path) -> WorkResult {
    let Task { operation } = job.document()?;
    match operation.as_str() {
        "write-config" => {
            let WriteConfig { config } = job.document()?;
            replace(path, serde_json::to_string_pretty(&config)?.as_bytes())?;
            Ok(Outcome::succeeded())
        }
        // No retry would help: this device does not know how.
        other => Ok(Outcome::rejected(format!("unknown operation '{other}'"))),
    }
}

/// Replaces a file as a whole: whoever reads it finds the old content or the new, also after a
/// power failure. Mode and owner stay as they are; of a symbolic link, the file behind it is
/// replaced. An error says that the old content is still in use.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), String> {
    let path = behind_links(path);
    let mut new = path.clone().into_os_string();
    new.push(".new"); // in the same folder, so the rename is atomic
    let new = Path::new(&new);
    let _ = fs::remove_file(new); // what a power failure has left behind
    let replaced = write(new, content, &path)
        .and_then(|()| fs::rename(new, &path))
        .and_then(|()| sync_folder_of(&path));
    let Err(error) = replaced else { return Ok(()) };
    let _ = fs::remove_file(new);
    let path_shown = path.display();
    if fs::read(&path).is_ok_and(|now| now == content) {
        // It failed when the new content was in its place: FAILED would not be true.
        eprintln!("{path_shown} is replaced, but a power failure may undo it: {error}");
        return Ok(());
    }
    let advice = match error.kind() {
        ErrorKind::ResourceBusy => ". If it is mounted by itself, mount its folder instead",
        _ => "",
    };
    Err(format!("{path_shown} can't be replaced: {error}{advice}"))
}

/// Writes a new file that is to take the place of `old`.
fn write(new: &Path, content: &[u8], old: &Path) -> io::Result<()> {
    let old = match fs::metadata(old) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)] // nobody reads it before it has the mode of the old one
    if old.is_some() {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let mut file = options.open(new)?;
    if let Some(old) = old {
        keep_owner_and_mode(&file, &old)?;
    }
    file.write_all(content)?;
    file.sync_all()
}

fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.set_permissions(old.permissions())
}

/// Makes a file's name survive a power failure. (Elsewhere than on Unix, a folder can't be synced.)
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The file that a path leads to, whether it is there yet or not.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let Ok(link) = fs::read_link(&path) else {
            break;
        };
        path.set_file_name(link);
    }
    path
}
