//! The two slots that a firmware can be in, and what every start has to know: one small file, `boot`, which
//! is replaced as a whole. (tests/deploy/boot reads the same file, and counts the starts.)
//!
//! ```text
//! active=b            the slot that is started
//! a=thermostat 1.4.1  what is installed in each slot
//! b=thermostat 1.4.2
//! downgrades=3        the number of the last downgrade: each is good for one update
//! trial=KEY           the active slot is new: the update that brought it, and how often it was started
//! starts=1
//! ```
//!
//! Instead of `trial`, `refused` says which update was gone back on, and `reason` why.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::durable::{Disk, Folder};

/// The names of the slots.
pub type Slot = &'static str;
pub const SLOTS: [Slot; 2] = ["a", "b"];

pub fn other(slot: Slot) -> Slot {
    SLOTS[usize::from(slot == SLOTS[0])]
}

/// What is started, and how the last update stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub active: Slot,
    /// What is installed in each slot, as far as that is known: product and version.
    pub installed: BTreeMap<Slot, String>,
    pub downgrades: u64,
    pub update: Update,
}

/// An update, by a key that tells it from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// There is none under way.
    Settled,
    /// The active slot is new, was started so often, and the cloud has accepted no report from it.
    Trial { key: String, starts: u32 },
    /// It was gone back on: the other slot is active again.
    Refused { key: String, reason: String },
}

impl State {
    /// What the text of `boot` says. What can't be understood in it is as if it were not there: a new device
    /// has its firmware in slot `a`.
    pub fn read(text: &str) -> Self {
        let get = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(key, _)| *key == name)?;
            Some(value.to_owned())
        };
        let in_slot = |slot| Some((slot, get(slot)?));
        let downgrades = get("downgrades").and_then(|it| it.parse().ok());
        let starts = get("starts").and_then(|it| it.parse().ok());
        let starts = starts.unwrap_or(u32::MAX); // not known: counts as failed
        let reason = get("reason").unwrap_or_default();
        Self {
            active: SLOTS[usize::from(get("active").as_deref() == Some("b"))],
            installed: SLOTS.into_iter().filter_map(in_slot).collect(),
            downgrades: downgrades.unwrap_or(0),
            update: match (get("trial"), get("refused")) {
                (Some(key), _) => Update::Trial { key, starts },
                (None, Some(key)) => Update::Refused { key, reason },
                (None, None) => Update::Settled,
            },
        }
    }

    fn text(&self) -> String {
        let mut text = format!("active={}\ndowngrades={}\n", self.active, self.downgrades);
        for (slot, firmware) in &self.installed {
            text += &format!("{slot}={firmware}\n");
        }
        text + &match &self.update {
            Update::Settled => String::new(),
            Update::Trial { key, starts } => format!("trial={key}\nstarts={starts}\n"),
            Update::Refused { key, reason } => {
                let reason = reason.replace(['\n', '\r'], " ");
                format!("refused={key}\nreason={reason}\n")
            }
        }
    }
}

/// The folder with the slots.
pub struct Slots {
    pub folder: Folder,
    /// What was decided and could not be written. It holds, and is written as soon as that can be done.
    unwritten: Mutex<Option<State>>,
}

impl Slots {
    /// Opens the folder, for this program alone; makes it, if there is none.
    pub fn open(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> io::Result<Self> {
        Ok(Self {
            folder: Folder::open(path, disk)?,
            unwritten: Mutex::default(),
        })
    }

    /// How things stand: what was decided, or what the disk says. A `boot` that can't be read is as none.
    pub fn state(&self) -> State {
        let unwritten = self.unwritten().clone();
        if let Some(state) = unwritten {
            self.decide(state.clone());
            return state;
        }
        let text = self.folder.read("boot").ok().flatten();
        State::read(&text.unwrap_or_default())
    }

    /// Sets how things stand, or says why not. After an error, ask for the state again.
    pub fn set(&self, state: &State) -> io::Result<()> {
        self.folder.replace("boot", &state.text())?;
        *self.unwritten() = None;
        Ok(())
    }

    /// Sets what holds even where it can't be written. Returns whether it could.
    pub fn decide(&self, state: State) -> bool {
        let written = self.set(&state);
        if let Err(error) = &written {
            eprintln!("{error}. It is tried again later.");
            *self.unwritten() = Some(state);
        }
        written.is_ok()
    }

    /// Puts `part` into a slot, in place of what was in it. The other one is active then, for sure, and what
    /// was on trial no longer is: its job was canceled, and its firmware is gone.
    pub fn fill(&self, slot: Slot) -> io::Result<()> {
        let before = self.state();
        let mut state = before.clone();
        state.active = other(slot);
        state.update = Update::Settled;
        state.installed.remove(slot);
        if state != before {
            self.set(&state)?;
        }
        let disk = self.folder.disk();
        let part = disk.open_to_append(&self.folder.path("part"))?;
        disk.sync(&part)?;
        self.folder.rename("part", slot)
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<State>> {
        let unwritten = self.unwritten.lock();
        unwritten.unwrap_or_else(PoisonError::into_inner)
    }
}
