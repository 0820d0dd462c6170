//! A device that sends a reading every second and does jobs, over one connection. Its flags are those
//! of the sample; on a real device, `--client_id` is the name of the thing.
//!
//! The policy needs one statement more than `policy.json` has:
//!
//! ```json
//! {"Effect": "Allow", "Action": "iot:Publish",
//!  "Resource": "arn:aws:iot:<region>:<account>:topic/dt/<thingname>/temperature"}
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{self, Job, Outcome, RequestError, StatusDetails, WorkResult};
use jobs_mqtt5::mqtt::{self, Publish, PublishError};
use jobs_mqtt5::sample::Settings;
use jobs_mqtt5::story::Story;
use tokio::time::{MissedTickBehavior, interval, sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = run(&Flags::of_this_process()).await;
    if let Err(error) = &ended {
        eprintln!("{error}");
    }
    ExitCode::from(u8::from(ended.is_err()))
}

async fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_flags(flags, &Story::on_stdout_and_stderr()?)?;
    let (mqtt, mut events) = mqtt::connect(settings.mqtt); // one connection, for all of it
    let jobs = jobs::Client::with(&mqtt, &settings.thing_name, settings.jobs);
    let topic = format!("dt/{}/temperature", settings.thing_name);
    tokio::select! {
        biased; // the reason why the connection has ended goes before that it has
        ended = until_the_end(&mut events) => ended?,
        ended = do_jobs(&jobs) => ended?,
        ended = send_readings(&mqtt, &topic) => ended?,
    }
    Ok(())
}

/// A reading every second. One that can't be sent just now waits for the connection, and those that
/// would have followed meanwhile are left out.
async fn send_readings(mqtt: &mqtt::Client, topic: &str) -> Result<(), PublishError> {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        second.tick().await;
        match mqtt
            .publish(Publish::new(topic, r#"{"celsius": 21.5}"#))
            .await
        {
            Err(PublishError::SessionLost) => {} // it may have arrived, and the next one follows
            sent => sent?,
        }
    }
}

/// The whole of a device that does jobs.
async fn do_jobs(jobs: &jobs::Client) -> Result<(), RequestError> {
    loop {
        let Some(job) = jobs.start_next().await? else {
            jobs.changed().await?;
            continue;
        };
        println!("Working on job {}", job.id());
        let outcome = work(&job).await;
        job.finish(outcome).await?;
    }
}

/// Work that waits and never blocks, so the readings go on. (What blocks is for [`Job::run`].)
async fn work(job: &Job) -> WorkResult {
    for percent in ["0", "50", "100"] {
        job.progress(StatusDetails::of([("percent", percent)])?);
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            why = job.until_unwanted() => return Err(why.to_string().into()),
        }
    }
    Ok(Outcome::succeeded())
}

/// Tells what happens to the connection, until it has ended for good.
async fn until_the_end(
    events: &mut mqtt::Events<mqtt::Event>,
) -> Result<(), mqtt::ConnectionError> {
    while let Some(event) = events.next().await {
        match event {
            mqtt::Event::Interrupted { error, .. } => eprintln!("{error}"),
            mqtt::Event::Ended(how) => return how,
            _ => {}
        }
    }
    Ok(())
}
