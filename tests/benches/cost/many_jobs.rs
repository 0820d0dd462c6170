//! A thousand jobs against ten: what each costs must not grow with the queue.

use std::time::Duration;

use local_iot_core::Event;

use crate::process::{self, NOT_TOLD, Program};
use crate::table::{Measured, Row, Unit};
use crate::world::{LIMIT, Trust, World, median};

const FEW: usize = 10;
const MANY: usize = 1_000;

/// How often the short runs are measured. The one in the middle counts.
const RUNS: usize = 9;

/// How long the many jobs may take.
const MANY_LIMIT: Duration = Duration::from_secs(300);

/// Publishes per second that AWS IoT Core takes on one connection.
const PUBLISHES_A_SECOND: f64 = 100.0;

/// "Flat" means: with the many jobs at most this many times as much as with the few.
const FLAT: f64 = 1.2;

/// What one run came to.
struct Run {
    /// Processor time in milliseconds, the start of the process included.
    cpu: Measured,
    /// How often the process slept and was woken.
    wakeups: Measured,
    /// Bytes.
    peak: Measured,
    /// Seconds from the start of the process to the last SUCCEEDED.
    wall: f64,
    /// The shortest time, in seconds, that its publishes may take.
    floor: f64,
}

/// The rows: the start alone, a few jobs, and unless it is to be quick, many.
pub async fn rows(programs: &[Program], quick: bool) -> Vec<Row> {
    let mut start_cpu = Row::new("CPU of a start that finds no job", Unit::Milliseconds);
    let mut few_cpu = Row::new("CPU per job beside that, 10 jobs", Unit::Milliseconds).at_most(0.2);
    let mut few_peak = Row::new("peak resident memory, 10 jobs", Unit::Megabytes);
    let mut many_cpu = Row::new("CPU per job, 1,000 jobs", Unit::Milliseconds).at_most(0.2);
    let mut many_wakeups = Row::new("wakeups per job, 1,000 jobs", Unit::Count);
    let mut many_peak = Row::new(
        "peak resident memory, 1,000 jobs (at most 1.2 times that of 10)",
        Unit::Megabytes,
    );
    let mut wall = Row::new("wall time, 1,000 jobs", Unit::Seconds);
    let mut floor = Row::new(
        "its floor: their publishes at 100 per second",
        Unit::Seconds,
    );
    for (column, program) in programs.iter().enumerate() {
        let (start, few) = start_and_few(program).await;
        start_cpu.put(figure(&start, |run| run.cpu.clone()));
        few_cpu.put(a_job(&start, &few, FEW, |run| run.cpu.clone()));
        few_peak.put(figure(&few, |run| run.peak.clone()));
        if quick {
            continue;
        }
        let many = run(program, MANY, MANY_LIMIT).await;
        many_cpu.put(a_job(&start, &many, MANY, |run| run.cpu.clone()));
        many_wakeups.put(a_job(&start, &many, MANY, |run| run.wakeups.clone()));
        many_peak.put(figure(&many, |run| run.peak.clone()));
        wall.put(figure(&many, |run| Ok(run.wall)));
        floor.put(figure(&many, |run| Ok(run.floor)));
        if let (0, Ok(peak)) = (column, figure(&few, |run| run.peak.clone())) {
            many_peak = many_peak.at_most(peak * FLAT / 1e6);
        }
    }
    let mut rows = vec![start_cpu, few_cpu, few_peak];
    if !quick {
        let bare = bare_wakeup().await;
        rows.extend([many_cpu, many_wakeups, bare, many_peak, wall, floor]);
    }
    rows
}

/// What it costs on this machine to wake at all, as often as the pacing of publishes does.
async fn bare_wakeup() -> Row {
    let mut row = Row::new(
        "for comparison: CPU of a wakeup without any work, every 11 ms",
        Unit::Milliseconds,
    );
    let cpu = tokio::task::spawn_blocking(process::cpu_of_a_wakeup).await;
    let cpu = cpu.ok().flatten().map(|cpu| cpu.as_secs_f64() * 1000.0);
    row.put(cpu.ok_or_else(|| NOT_TOLD.to_owned()));
    row
}

/// One figure of a run, or why there is none.
fn figure(run: &Result<Run, String>, of: impl Fn(&Run) -> Measured) -> Measured {
    run.as_ref().map_err(String::clone).and_then(of)
}

/// What each job adds to a figure of a start without a job.
fn a_job(
    start: &Result<Run, String>,
    run: &Result<Run, String>,
    jobs: usize,
    of: impl Fn(&Run) -> Measured,
) -> Measured {
    Ok((figure(run, &of)? - figure(start, &of)?) / jobs as f64)
}

/// Runs without a job and with a few, several times in turn, so that other load on the machine
/// affects both alike.
async fn start_and_few(program: &Program) -> (Result<Run, String>, Result<Run, String>) {
    let (mut starts, mut fews) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        starts.push(run(program, 0, LIMIT).await);
        fews.push(run(program, FEW, LIMIT).await);
        if starts.iter().chain(&fews).any(Result::is_err) {
            break; // once more would only take the same time again
        }
    }
    (middle(starts), middle(fews))
}

/// The middle of several runs, figure by figure.
fn middle(runs: Vec<Result<Run, String>>) -> Result<Run, String> {
    let runs: Vec<Run> = runs.into_iter().collect::<Result<_, _>>()?;
    let of = |figure: fn(&Run) -> Measured| -> Measured {
        let figures: Vec<f64> = runs.iter().map(figure).collect::<Result<_, _>>()?;
        median(figures).ok_or_else(|| "not measured".to_owned())
    };
    Ok(Run {
        cpu: of(|run| run.cpu.clone()),
        wakeups: of(|run| run.wakeups.clone()),
        peak: of(|run| run.peak.clone()),
        wall: of(|run| Ok(run.wall))?,
        floor: of(|run| Ok(run.floor))?,
    })
}

/// Lets a fresh device do this number of jobs, and waits until it has nothing left to do.
async fn run(program: &Program, jobs: usize, limit: Duration) -> Result<Run, String> {
    let world = World::new(Duration::ZERO, jobs).await?;
    let mut device = world.start(program, Trust::CaFile)?;
    world.succeeded(&mut device, jobs, limit).await?;
    world.settled(&mut device).await?;
    let reading = device.reading();
    let told = |figure: Option<f64>| figure.ok_or_else(|| NOT_TOLD.to_owned());
    let last = world.successes().last().copied();
    let publish = |event: &Event| matches!(event, Event::Publish { .. });
    let publishes = world.core.journal().count(publish);
    Ok(Run {
        cpu: told(reading.cpu.map(|cpu| cpu.as_secs_f64() * 1000.0)),
        wakeups: told(reading.wakeups.map(|count| count as f64)),
        peak: told(reading.peak.map(|bytes| bytes as f64)),
        wall: last.map_or(0.0, |last| (last - device.started).as_secs_f64()),
        floor: publishes as f64 / PUBLISHES_A_SECOND,
    })
}
