//! How many bytes a device sends and receives.

use std::time::Duration;

use local_iot_core::{Event, KeyForm, Limits, Options};

use crate::line::{Line, Volume};
use crate::process::Program;
use crate::round_trips::Session;
use crate::table::{Measured, Row, Unit};
use crate::world::{Device, LIMIT, Trust, World};

/// What the mark in the title stands for.
pub const NOTE: &str = "² Bytes of TCP payload, for a device with an RSA key of 2048 bits, the thing \
     my-thing, jobs such as job-0, and documents such as {\"do\":0}. A day is computed from the bytes of a ping.";

/// How many jobs are queued when the bytes per job are measured.
const JOBS: u64 = 10;

/// The keep-alive that the service asks for, in seconds, so that pings need not be waited for. A ping
/// has the same size with any.
const KEEP_ALIVE: u16 = 5;

/// How many pings are counted.
const PINGS: u64 = 3;

const DAY: u64 = 24 * 60 * 60;

/// The keep-alives for which a day is computed: the program's own, and the longest that AWS takes.
const KEEP_ALIVES_OF_A_DAY: [(u64, &str); 2] = [(30, "30 s"), (1_200, "1,200 s")];

/// Two rows for each measure: what is sent, and what is received.
struct Rows {
    sent: Row,
    received: Row,
}

impl Rows {
    fn new(what: &str) -> Self {
        let row = |way| Row::new(format!("{what}: {way}"), Unit::Bytes);
        Self {
            sent: row("sent"),
            received: row("received"),
        }
    }

    /// The volume of the next program, divided by a number of jobs or pings.
    fn put(&mut self, volume: &Result<Volume, String>, number: u64) {
        let share = |bytes: u64| bytes as f64 / number as f64;
        let volume = volume.as_ref().map_err(String::clone);
        self.sent
            .put(volume.clone().map(|volume| share(volume.sent)));
        self.received
            .put(volume.map(|volume| share(volume.received)));
    }
}

/// The rows. Those of a day are computed from the pings.
pub async fn rows(programs: &[Program], quick: bool) -> Vec<Row> {
    let mut connect = Rows::new("to connect and be idle");
    let mut queued = Rows::new("per job from a queue of 10");
    let mut arrived = Rows::new("per job that comes while idle");
    let mut resumed = Rows::new("to reconnect, session resumed");
    let mut lost = Rows::new("to reconnect, session lost");
    let mut ping = Rows::new("per ping");
    let mut days = KEEP_ALIVES_OF_A_DAY.map(|(keep_alive, name)| {
        let what = format!("idle for a day, keep-alive {name}: both ways");
        (keep_alive, Row::new(what, Unit::Bytes))
    });
    for program in programs {
        let alone = start(program, 0).await;
        let with_jobs = start(program, JOBS).await;
        connect.put(&alone, 1);
        let jobs = with_jobs.and_then(|volume| Ok(volume - alone?));
        queued.put(&jobs, JOBS);
        arrived.put(&while_idle(program).await, 1);
        resumed.put(&reconnect(program, Session::Resumed).await, 1);
        lost.put(&reconnect(program, Session::Lost).await, 1);
        if quick {
            continue;
        }
        let pings = pings(program).await;
        ping.put(&pings, PINGS);
        for (keep_alive, row) in &mut days {
            row.put(a_day(&pings, *keep_alive));
        }
    }
    let pairs = [connect, queued, arrived, resumed, lost];
    let mut rows: Vec<Row> = pairs.into_iter().flat_map(both).collect();
    if !quick {
        rows.extend(both(ping));
        rows.extend(days.map(|(_, row)| row));
    }
    rows
}

fn both(rows: Rows) -> [Row; 2] {
    [rows.sent, rows.received]
}

/// What the pings of a day come to.
fn a_day(pings: &Result<Volume, String>, keep_alive: u64) -> Measured {
    let Volume { sent, received } = *pings.as_ref().map_err(String::clone)?;
    Ok((sent + received) as f64 / PINGS as f64 * (DAY / keep_alive) as f64)
}

/// A device at the end of a line that counts. Its key is as AWS makes them: RSA with 2048 bits.
struct Counted {
    device: Device,
    line: Line,
    world: World,
}

impl Counted {
    /// Starts it, with this number of jobs in its queue, and waits until it is idle.
    async fn start(program: &Program, limits: Limits, jobs: u64) -> Result<Self, String> {
        let options = Options {
            limits,
            ..Options::default()
        };
        let mut world = World::with(options, jobs as usize).await?;
        let made = async {
            world.give_key(KeyForm::RsaPkcs1)?;
            Line::to(world.port).await
        };
        let line = made.await;
        let line = line.map_err(|error| format!("the line can't be made: {error}"))?;
        world.port = line.port;
        let mut device = world.start(program, Trust::CaFile)?;
        world.succeeded(&mut device, jobs as usize, LIMIT).await?;
        world.settled(&mut device).await?;
        Ok(Self {
            device,
            line,
            world,
        })
    }

    /// Waits for an event among the entries of the journal from this one on.
    async fn wait_for(
        &mut self,
        what: &str,
        from: usize,
        fits: impl FnMut(&Event) -> bool,
    ) -> Result<(), String> {
        let event = self.world.core.journal().wait_for_entry(from, 1, fits);
        self.device.wait_for(what, LIMIT, event).await.map(drop)
    }
}

/// From the start of the process until it has nothing left to do.
async fn start(program: &Program, jobs: u64) -> Result<Volume, String> {
    let counted = Counted::start(program, Limits::default(), jobs).await?;
    Ok(counted.line.volume())
}

/// A job that is created while the device is idle.
async fn while_idle(program: &Program) -> Result<Volume, String> {
    let mut it = Counted::start(program, Limits::default(), 0).await?;
    let before = it.line.volume();
    it.world.create_jobs(0..1)?;
    it.world.succeeded(&mut it.device, 1, LIMIT).await?;
    it.world.settled(&mut it.device).await?;
    Ok(it.line.volume() - before)
}

/// An idle device that loses its connection, until it is idle again.
async fn reconnect(program: &Program, session: Session) -> Result<Volume, String> {
    let mut it = Counted::start(program, Limits::default(), 0).await?;
    let (bytes, entries) = (it.line.volume(), it.world.core.journal().len());
    it.world.core.drop_connections();
    it.wait_for("end", entries, |event| *event == Event::ConnectionClosed)
        .await?;
    if session == Session::Lost {
        it.world.core.forget_sessions();
    }
    let resumed = session == Session::Resumed;
    it.wait_for("reconnect", entries, |event| {
        matches!(event, Event::Connack { session_present, .. } if *session_present == resumed)
    })
    .await?;
    it.world.settled(&mut it.device).await?;
    Ok(it.line.volume() - bytes)
}

/// A few pings of an idle device.
async fn pings(program: &Program) -> Result<Volume, String> {
    let limits = Limits {
        server_keep_alive: Some(KEEP_ALIVE),
        ..Limits::default()
    };
    let mut it = Counted::start(program, limits, 0).await?;
    let mut bytes = it.line.volume();
    for number in 0..=PINGS {
        let entries = it.world.core.journal().len();
        it.wait_for("ping", entries, |event| *event == Event::Pingreq)
            .await?;
        // Its answer is on the line by then; the next one is seconds away.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if number == 0 {
            bytes = it.line.volume(); // from here on, only whole pings
        }
    }
    Ok(it.line.volume() - bytes)
}
