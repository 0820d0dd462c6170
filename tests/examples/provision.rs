//! A device's first day: it has a claim certificate, which is the same in every device of its kind and may
//! do one thing only. With it the device gets a certificate of its own, for a key that it makes itself and
//! that never leaves it; connects with that; and does its first job. From then on the claim is of no use.
//!
//! Its flags are those of the sample: `--cert` and `--key` are the claim, and `--thing_name` is the serial
//! number on its label, which the template (the environment variable `PROVISIONING_TEMPLATE`) takes as the
//! thing's name. What it gets is in the folder `identity` (or `IDENTITY_FOLDER`), where lesson 6 rotates it:
//!
//! | in the folder | what a start does |
//! |---|---|
//! | `current.pem`: certificate and key, the cloud has accepted them | works |
//! | `first.pem`: the same, not accepted yet, and `first.token`, that it is ours | connects with it: once accepted, it is `current.pem`; if refused, registers it with the token |
//! | `first.key`: a key | asks for a certificate for it |
//! | nothing | makes a key |
//!
//! A file that can't be used (a disk that went bad, a token that was set up anew) is as good as none.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, time::Duration};

use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::mqtt::{
    self, Backoff, ConnectionError, ConnectionErrorKind as Kind, Event, Events,
};
use jobs_mqtt5::{cli::Flags, jobs, output::Output, sample::Settings, stop};
use rustls::ClientConfig;

#[allow(dead_code)] // a part of it is for the other examples
mod device_key;
#[allow(dead_code, clippy::duplicate_mod)] // a part of it is used; and the tests have it too
pub(crate) mod durable;
mod fleet_provisioning;

use durable::{Folder, RealDisk};
use fleet_provisioning::FleetProvisioning;

const TRIES: u32 = 5; // with a certificate that may not have been registered

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = run(Flags::of_this_process()).await;
    let ended = ended.inspect_err(|error| eprintln!("{error}"));
    ExitCode::from(u8::from(ended.is_err()))
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name: &str, default: &str| env::var(name).unwrap_or(default.to_owned());
    let folder = setting("IDENTITY_FOLDER", "identity");
    let device = Device {
        flags,
        output: Output::on_stdout_and_stderr()?,
        template: setting("PROVISIONING_TEMPLATE", "jobs-mqtt5-first-day"),
        identity: Folder::open(folder, Arc::new(RealDisk))?,
        answer_timeout: Duration::from_secs(10),
        patience: Duration::from_secs(60),
    };
    let work = async {
        let mqtt = device.connect_as_itself().await?;
        println!("Connected as {}", device.flags.thing_name);
        let jobs = jobs::Client::new(&mqtt, &device.flags.thing_name);
        Agent::new(&jobs).run(first_job).await?;
        Ok(())
    };
    tokio::select! {
        ended = work => ended,
        why = stop::signal()? => {
            println!("Stopping: {why}");
            Ok(())
        }
    }
}

async fn first_job(job: &Job) -> WorkResult {
    println!("job {}: {}", job.id(), job.execution().job_document);
    Ok(Outcome::succeeded())
}

/// A device, and where its identity is.
pub struct Device {
    pub(crate) flags: Flags,
    pub(crate) output: Output,
    pub(crate) template: String,
    pub(crate) identity: Folder,
    /// How long an answer may take before the request is sent again.
    pub(crate) answer_timeout: Duration,
    /// How long a certificate may be refused after it was registered: AWS takes some seconds to know it.
    pub(crate) patience: Duration,
}

impl Device {
    /// Connects as the device that it is, and sees to it that it is one: see the table above.
    pub async fn connect_as_itself(&self) -> Result<mqtt::Client, Box<dyn Error + Send + Sync>> {
        let current = self.own("current.pem");
        let mqtt = match self.usable(&current)? {
            Some(tls) => self.connect(&current, tls, |_| {}).await?,
            None => self.become_itself().await?,
        };
        for name in ["first.token", "first.key"] {
            let removed = self.identity.remove(name);
            removed.unwrap_or_else(|error| eprintln!("{error}")); // it does no harm
        }
        Ok(mqtt)
    }

    async fn become_itself(&self) -> Result<mqtt::Client, Box<dyn Error + Send + Sync>> {
        let first = self.own("first.pem");
        let mqtt = loop {
            let cut_off = self.usable(&first)?;
            let is_cut_off = cut_off.is_some();
            if let Some(tls) = cut_off {
                let few_tries = |options: &mut mqtt::Options| options.max_tries = Some(TRIES);
                match self.connect(&first, tls, few_tries).await {
                    Err(error) if is_refusal(&*error) => {} // it is not registered
                    tried => break tried?,
                }
            }
            if self.register(is_cut_off).await? {
                let patient = |options: &mut mqtt::Options| options.patience = self.patience;
                break self.connect(&first, tls(&first)?, patient).await?;
            }
            if is_cut_off {
                self.identity.remove("first.pem")?; // neither accepted nor registered: begin anew
            }
        };
        self.identity.rename("first.pem", "current.pem")?; // the cloud has accepted it
        Ok(mqtt)
    }

    /// Registers the certificate, with the claim; gets one first, if there is none that can be used. Returns
    /// whether its token was good for that.
    async fn register(&self, has_one: bool) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut claim = self.flags.clone();
        claim.client_id = format!("claim-{}", claim.thing_name);
        let mqtt = self.connect(&claim, tls(&claim)?, |_| {}).await?;
        println!("Connected with the claim");
        let cloud = FleetProvisioning::new(&mqtt, &self.template, self.answer_timeout);
        let mut cloud = cloud.await?;
        if !has_one {
            let keep = |key: &str| self.identity.replace("first.key", key);
            let (key, csr) = device_key::get_or_make(&self.identity.path("first.key"), keep)?;
            let created = cloud.create_certificate(&csr).await?;
            // The token first: where there is a certificate, there is its token.
            let token = &created.certificate_ownership_token;
            self.identity.replace("first.token", token)?;
            let trial = device_key::certificate(&created.certificate_pem)? + &key;
            self.identity.replace("first.pem", &trial)?;
        }
        let token = self.identity.read("first.token").ok().flatten();
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(false);
        };
        let name = &self.flags.thing_name;
        let given = match cloud.register(&token, name).await {
            Err(error) if error.is_token_refused() => return Ok(false),
            registered => registered?.thing_name,
        };
        if given != *name {
            let why = format!("the template calls this device {given}, not {name}");
            return Err(why.into());
        }
        mqtt.disconnect();
        Ok(true)
    }

    /// The flags of the device itself, whose certificate and key are in this file.
    fn own(&self, name: &str) -> Flags {
        let mut flags = self.flags.clone();
        flags.client_id.clone_from(&flags.thing_name);
        flags.cert = self.identity.path(name);
        flags.key.clone_from(&flags.cert);
        flags
    }

    /// What connects with the device's own file; `None` if that can't be used.
    fn usable(&self, own: &Flags) -> Result<Option<ClientConfig>, device_key::Failure> {
        device_key::usable(&own.cert, tls(own))
    }

    /// Connects, and returns when the server has accepted that. `set` changes the options before.
    async fn connect(
        &self,
        flags: &Flags,
        tls: ClientConfig,
        set: impl Fn(&mut mqtt::Options),
    ) -> Result<mqtt::Client, Box<dyn Error + Send + Sync>> {
        let mut options = Settings::with_tls(flags, tls, &self.output)?.mqtt;
        options.backoff = Backoff::new(self.answer_timeout / 10, self.answer_timeout * 6);
        set(&mut options);
        let (mqtt, mut events) = mqtt::connect(options);
        loop {
            match events.next().await {
                Some(Event::Connected { .. }) => break,
                Some(Event::Interrupted { error, .. }) => eprintln!("{error}"),
                Some(Event::Ended(Err(error))) => return Err(error.into()),
                _ => return Err("the connection has ended".into()),
            }
        }
        tokio::spawn(tell(events));
        Ok(mqtt)
    }
}

/// What connects with the certificate and the key of these flags.
fn tls(flags: &Flags) -> Result<ClientConfig, device_key::Failure> {
    device_key::client_config(&flags.cert, &flags.key, flags.ca_file.as_deref())
}

/// Says what becomes of a connection.
async fn tell(mut events: Events<Event>) {
    while let Some(event) = events.next().await {
        if let Event::Interrupted { error, .. } | Event::Ended(Err(error)) = event {
            eprintln!("{error}");
        }
    }
}

/// Whether it was the server that did not want this certificate. (One that is not reached says nothing.)
fn is_refusal(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let kind = error.downcast_ref().map(ConnectionError::kind);
    matches!(
        kind,
        Some(Kind::Tls(_) | Kind::Refused | Kind::ClosedEarly | Kind::Broken)
    )
}
