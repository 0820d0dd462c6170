//! What happens at the start of the device, and how it is restarted.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{env, io, thread};

use jobs_mqtt5::{Text, mqtt::Backoff};

use super::application;
use super::slots::{Slot, Slots, Update};

/// How long a new firmware may take for its self-test.
pub const SELF_TEST_LIMIT: Duration = Duration::from_secs(60);
/// How often a new firmware is started at most: its self-test may have been cut off by the power.
const MOST_STARTS: u32 = 3;

/// What the work needs to know of the device.
pub struct Device {
    /// Its two slots.
    pub slots: Slots,
    /// The slot that runs.
    pub active: Slot,
    /// Whether this program is the firmware, started by tests/deploy/boot.
    pub is_firmware: bool,
    /// The version of the firmware; none, if it does not tell one.
    pub version: Option<String>,
    /// The waits between requests of a download.
    pub backoff: Backoff,
    /// Whether the device is to restart when the program ends.
    pub restart: AtomicBool,
}

/// Starts the firmware in the active slot. One that is on trial tests itself before; if it does not pass,
/// the other slot is made the active one again.
pub fn start(slots: Slots, limit: Duration) -> io::Result<(Device, Option<Child>)> {
    if let Ok(slot) = env::var("BOOT_SLOT") {
        let active = if slot == "b" { Slot::B } else { Slot::A };
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        return Ok((device(slots, active, true, version), None));
    }
    let mut boot = slots.boot()?;
    if let Update::Trial { key, starts } = boot.update {
        let path = slots.path(boot.active);
        let passed = if starts < MOST_STARTS {
            let (key, starts) = (key.clone(), starts + 1);
            slots.set(boot.active, &Update::Trial { key, starts })?;
            cut("started");
            application::self_test(&path, limit)
        } else {
            Err(format!(
                "it was started {starts} times, and never passed its self-test"
            ))
        };
        cut("tested");
        (boot.active, boot.update) = match passed {
            Ok(()) => (boot.active, Update::Done { key }),
            Err(reason) => (boot.active.other(), Update::Refused { key, reason }),
        };
        slots.set(boot.active, &boot.update)?;
        cut("decided");
    }
    let path = slots.path(boot.active);
    let mut application = None;
    let mut version = None;
    if path.exists() {
        version = application::version(&path).ok();
        application = Some(application::start(&path)?);
    }
    Ok((device(slots, boot.active, false, version), application))
}

fn device(slots: Slots, active: Slot, is_firmware: bool, version: Option<String>) -> Device {
    println!(
        "Firmware {} runs, from slot {}",
        Text::from(version.as_deref().unwrap_or("(none)")),
        active.name()
    );
    Device {
        slots,
        active,
        is_firmware,
        version,
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        restart: AtomicBool::new(false),
    }
}

/// Restarts the device: here, what has started it in the place of this program. On a device: `reboot`.
pub fn restart() -> ExitCode {
    let program = env::var_os("BOOT").map(PathBuf::from);
    let again = program.map_or_else(env::current_exe, Ok).map(|program| {
        let mut again = Command::new(program);
        again.args(env::args_os().skip(1));
        again
    });
    let error = match again {
        #[cfg(unix)]
        Ok(mut again) => std::os::unix::process::CommandExt::exec(&mut again),
        #[cfg(not(unix))]
        Ok(mut again) => match again.status() {
            Ok(status) => return ExitCode::from(u8::from(!status.success())),
            Err(error) => error,
        },
        Err(error) => error,
    };
    eprintln!("The restart failed: {error}.");
    ExitCode::FAILURE
}

/// The tests cut the power here: `CUT_AT` names the place.
pub fn cut(place: &str) {
    if env::var("CUT_AT").is_ok_and(|at| at == place) {
        println!("cut: {place}");
        thread::park();
    }
}
