//! A whole device on one connection: it sends a reading every second, answers commands, and brews: each
//! job is a number of cups, with progress, a checkpoint after each cup, and an end when the job is
//! canceled or the program is told to stop. Its flags are those of the sample.
//!
//! Beside what `policy.json` has, the policy must allow iot:Publish on `topic/dt/<thingname>/*` and on
//! wherever answers are expected, iot:Subscribe on `topicfilter/cmd/<thingname>/*`, and iot:Receive on
//! `topic/cmd/<thingname>/*`.

use std::{error::Error, process::ExitCode, time::Duration};

use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::{self, StatusDetails};
use jobs_mqtt5::mqtt::{self, ConnectionError, Event, Events, Publish, PublishError};
use jobs_mqtt5::{cli::Flags, output::Output, sample::Settings, stop};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = run(&Flags::of_this_process()).await;
    let ended = ended.inspect_err(|error| eprintln!("{error}"));
    ExitCode::from(u8::from(ended.is_err()))
}

async fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_flags(flags, &Output::on_stdout_and_stderr()?)?;
    let thing = settings.thing_name;
    let (mqtt, mut events) = mqtt::connect(settings.mqtt); // one connection, for all of it
    let jobs = jobs::Client::with_options(&mqtt, &thing, settings.jobs);
    let mut agent = Agent::with_options(&jobs, settings.agent);
    let (stopper, signal) = (agent.stopper(), stop::signal()?);
    tokio::select! {
        biased; // the reason why the connection has ended goes before that it has
        ended = until_the_end(&mut events) => ended?,
        ended = agent.run(brew) => drop(ended?),
        ended = send_readings(&mqtt, format!("dt/{thing}/celsius")) => ended?,
        ended = answer_commands(&mqtt, format!("cmd/{thing}/+")) => ended?,
        // The work hears of it, and what it has done so far is kept for the next run.
        why = async { let why = signal.await; stopper.stop(); sleep(Duration::from_secs(1)).await; why }
            => println!("Stopping: {why}"),
    }
    mqtt.disconnect();
    let _ = until_the_end(&mut events).await;
    Ok(())
}

/// Brews as many cups as the job document says (`{"cups": 3}`), from where an earlier run left off.
async fn brew(job: &Job) -> WorkResult {
    #[derive(serde::Deserialize)]
    struct Order {
        cups: u32,
    }
    let order: Order = job.document()?;
    let done = job.status_details().get("cups");
    let done: u32 = done.and_then(|cups| cups.parse().ok()).unwrap_or(0);
    let cups = |cups: u32| StatusDetails::default().with_text("cups", &cups.to_string());
    for cup in done + 1..=order.cups {
        job.progress(cups(cup - 1).with_text("step", "brewing")); // does not wait
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            why = job.interrupted() => return Err(why.into()),
        }
        println!("{}: cup {cup} of {}", job.id(), order.cups);
        job.checkpoint(cups(cup)).await?; // waits until the service has it
    }
    Ok(Outcome::succeeded())
}

/// A reading every second. One that can't be sent just now waits for the connection.
async fn send_readings(mqtt: &mqtt::Client, topic: String) -> Result<(), PublishError> {
    loop {
        sleep(Duration::from_secs(1)).await;
        match mqtt.publish(Publish::new(&topic, "21.5")).await {
            Err(PublishError::SessionLost) => {} // it may have arrived, and the next one follows
            sent => sent?,
        }
    }
}

/// Answers each command where its answer is expected, for whoever asked (MQTT5, section 4.10). That
/// topic comes from outside: if it can't be published to, this one answer is skipped.
async fn answer_commands(mqtt: &mqtt::Client, filter: String) -> Result<(), PublishError> {
    let (mut commands, mut skipped) = (mqtt.subscribe([filter]), 0);
    while let Some(command) = commands.next().await {
        let Some(topic) = command.response_topic else {
            continue; // nobody waits for an answer
        };
        let mut answer = Publish::new(topic, format!("done: {}", command.topic));
        if let Some(data) = command.correlation_data {
            answer = answer.correlation_data(data);
        }
        if let Err(error) = mqtt.publish(answer).await {
            skipped += 1;
            eprintln!("An answer was skipped ({skipped} so far): {error}");
        }
    }
    Err(PublishError::Ended)
}

/// Says what happens to the connection, until it has ended for good.
async fn until_the_end(events: &mut Events<Event>) -> Result<(), ConnectionError> {
    while let Some(event) = events.next().await {
        match event {
            Event::Interrupted { error, .. } => eprintln!("{error}"),
            Event::Ended(how) => return how,
            _ => {}
        }
    }
    Ok(())
}
