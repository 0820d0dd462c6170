//! How often a device waits for the service: wall time divided by an injected round trip.
//!
//! TCP's own handshake is not delayed by the service, so one round trip is added for it wherever a
//! connection is made.

use std::time::{Duration, Instant};

use local_iot_core::{Entry, Event};
use serde_json::json;

use crate::packets::Packets;
use crate::process::Program;
use crate::table::{Measured, Row, Unit};
use crate::world::{LIMIT, Trust, World, is_accepted, median};

/// The injected round trip: far more than anything else takes.
pub const ROUND_TRIP: Duration = Duration::from_millis(100);

/// TCP's own handshake, in round trips.
pub const TCP: f64 = 1.0;

/// What the mark in the rows stands for.
pub const NOTE: &str = "¹ Wall time / an injected round trip of 100 ms; where a connection is made, \
     1 is added for TCP's own handshake, which is not delayed.";

/// How often each is measured. The one in the middle counts.
const RUNS: usize = 3;

/// So few that no pacing of publishes comes between them.
const JOBS: usize = 6;

/// The rows, and the packets of one job as our program sends them.
pub async fn rows(programs: &[Program]) -> (Vec<Row>, Packets) {
    let row = |what, target| Row::new(what, Unit::RoundTrips).at_most(target);
    let mut first = row("process start to the first SUCCEEDED¹", 5.8);
    let mut further = row("each further job¹", 2.1);
    let mut resumed = row("reconnecting to the next request accepted¹", 3.8);
    let mut lost = row("the same, session lost¹", 3.8);
    let mut packets = Packets::default();
    for (column, program) in programs.iter().enumerate() {
        let mut figures = [const { Vec::new() }; 4];
        for _ in 0..RUNS {
            figures[0].push(to_first_success(program).await.map(|(figure, seen)| {
                if column == 0 {
                    packets = seen;
                }
                figure
            }));
            figures[1].push(per_further_job(program).await);
            figures[2].push(to_work_again(program, Session::Resumed).await);
            figures[3].push(to_work_again(program, Session::Lost).await);
            if figures.iter().any(|runs| runs.iter().any(Result::is_err)) {
                break; // once more would only take the same time again
            }
        }
        for (row, runs) in [&mut first, &mut further, &mut resumed, &mut lost]
            .into_iter()
            .zip(figures)
        {
            row.put(middle(runs));
        }
    }
    (vec![first, further, resumed, lost], packets)
}

/// The one in the middle of several runs, or what went wrong in one of them.
fn middle(runs: Vec<Measured>) -> Measured {
    let figures: Vec<f64> = runs.into_iter().collect::<Result<_, _>>()?;
    median(figures).ok_or_else(|| "not measured".to_owned())
}

fn round_trips(time: Duration) -> f64 {
    time.as_secs_f64() / ROUND_TRIP.as_secs_f64()
}

/// From the start of the process to the SUCCEEDED of the only job reaching the service.
async fn to_first_success(program: &Program) -> Result<(f64, Packets), String> {
    let world = World::new(ROUND_TRIP / 2, 1).await?;
    let mut device = world.start(program, Trust::CaFile)?;
    world.succeeded(&mut device, 1, LIMIT).await?;
    world.settled(&mut device).await?;
    let at = world.successes()[0];
    let figure = TCP + round_trips(at - device.started);
    let packets = Packets::of(&world, device.started, at);
    Ok((figure, packets))
}

/// From one SUCCEEDED to the next, on average over a few jobs.
async fn per_further_job(program: &Program) -> Measured {
    let world = World::new(ROUND_TRIP / 2, JOBS).await?;
    let mut device = world.start(program, Trust::CaFile)?;
    world.succeeded(&mut device, JOBS, LIMIT).await?;
    let at = world.successes();
    Ok(round_trips(at[JOBS - 1] - at[0]) / (JOBS - 1) as f64)
}

/// What has become of the session while the device was away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Session {
    Resumed,
    Lost,
}

/// Drops the connection of an idle device and creates a job while it is away. Counts from the new TCP
/// connection (so the wait before it, which is random, is left out) to the next request that the
/// service accepts.
async fn to_work_again(program: &Program, session: Session) -> Measured {
    let world = World::new(ROUND_TRIP / 2, 0).await?;
    let mut device = world.start(program, Trust::CaFile)?;
    world.settled(&mut device).await?;
    let (core, journal) = (&world.core, world.core.journal());
    let before = journal.len();
    core.drop_connections();
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    device
        .wait_for("end", LIMIT, journal.wait_for_entry(before, 1, closed))
        .await?;
    if session == Session::Lost {
        core.forget_sessions();
    }
    core.jobs()
        .create_job("while-away", json!({}))
        .map_err(|error| error.to_string())?;
    let accepted = journal.wait_for_entry(before, 1, is_accepted);
    let reply = device
        .wait_for("request after the connection was lost", LIMIT, accepted)
        .await?;
    let connected = last_accept(&world, reply.at).ok_or("it did not connect")?;
    Ok(TCP + round_trips(reply.at - connected))
}

/// When the last TCP connection before `until` came in.
fn last_accept(world: &World, until: Instant) -> Option<Instant> {
    let entries = world.core.journal().entries();
    let accepted = |entry: &&Entry| entry.at <= until && entry.event == Event::TcpAccepted;
    entries.iter().rfind(accepted).map(|entry| entry.at)
}
