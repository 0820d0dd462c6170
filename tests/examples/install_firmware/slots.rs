//! The two slots that a firmware can be in, and which of them is started. All that the next start has to
//! know is in one small file, `boot`, which is replaced by a rename: a power cut leaves the old or the new.
//!
//! ```text
//! active=b          the slot that is started
//! trial=KEY         it is new: the update that brought it, and how often it was started so far
//! starts=1
//! ```
//!
//! Instead of `trial`, `done` says which update has passed, or `refused` which has not, and `reason` why.
//! (tests/deploy/boot reads and writes the same file.)

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The folder with the slots.
#[derive(Clone)]
pub struct Slots(PathBuf);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    A,
    B,
}

/// What is started, and how the last update stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    pub active: Slot,
    pub update: Update,
}

/// An update, by a key that tells it from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    None,
    /// The active slot is new, was started so often, and has not passed its self-test.
    Trial {
        key: String,
        starts: u32,
    },
    /// The active slot has passed.
    Done {
        key: String,
    },
    /// It has not, and the other slot is active again.
    Refused {
        key: String,
        reason: String,
    },
}

impl Slot {
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl Slots {
    /// Opens the folder; makes it, if there is none.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Where a slot's firmware is.
    pub fn path(&self, slot: Slot) -> PathBuf {
        self.0.join(slot.name())
    }

    /// Where a firmware is before it has a slot.
    pub fn part(&self) -> PathBuf {
        self.0.join("part")
    }

    /// What is started, and how the last update stands. A new device starts slot `a`.
    pub fn boot(&self) -> io::Result<Boot> {
        let text = match fs::read_to_string(self.0.join("boot")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let get = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        let active = match get("active").as_deref() {
            Some("b") => Slot::B,
            _ => Slot::A,
        };
        let update = if let Some(key) = get("trial") {
            let starts = get("starts").and_then(|starts| starts.parse().ok());
            let starts = starts.unwrap_or(0);
            Update::Trial { key, starts }
        } else if let Some(key) = get("done") {
            Update::Done { key }
        } else if let Some(key) = get("refused") {
            let reason = get("reason").unwrap_or_default();
            Update::Refused { key, reason }
        } else {
            Update::None
        };
        Ok(Boot { active, update })
    }

    /// Sets what is started, and how the update stands: at once, or not at all.
    pub fn set(&self, active: Slot, update: &Update) -> io::Result<()> {
        let update = match update {
            Update::None => String::new(),
            Update::Trial { key, starts } => format!("trial={key}\nstarts={starts}\n"),
            Update::Done { key } => format!("done={key}\n"),
            Update::Refused { key, reason } => {
                let reason = reason.replace(['\n', '\r'], " ");
                format!("refused={key}\nreason={reason}\n")
            }
        };
        let new = self.0.join("boot.new");
        let mut file = File::create(&new)?;
        write!(file, "active={}\n{update}", active.name())?;
        file.sync_all()?;
        self.rename(&new, &self.0.join("boot"))
    }

    /// Puts the part into a slot, in place of what was in it.
    pub fn fill(&self, slot: Slot) -> io::Result<()> {
        File::options().append(true).open(self.part())?.sync_all()?;
        self.rename(&self.part(), &self.path(slot))
    }

    /// Gives a file another name, and has the power fail as it likes.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        #[cfg(unix)] // elsewhere, a folder can't be synced
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}
