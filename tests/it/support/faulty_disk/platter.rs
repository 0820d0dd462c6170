//! What of a folder would survive a power cut: of each file what was synced, and the names that were there
//! when the folder was.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) struct Platter {
    folder: PathBuf,
    /// By the number of the file, its content and mode.
    synced: BTreeMap<u64, (Vec<u8>, u32)>,
    names: BTreeMap<PathBuf, u64>,
}

impl Platter {
    /// With all of this folder.
    pub(super) fn of(folder: &Path) -> Self {
        let mut platter = Self {
            folder: folder.to_owned(),
            synced: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        platter.sync_all();
        platter
    }

    pub(super) fn sync(&mut self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        let content = fs::read(self.path_of(metadata.ino()).unwrap())?;
        let synced = (content, metadata.mode());
        self.synced.insert(metadata.ino(), synced);
        Ok(())
    }

    pub(super) fn sync_folder(&mut self) {
        self.names = self.names_now();
    }

    fn names_now(&self) -> BTreeMap<PathBuf, u64> {
        let entries = fs::read_dir(&self.folder).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let named = files.map(|entry| (entry.path(), entry.metadata().unwrap().ino()));
        named.collect()
    }

    pub(super) fn path_of(&self, number: u64) -> Option<PathBuf> {
        let mut names = self.names_now().into_iter();
        names.find(|(_, ino)| *ino == number).map(|(path, _)| path)
    }

    pub(super) fn sync_all(&mut self) {
        self.names = self.names_now();
        for (path, number) in self.names.clone() {
            let mode = fs::metadata(&path).unwrap().mode();
            self.synced.insert(number, (fs::read(path).unwrap(), mode));
        }
    }

    /// What was not synced is lost: all of it, or the content only.
    pub(super) fn lose(&mut self, names_survive: bool) {
        let now = self.names_now();
        let names = if names_survive { &now } else { &self.names };
        let left: Vec<_> = names
            .iter()
            .map(|(path, number)| {
                let lost = (Vec::new(), 0o600);
                let synced = self.synced.get(number).cloned();
                (path.clone(), synced.unwrap_or(lost))
            })
            .collect();
        for path in now.keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, (content, mode)) in left {
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).open(&path).unwrap();
            file.write_all(&content).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode & 0o7777);
            file.set_permissions(mode).unwrap();
        }
        self.synced.clear();
        self.sync_all();
    }
}
