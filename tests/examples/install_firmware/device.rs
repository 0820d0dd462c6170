//! What a start does: it reads how things stand, and decides which slot runs. And how the device restarts.

use std::env;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jobs_mqtt5::mqtt::Backoff;

use super::application::{self, Application};
use super::slots::{SLOTS, Slot, Slots, State, Update, other};

/// How often a new firmware is started at most.
const MOST_STARTS: u32 = 3;
/// What this program is, if it is the firmware.
const THIS_PROGRAM: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// How long things may take.
#[derive(Clone)]
pub struct Times {
    /// `SELF_TEST_SECONDS`.
    pub self_test: Duration,
    /// What a new firmware has to live through before it is reported: `FIRST_SECONDS`.
    pub first_seconds: Duration,
    /// A download without progress.
    pub patience: Duration,
    /// The waits between requests.
    pub backoff: Backoff,
}

impl Times {
    pub fn from_env() -> Self {
        let seconds = |name: &str, usual| {
            let seconds = env::var(name).ok().and_then(|text| text.parse().ok());
            Duration::from_secs(seconds.unwrap_or(usual))
        };
        Self {
            self_test: seconds("SELF_TEST_SECONDS", 60),
            first_seconds: seconds("FIRST_SECONDS", 5),
            patience: Duration::from_secs(10 * 60),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// What tests/deploy/boot says to the program that it starts: which slot that is; if it is not the active
/// one, why. `None` if this program is not the firmware.
pub fn booted() -> Option<(Slot, String)> {
    let slot = env::var("BOOT_SLOT").ok()?;
    let why = env::var("BOOT_WHY").unwrap_or_default();
    Some((SLOTS[usize::from(slot == "b")], why))
}

/// The device, once it has started.
pub struct Device {
    pub slots: Slots,
    /// The slot that runs, and what is in it: product and version, if it says so.
    pub running: Slot,
    pub firmware: Option<String>,
    /// Why the firmware on trial is no good, as far as that is known.
    pub failed: Option<String>,
    /// Whether this program is the firmware, started by tests/deploy/boot.
    pub is_firmware: bool,
    /// The firmware, if it is an application of its own.
    pub application: Option<Application>,
    pub times: Times,
    /// Whether the device is to restart when the program ends.
    pub restart: AtomicBool,
}

impl Device {
    /// Starts the firmware. One on trial is counted, and tests itself, before; if it does not pass, or that
    /// can't be written down, the one before it is started. What is told to the cloud is for `trial`.
    pub fn start(slots: Slots, booted: Option<(Slot, String)>, times: Times) -> Self {
        let state = slots.state();
        let mut device = Self {
            running: state.active,
            firmware: None,
            failed: None,
            is_firmware: booted.is_some(),
            application: None,
            slots,
            times,
            restart: AtomicBool::new(false),
        };
        if let Some((slot, why)) = booted {
            // Boot has counted a start on trial, or has gone back.
            device.failed = (slot != state.active).then_some(why);
            device.running = slot;
        } else if let Err(why) = device.try_new(state) {
            device.failed = Some(why);
            device.running = other(device.running);
        }
        device.run(device.running);
        device
    }

    /// Counts the start of a firmware on trial, and has it test itself.
    fn try_new(&self, mut state: State) -> Result<(), String> {
        let Update::Trial { starts, .. } = &mut state.update else {
            return Ok(());
        };
        if *starts >= MOST_STARTS {
            return Err("it was started 3 times, and never reported".to_owned());
        }
        *starts += 1;
        let written = self.slots.set(&state);
        written.map_err(|error| format!("its start can't be written down: {error}"))?;
        let path = self.slots.folder.path(state.active);
        application::run(&path, "--self-test", self.times.self_test).map(drop)
    }

    /// Runs the firmware in this slot; if that can't be started, the other one.
    pub fn run(&mut self, slot: Slot) {
        self.application = None; // the one before has ended when the next begins
        self.running = slot;
        let is_there = |slot: &Slot| self.slots.folder.path(slot).exists();
        let is_to_start = !self.is_firmware && SLOTS.iter().any(is_there);
        for slot in [slot, other(slot)] {
            if !is_to_start || self.application.is_some() {
                break;
            }
            match Application::start(&self.slots.folder.path(slot)) {
                Ok(application) => (self.application, self.running) = (Some(application), slot),
                Err(error) => {
                    eprintln!("Slot {slot} can't be started: {error}.");
                    let reason = || format!("it can't be started: {error}");
                    self.failed.get_or_insert_with(reason);
                }
            }
        }
        self.firmware = self.what_runs();
        let firmware = self.firmware.as_deref().unwrap_or("(none)");
        println!("Firmware {firmware} runs, from slot {}", self.running);
    }

    /// What runs: as it was written down when it was installed, or else as it says itself.
    fn what_runs(&self) -> Option<String> {
        if self.is_firmware {
            return Some(THIS_PROGRAM.to_owned());
        }
        let mut state = self.slots.state();
        if let Some(installed) = state.installed.get(self.running) {
            return Some(installed.clone());
        }
        let says = application::name(&self.slots.folder.path(self.running)).ok()?;
        state.installed.insert(self.running, says.clone());
        let _ = self.slots.set(&state); // if not now, at the next start
        Some(says)
    }
}

/// Restarts the device: here, what has started it in the place of this program. On a device: `reboot`.
pub fn restart() -> ExitCode {
    let program = env::var_os("BOOT").map_or_else(env::current_exe, |boot| Ok(boot.into()));
    let restarted = program.and_then(|program| {
        let mut again = Command::new(program);
        again.args(env::args_os().skip(1));
        #[cfg(unix)] // it returns on an error only
        let restarted = Err(std::os::unix::process::CommandExt::exec(&mut again));
        #[cfg(not(unix))]
        let restarted = again.status();
        restarted
    });
    let restarted = restarted.inspect_err(|error| eprintln!("The restart failed: {error}."));
    let is_well = restarted.is_ok_and(|status: ExitStatus| status.success());
    ExitCode::from(u8::from(!is_well))
}
