//! Not an example to learn from: a device built on the library, whose work hangs. It ends with 1 all the
//! same, whatever runtime it has. (The tests start it: `tests/it/library.rs`.)

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::agent::{self, Agent, Job, WorkResult};
use jobs_mqtt5::{jobs, mqtt, tls};
use tokio::runtime::Builder;

/// Never hears that it is to end, and blocks its thread.
async fn work(_: &Job) -> WorkResult {
    println!("The work hangs.");
    loop {
        std::thread::park();
    }
}

/// `hanging_work THREADS PORT CERT KEY CA`: ends when its job is canceled.
fn main() -> ExitCode {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let [threads, port, cert, key, ca] = &flags[..] else {
        return ExitCode::from(2);
    };
    let runtime = match threads.as_str() {
        "one" => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().enable_all().build(),
    };
    let Ok(runtime) = runtime else {
        return ExitCode::from(2);
    };
    let files = tls::Files::new(cert, key).ca(ca);
    let ended = runtime.block_on(async {
        let tls = tls::client_config(&files).map_err(|error| error.to_string())?;
        let mut options = mqtt::Options::new("localhost", "test-hangs", Arc::new(tls));
        options.port = port.parse().unwrap_or_default();
        let (mqtt, _events) = mqtt::connect(options);
        let mut options = agent::Options::default();
        options.overdue_limit = Duration::from_millis(300);
        let mut agent = Agent::with_options(&jobs::Client::new(&mqtt, "my-thing"), options);
        agent.run(work).await.map_err(|error| error.to_string())
    });
    if let Err(error) = &ended {
        eprintln!("{error}");
    }
    ExitCode::from(u8::from(ended.is_err()))
}
