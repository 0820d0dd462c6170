//! A device whose key is in a token (a secure element, a smart card, an HSM, a TPM), by PKCS #11. The first
//! start makes the key there. As long as there is no certificate, each start prints a certificate signing
//! request; with the certificate that the cloud has made of it, the next ones connect, and do jobs.
//!
//! Its flags are those of the sample. `--key` is a file that says where the key is: the first start writes
//! it. Where keys are to be made says the environment variable `DEVICE_TOKEN`:
//!
//! ```text
//! pkcs11:token=device?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=device.pin
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::mqtt::{self, Event, Events};
use jobs_mqtt5::{cli::Flags, jobs, output::Output, sample::Settings, stop};

#[allow(dead_code)] // a part of it is for the other examples
mod device_key;
#[allow(dead_code)] // this too
mod durable;

use durable::RealDisk;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = run(&Flags::of_this_process()).await;
    let ended = ended.inspect_err(|error| eprintln!("{error}"));
    ExitCode::from(u8::from(ended.is_err()))
}

async fn run(flags: &Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    if !flags.cert.exists() {
        if !flags.key.exists() {
            if env::var_os("DEVICE_TOKEN").is_none() {
                return Err("set DEVICE_TOKEN to the token that the key is to be made in".into());
            }
            // It says where the key is, and is no secret.
            let keep = |key: &str| {
                let line = format!("{key}\n");
                durable::replace(&RealDisk, &flags.key, line.as_bytes(), 0o644)
            };
            device_key::generate(keep)?;
        }
        let request = device_key::csr(&fs::read_to_string(&flags.key)?);
        let request = request.map_err(|error| format!("{}: {error}", flags.key.display()))?;
        print!("{request}");
        return Ok(());
    }
    let tls = device_key::client_config(&flags.cert, &flags.key, flags.ca_file.as_deref())?;
    let settings = Settings::with_tls(flags, tls, &Output::on_stdout_and_stderr()?)?;
    let (mqtt, mut events) = mqtt::connect(settings.mqtt);
    let jobs = jobs::Client::new(&mqtt, &flags.thing_name);
    let mut agent = Agent::new(&jobs);
    tokio::select! {
        biased; // the reason why the connection has ended goes before that it has
        ended = until_the_end(&mut events) => ended?,
        ended = agent.run(work) => drop(ended?),
        why = stop::signal()? => println!("Stopping: {why}"),
    }
    mqtt.disconnect();
    let _ = until_the_end(&mut events).await;
    Ok(())
}

async fn work(job: &Job) -> WorkResult {
    println!("job {}: {}", job.id(), job.execution().job_document);
    Ok(Outcome::succeeded())
}

/// Says what happens to the connection, until it has ended for good.
async fn until_the_end(events: &mut Events<Event>) -> Result<(), mqtt::ConnectionError> {
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { .. } => println!("Connected with the key in the token"),
            Event::Interrupted { error, .. } => eprintln!("{error}"),
            Event::Ended(how) => return how,
            _ => {}
        }
    }
    Ok(())
}
