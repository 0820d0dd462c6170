//! The folder with the device's keys, and what becomes of it when the power fails.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The tests cut the power here: `CUT_AT` names the place.
pub fn cut(place: &str) {
    if std::env::var("CUT_AT").is_ok_and(|at| at == place) {
        println!("cut: {place}");
        std::thread::park();
    }
}

/// The folder with the keys. Its files are for the owner only, and each is replaced as a whole.
pub struct Store(PathBuf);

impl Store {
    /// Opens the folder; makes it, if there is none.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let mut folder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.recursive(true).create(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.path(name))
    }

    /// Whether that file is there, and begins with this certificate.
    pub fn holds(&self, name: &str, certificate: &str) -> bool {
        let text = self.read(name);
        text.is_ok_and(|text| text.starts_with(certificate))
    }

    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        self.remove("new")?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.path("new"))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        self.rename("new", name)
    }

    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        sync(&self.0)
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync(&self.0),
        }
    }

    /// The certificate on trial has failed.
    pub fn refuse(&self, why: &str) -> io::Result<()> {
        self.write("refused.txt", why)?;
        cut("reason written");
        self.rename("trial.pem", "refused.pem")?;
        cut("refused");
        Ok(())
    }
}

/// Has a folder's names survive a power failure. (Elsewhere than on Unix, a folder can't be synced.)
#[cfg_attr(not(unix), expect(unused_variables))]
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}
