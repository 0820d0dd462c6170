//! One way to replace a file durably: whoever reads it finds the old content or the new one, whatever fails
//! and whenever the power is cut; and after `Ok`, the new content is there to stay.
//!
//! - The new file is written beside the real target (a symbolic link stays a link) and takes its place by a
//!   rename. What an earlier try has left there is removed, and never followed if it is a link.
//! - It has the mode asked for, and the owner of its folder, whatever the old file had: one that somebody has
//!   left there does not keep the device from its own, nor does a run as root.
//! - File and folder are synced, in this order.
//! - Where no rename is possible, as for a file that is mounted by itself, the error says so.
//!
//! **After an error the change may have been made or not**: the folder can fail to sync when the rename is
//! done. So read the file again before you say anything about it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked of the disk, each a step that can fail. The tests have a disk that fails at each of them.
pub trait Disk: Send + Sync {
    /// Creates a file that is not there yet. (So nobody's link is followed.)
    fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        open(OpenOptions::new().write(true).create_new(true), path, mode)
    }

    /// Opens a file to write on at its end; creates it if it is not there, and follows no link.
    fn open_to_append(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        open(&mut options, path, 0o600)
    }

    fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        file.write_all(content)
    }

    /// Returns when the content of a file will survive a power cut.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Returns when the names in a folder will survive a power cut. (Elsewhere than on Unix, a folder can't
    /// be synced.)
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if cfg!(unix) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }
}

/// The disk as it is.
pub struct RealDisk;

impl Disk for RealDisk {}

/// Replaces a file by one with this mode.
///
/// # Errors
/// What could not be done, with the path. Read the file again: it may have been replaced nevertheless.
pub fn replace(disk: &dyn Disk, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let failed = |error| explained(error, "replaced", path);
    let target = real_target(path).map_err(failed)?;
    let mut new = target.clone().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    let replaced = write_new(disk, &new, content, mode)
        .and_then(|()| rename(disk, &new, &target))
        .map_err(failed);
    if replaced.is_err() {
        let _ = remove_if_there(disk, &new);
    }
    replaced
}

/// Gives a file another name in its folder, in place of the file that has it.
///
/// # Errors
/// As for [`replace`]: look again.
pub fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    disk.rename(from, to)?;
    disk.sync_folder(folder_of(to))
}

/// Removes a file, if it is there.
///
/// # Errors
/// As for [`replace`]: look again.
pub fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    remove_if_there(disk, path)?;
    disk.sync_folder(folder_of(path))
}

fn write_new(disk: &dyn Disk, new: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    remove_if_there(disk, new)?;
    let mut file = disk.create(new, mode)?;
    give_to_owner_of(folder_of(new), &file)?;
    set_mode(&file, mode)?; // (a umask may have narrowed it)
    disk.write(&mut file, content)?;
    disk.sync(&file)
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(());
    }
    disk.remove(path)
}

/// What a path stands for in the end. A link to nothing is an error: it was to be a file.
fn real_target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            Ok(path.to_owned())
        }
        target => target,
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(path);
    if folder.as_os_str().is_empty() {
        return Path::new(".");
    }
    folder
}

fn explained(error: io::Error, what: &str, path: &Path) -> io::Error {
    let advice = match error.kind() {
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => {
            "; a file that is mounted by itself can't be: mount its folder instead"
        }
        _ => "",
    };
    let text = format!("{} can't be {what}: {error}{advice}", path.display());
    io::Error::new(error.kind(), text)
}

#[cfg_attr(not(unix), expect(unused_variables))]
fn open(options: &mut OpenOptions, path: &Path, mode: u32) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
    options.open(path)
}

/// Sets who may do what with a file. (Elsewhere than on Unix, there is no mode.)
#[cfg_attr(not(unix), expect(unused_variables))]
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    Ok(())
}

#[cfg_attr(not(unix), expect(unused_variables))]
fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let owner = fs::metadata(folder)?;
        if owner.uid() != file.metadata()?.uid() {
            let _ = fchown(file, Some(owner.uid()), Some(owner.gid())); // only root can
        }
    }
    Ok(())
}

/// A folder of small files that one program at a time works with, and each of which is replaced as a whole.
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// Held as long as one of these lives; let go when the process ends, or becomes another program.
    _lock: Option<Arc<File>>,
}

impl Folder {
    /// Opens the folder, for this program alone; makes it, for its owner only, if there is none. A disk that
    /// is full or read-only does not keep it from that.
    ///
    /// # Errors
    /// If another program works with it: says which. If it can't be made.
    pub fn open(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let path = path.into();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&path)?;
        let lock = lock(&path)?.map(Arc::new);
        Ok(Self {
            path,
            disk,
            _lock: lock,
        })
    }

    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of a file; `None` if it is not there.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text.map(Some),
        }
    }

    /// See [`replace`]. The file is for its owner only.
    pub fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        replace(self.disk(), &self.path(name), text.as_bytes(), 0o600)
    }

    /// See [`rename`].
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let failed = |error| explained(error, "put into its place", &self.path(from));
        rename(self.disk(), &self.path(from), &self.path(to)).map_err(failed)
    }

    /// See [`remove`].
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let failed = |error| explained(error, "removed", &self.path(name));
        remove(self.disk(), &self.path(name)).map_err(failed)
    }
}

/// Locks a folder, by the file `lock` in it. `None` if there can't be such a file: a device without a lock
/// is better than none.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let Ok(mut file) = open(&mut options, &path, 0o600).or_else(|_| File::open(&path)) else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => {
            let id = format!("{:<10}\n", std::process::id());
            let _ = file.write_all(id.as_bytes()); // a read-only one can't say who has it
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let (folder, holder) = (folder.display(), holder.trim());
            Err(io::Error::new(
                ErrorKind::ResourceBusy,
                format!("{folder} is in use by process {holder}: end that one first"),
            ))
        }
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
