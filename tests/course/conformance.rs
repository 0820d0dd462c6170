//! `local_iot_core` against somebody else's truth.
//!
//! Sends the same MQTT5 requests to `local_iot_core` and to ministack (an AWS emulator that no one
//! here wrote), and compares each reply and each event, times and ids aside:
//!
//! ```sh
//! cargo run --example conformance -- --ministack-http http://127.0.0.1:4566 --mqtt-port 8883
//! ```
//!
//! Where they differ, the service as AWS documents it decides. Each difference that remains stands
//! in `conformance/differences.txt` with its reason: one that does not stand there fails the run,
//! and so does one that stands there and no longer occurs. It takes a good minute, for a job
//! that times out has at least that long.

#[path = "conformance/device.rs"]
mod device;
#[path = "conformance/differences.rs"]
mod differences;
#[path = "conformance/http.rs"]
mod http;
#[path = "conformance/normal.rs"]
mod normal;
#[path = "conformance/scenario.rs"]
mod scenario;
#[path = "conformance/scenarios.rs"]
mod scenarios;
#[path = "conformance/services.rs"]
mod services;

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use differences::{Differences, Step};
use scenario::Scenario;
use services::{Account, Core, Ministack, Service};

/// Compares local_iot_core with ministack, request by request.
#[derive(Parser)]
#[command(name = "conformance")]
struct Arguments {
    /// Where ministack's API is.
    #[arg(long, default_value = "http://127.0.0.1:4566")]
    ministack_http: String,
    /// The port for MQTT with client certificates, on the same host.
    #[arg(long, default_value_t = 8883)]
    mqtt_port: u16,
    /// Print every step, and what both said.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(compare(&arguments)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The comparison can't be made: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the two differ where the list says so, and nowhere else.
async fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let account = Account::open(&arguments.ministack_http, arguments.mqtt_port).await?;
    let scenarios = scenarios::all();
    // At the same time, for one of them waits for a minute.
    let runs = scenarios.iter().zip(1..).map(|(scenario, number)| {
        let account = &account;
        async move { run(scenario, number, account).await }
    });
    let mut steps = Vec::new();
    for outcome in futures_util::future::join_all(runs).await {
        steps.extend(outcome?);
    }
    account.close().await?;
    if arguments.verbose {
        steps.iter().for_each(|step| println!("{step}"));
    }
    let listed = Differences::listed()?;
    let verdict = listed.judge(&steps);
    println!("{verdict}");
    Ok(verdict.is_good())
}

/// Does a scenario with both services.
async fn run(
    scenario: &Scenario,
    number: usize,
    account: &Account,
) -> Result<Vec<Step>, Box<dyn Error>> {
    let name = format!("conformance-{number}");
    let explained = |service: &'static str| {
        let scenario = scenario.name;
        move |error: Box<dyn Error>| format!("{service}, \"{scenario}\": {error}")
    };
    let with_core = async {
        let core = Core::start(&name).await?;
        scenario.play(&Service::Core(core)).await
    };
    let with_ministack = async {
        let ministack = Ministack::start(&name, account).await?;
        scenario.play(&Service::Ministack(ministack)).await
    };
    let (core, ministack) = tokio::join!(with_core, with_ministack);
    let core = core.map_err(explained("local_iot_core"))?;
    let ministack = ministack.map_err(explained("ministack"))?;
    let pairs = scenario.steps.iter().zip(core.into_iter().zip(ministack));
    let mut times: HashMap<String, u32> = HashMap::new();
    let named = |(step, (core, ministack)): (&scenario::Step, _)| {
        let mut name = format!("{}: {step}", scenario.name);
        let times = times.entry(name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            name += &format!(" ({times})");
        }
        Step {
            name,
            core,
            ministack,
        }
    };
    Ok(pairs.map(named).collect())
}
