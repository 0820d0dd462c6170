//! A disk on which one step fails, or after which the power is cut. It is a real folder; beside it, this
//! keeps what of that would survive a power cut: of each file what was synced, of each folder the names
//! that were there when it was synced.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

mod fault;
mod platter;

pub use fault::{Fault, Moment};
use platter::Platter;

/// What a kill unwinds with.
pub struct Killed;

/// The disk: see above. Cheap to clone.
#[derive(Clone)]
pub struct FaultyDisk(Arc<Mutex<State>>);

struct State {
    platter: Platter,
    steps: Vec<String>,
    fault: Option<(usize, Fault)>,
    struck: bool,
    /// Whether the program is dead: nothing it does matters any more.
    is_dead: bool,
    lasting: Option<Fault>,
    /// Says that the program is dead, before it unwinds.
    on_kill: Option<Box<dyn Fn() + Send>>,
    /// A planted fault of the code: syncs that are not made.
    ignores_syncs: bool,
}

impl FaultyDisk {
    /// A disk whose content is that of this folder, all of it synced. At this step (from 0 on) this happens.
    pub fn new(folder: &Path, fault: Option<(usize, Fault)>) -> Self {
        let state = State {
            platter: Platter::of(folder),
            steps: Vec::new(),
            fault,
            struck: false,
            is_dead: false,
            lasting: None,
            on_kill: None,
            ignores_syncs: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What is called when the program is killed.
    pub fn on_kill(&self, kill: impl Fn() + Send + 'static) {
        self.state().on_kill = Some(Box::new(kill));
    }

    /// Plants a fault in the code: no sync is made.
    pub fn ignore_syncs(&self) {
        self.state().ignores_syncs = true;
    }

    pub fn has_struck(&self) -> bool {
        self.state().struck
    }

    pub fn was_killed(&self) -> bool {
        self.state().is_dead
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<String> {
        self.state().steps.clone()
    }

    /// Whether nothing can be written now.
    pub fn is_stuck(&self) -> bool {
        self.state().lasting.is_some()
    }

    /// The program is started anew: after a power cut, on what has survived it.
    pub fn restart(&self) {
        self.state().is_dead = false;
    }

    /// There is space again, and it can be written to.
    pub fn mend(&self) {
        self.state().lasting = None;
    }

    /// What is there now survives (somebody else, as a shell script, has synced it).
    pub fn sync_all(&self) {
        self.state().platter.sync_all();
    }

    fn step<T>(
        &self,
        name: &str,
        path: &Path,
        needs_space: bool,
        does: impl FnOnce(&mut State) -> io::Result<T>,
        half: impl FnOnce(),
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.is_dead {
            return Err(io::Error::other("the program was killed"));
        }
        let number = state.steps.len();
        let what = path.file_name().unwrap_or_default().to_string_lossy();
        let entry = format!("{name} {what}");
        state.steps.push(entry);
        let fault = match state.fault {
            Some((at, fault)) if at == number => {
                state.struck = true;
                fault
            }
            _ => match state.lasting {
                Some(fault) => fault,
                None => return does(&mut state),
            },
        };
        if matches!(fault, Fault::Full | Fault::ReadOnly) {
            state.lasting = Some(fault);
        }
        match fault {
            Fault::Full if needs_space => Err(ErrorKind::StorageFull.into()),
            Fault::ReadOnly => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Full => does(&mut state),
            Fault::Error(kind, moment) => {
                match moment {
                    Moment::Before => {}
                    Moment::Middle => half(),
                    Moment::After => drop(does(&mut state)?),
                }
                Err(kind.into())
            }
            Fault::Kill(moment) | Fault::PowerCut(moment) => {
                match moment {
                    Moment::Before => {}
                    Moment::Middle => half(),
                    Moment::After => drop(does(&mut state)),
                }
                state.is_dead = true;
                if matches!(fault, Fault::PowerCut(_)) {
                    state.platter.lose(false);
                }
                self.kill(state)
            }
            Fault::NamesOnly => {
                state.is_dead = true;
                state.platter.lose(true);
                self.kill(state)
            }
        }
    }

    fn kill(&self, state: MutexGuard<'_, State>) -> ! {
        if let Some(kill) = &state.on_kill {
            kill();
        }
        drop(state);
        resume_unwind(Box::new(Killed))
    }

    pub fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let does = |_: &mut State| {
            let mut options = File::options();
            options.write(true).create_new(true).mode(mode).open(path)
        };
        self.step("create", path, true, does, || ())
    }

    pub fn open_to_append(&self, path: &Path) -> io::Result<File> {
        let does = |_: &mut State| File::options().create(true).append(true).open(path);
        self.step("open", path, true, does, || ())
    }

    pub fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        let path = self.path_of(file);
        let mut again = file.try_clone()?;
        let half = || again.write_all(&content[..content.len() / 2]).unwrap();
        let does = |_: &mut State| file.write_all(content);
        self.step("write", &path, true, does, half)
    }

    pub fn sync(&self, file: &File) -> io::Result<()> {
        let does = |state: &mut State| {
            if !state.ignores_syncs {
                state.platter.sync(file)?;
            }
            Ok(())
        };
        self.step("sync", &self.path_of(file), true, does, || ())
    }

    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let does = |_: &mut State| fs::rename(from, to);
        self.step("rename", from, false, does, || ())
    }

    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let does = |_: &mut State| fs::remove_file(path);
        self.step("remove", path, false, does, || ())
    }

    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let does = |state: &mut State| {
            if !state.ignores_syncs {
                state.platter.sync_folder();
            }
            Ok(())
        };
        self.step("sync folder", path, true, does, || ())
    }

    fn path_of(&self, file: &File) -> PathBuf {
        let number = file.metadata().unwrap().ino();
        self.state().platter.path_of(number).unwrap_or_default()
    }
}

/// Makes a [`FaultyDisk`] a `Disk` of an example's own module `durable`.
macro_rules! faulty_disk_for {
    ($disk:path) => {
        const _: () = {
            use std::fs::File;
            use std::io;
            use std::path::Path;

            use $crate::support::FaultyDisk;

            impl $disk for FaultyDisk {
                fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
                    FaultyDisk::create(self, path, mode)
                }
                fn open_to_append(&self, path: &Path) -> io::Result<File> {
                    FaultyDisk::open_to_append(self, path)
                }
                fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
                    FaultyDisk::write(self, file, content)
                }
                fn sync(&self, file: &File) -> io::Result<()> {
                    FaultyDisk::sync(self, file)
                }
                fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
                    FaultyDisk::rename(self, from, to)
                }
                fn remove(&self, path: &Path) -> io::Result<()> {
                    FaultyDisk::remove(self, path)
                }
                fn sync_folder(&self, path: &Path) -> io::Result<()> {
                    FaultyDisk::sync_folder(self, path)
                }
            }
        };
    };
}
pub(crate) use faulty_disk_for;
