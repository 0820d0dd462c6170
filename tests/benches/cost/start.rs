//! How long a device takes from the start of its process to the CONNECT leaving.

use std::time::Duration;

use local_iot_core::Event;

use crate::process::Program;
use crate::table::{Measured, Row, Unit};
use crate::world::{LIMIT, Trust, World, median};

/// How often it is measured. The one in the middle counts.
const RUNS: usize = 21;

/// The rows, for each way to know whom to trust.
pub async fn rows(programs: &[Program]) -> Vec<Row> {
    let mut ca_file = Row::new(
        "process start to CONNECT leaving, with `--ca_file`",
        Unit::Milliseconds,
    )
    .at_most(10.0);
    let mut system = Row::new(
        "the same, with the system's trust store",
        Unit::Milliseconds,
    );
    for program in programs {
        ca_file.put(to_connect(program, Trust::CaFile).await);
        system.put(to_connect(program, Trust::System).await);
    }
    vec![ca_file, system]
}

/// From the start of the process to the CONNECT at a service that is at no distance.
async fn to_connect(program: &Program, trust: Trust) -> Measured {
    let world = World::new(Duration::ZERO, 0).await?;
    let journal = world.core.journal();
    let mut took = Vec::new();
    for _ in 0..RUNS {
        let before = journal.len();
        let mut device = world.start(program, trust)?;
        let connect = |event: &Event| matches!(event, Event::Connect { .. });
        let connect = journal.wait_for_entry(before, 1, connect);
        let connect = device.wait_for("CONNECT", LIMIT, connect).await?;
        took.push((connect.at - device.started).as_secs_f64() * 1000.0);
    }
    median(took).ok_or_else(|| "not measured".to_owned())
}
