//! What a device costs that has nothing to do but to stay connected.

use std::time::Duration;

use futures_util::future::join_all;
use local_iot_core::Event;
use tokio::time::{sleep, timeout};

use crate::process::{NOT_TOLD, Program, Reading};
use crate::table::{Row, Unit};
use crate::world::{Trust, World};

/// Threads that were needed for the start have ended by then.
const SETTLING: Duration = Duration::from_secs(12);
/// A device that sends no PINGREQ in this time has a longer keep-alive.
const LONGEST_WAIT: Duration = Duration::from_secs(40);
/// How long after a PINGREQ the stretch begins: its answer is there by then.
const AFTER_PINGREQ: Duration = Duration::from_secs(2);
/// The stretch: a keep-alive of 30 seconds ends in it exactly once.
const STRETCH: Duration = Duration::from_secs(35);
/// What one keep-alive needs: a timer wakes the device for the PINGREQ, and the network for the
/// PINGRESP.
const WAKEUPS_OF_A_PING: f64 = 2.0;

/// What an idle device was at the begin of the stretch and at its end.
struct Stretch {
    begin: Reading,
    end: Reading,
}

/// The rows. All devices idle at the same time, in worlds of their own: they don't disturb each other.
pub async fn rows(programs: &[Program]) -> Vec<Row> {
    let mut ca_file = Row::new(
        "resident memory when idle, with `--ca_file`",
        Unit::Megabytes,
    )
    .at_most(6.0);
    let mut system = Row::new("the same, with the system's trust store", Unit::Megabytes);
    let mut cpu = Row::new("CPU in 35 s idle", Unit::Milliseconds);
    let mut wakeups =
        Row::new("wakeups in 35 s idle (one keep-alive)", Unit::Count).at_most(WAKEUPS_OF_A_PING);
    let with_ca_file = join_all(programs.iter().map(|program| idle(program, Trust::CaFile)));
    let with_system = join_all(programs.iter().map(|program| idle(program, Trust::System)));
    let (with_ca_file, with_system) = tokio::join!(with_ca_file, with_system);
    for stretch in &with_system {
        system.put(read(stretch, |it| Some(it.end.resident? as f64)));
    }
    for stretch in &with_ca_file {
        ca_file.put(read(stretch, |it| Some(it.end.resident? as f64)));
        cpu.put(read(stretch, |it| {
            Some((it.end.cpu?.saturating_sub(it.begin.cpu?)).as_secs_f64() * 1000.0)
        }));
        wakeups.put(read(stretch, |it| {
            Some(it.end.wakeups?.saturating_sub(it.begin.wakeups?) as f64)
        }));
    }
    vec![ca_file, system, cpu, wakeups]
}

/// A figure of a stretch, or why there is none.
fn read(
    stretch: &Result<Stretch, String>,
    figure: impl Fn(&Stretch) -> Option<f64>,
) -> Result<f64, String> {
    let stretch = stretch.as_ref().map_err(String::clone)?;
    figure(stretch).ok_or_else(|| NOT_TOLD.to_owned())
}

/// Starts a device that finds no job, and lets it idle.
async fn idle(program: &Program, trust: Trust) -> Result<Stretch, String> {
    let world = World::new(Duration::ZERO, 0).await?;
    let mut device = world.start(program, trust)?;
    world.settled(&mut device).await?;
    sleep(SETTLING).await;
    let journal = world.core.journal();
    let pingreq = |event: &Event| *event == Event::Pingreq;
    let _ = timeout(
        LONGEST_WAIT,
        journal.wait_for_entry(journal.len(), 1, pingreq),
    )
    .await;
    sleep(AFTER_PINGREQ).await;
    let begin = device.reading();
    sleep(STRETCH).await;
    let end = device.reading();
    Ok(Stretch { begin, end })
}
