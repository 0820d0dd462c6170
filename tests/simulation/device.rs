//! The device: the program under test, with work that reports progress, sets checkpoints, reboots
//! and is sometimes told that nobody wants it any more. Everything that is known here of the jobs
//! agent's interface stands in this file.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jobs_mqtt5::jobs::{self, Job, Outcome, ReportError, StatusDetails, WorkResult};
use jobs_mqtt5::mqtt;
use local_iot_core::Journal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::breaks::Habits;
use crate::network::{Modem, Network};
use crate::setting::{Setting, THING};
use crate::work::{Diary, Document, Ending};

/// A reading is published this often.
const READING: Duration = Duration::from_secs(60);

/// What a process is started with.
#[derive(Clone)]
pub struct Device {
    pub setting: Setting,
    pub network: Network,
    pub journal: Journal,
    pub diary: Diary,
    pub habits: Habits,
}

/// What a process is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    ToStop,
    /// Publish this many readings at once. (The second number makes each order a new one.)
    Burst(u32, u32),
}

/// A process, for those outside.
pub struct Process {
    pub number: u32,
    pub told: watch::Sender<Told>,
    pub is_on: Arc<AtomicBool>,
    pub running: tokio::task::JoinHandle<String>,
}

impl Process {
    /// The power is off: nothing of it reaches the network any more.
    pub fn kill(&self) {
        self.is_on.store(false, Ordering::Relaxed);
        self.running.abort();
    }
}

impl Device {
    /// Starts a process. It ends with a reason in words.
    pub fn start(&self, number: u32) -> Process {
        let (told, orders) = watch::channel(Told::Nothing);
        let is_on = Arc::new(AtomicBool::new(true));
        let modem = Modem {
            network: self.network.clone(),
            process: number,
            has_jitter: !self.habits.no_jitter,
            is_on: Arc::clone(&is_on),
        };
        let life = self.clone().live(number, modem, orders);
        Process {
            number,
            told,
            is_on,
            running: tokio::spawn(life),
        }
    }

    async fn live(self, number: u32, modem: Modem, orders: watch::Receiver<Told>) -> String {
        let (mqtt, mut events) = mqtt::connect(self.mqtt_options(modem));
        let jobs = jobs::Client::with(&mqtt, THING, self.jobs_options());
        if self.habits.leaves_a_task {
            tokio::spawn(std::future::pending::<()>());
        }
        let why = tokio::select! {
            biased;
            why = self.tell(&mut events) => why,
            why = self.do_jobs(number, &jobs) => why,
            () = self.publish_readings(&mqtt, orders.clone()) => "no more readings".to_owned(),
            () = until_told_to_stop(orders, &jobs) => "told to stop".to_owned(),
        };
        mqtt.disconnect();
        while events.next().await.is_some() {}
        why
    }

    fn mqtt_options(&self, modem: Modem) -> mqtt::Options {
        let mut options = mqtt::Options::without_tls("service.example", THING, Arc::new(modem));
        options.clean_start = !self.setting.keeps_session;
        self.habits.apply_to_mqtt(&mut options);
        options
    }

    fn jobs_options(&self) -> jobs::Options {
        let mut options = jobs::Options::default();
        options.step_timeout_in_minutes = self.setting.step_timeout_minutes;
        self.habits.apply_to_jobs(&mut options);
        options
    }

    /// Writes down what happens to the connection, until it has ended for good.
    async fn tell(&self, events: &mut mqtt::Events<mqtt::Event>) -> String {
        while let Some(event) = events.next().await {
            let words = match event {
                mqtt::Event::Connected { session_present } => {
                    format!("connected, session present: {session_present}")
                }
                mqtt::Event::Interrupted { error, wait, .. } => {
                    format!("interrupted: {error}; tries again in {wait:?}")
                }
                mqtt::Event::Ended(Err(error)) => return format!("connection ended: {error}"),
                mqtt::Event::Ended(Ok(())) => return "disconnected".to_owned(),
                other => format!("{other:?}"),
            };
            self.journal.note(format!("device: {words}"));
        }
        "no connection any more".to_owned()
    }

    /// All that a device does with jobs.
    async fn do_jobs(&self, process: u32, jobs: &jobs::Client) -> String {
        loop {
            let job = match jobs.start_next().await {
                Ok(Some(job)) => job,
                Ok(None) => match jobs.changed().await {
                    Ok(()) => continue,
                    Err(error) => return format!("no more events: {error}"),
                },
                Err(error) if error.is_fatal() => return format!("can't start: {error}"),
                Err(error) => {
                    self.journal.note(format!("device: start failed: {error}"));
                    sleep(Duration::from_secs(10)).await;
                    continue;
                }
            };
            let mut outcome = self.work(process, &job).await;
            if self.habits.works_twice {
                outcome = self.work(process, &job).await;
            }
            if self.habits.never_reports {
                continue;
            }
            let leaves = matches!(outcome, Ok(Outcome::LeftInProgress));
            let is_wanted = job.unwanted().is_none();
            let id = job.id().to_owned();
            match job.finish(outcome).await {
                Ok(verdict) => self.journal.note(format!("device: {id} is {verdict:?}")),
                Err(error) => return format!("can't report: {error}"),
            }
            if leaves && is_wanted {
                return "restarts".to_owned();
            }
        }
    }

    async fn work(&self, process: u32, job: &Job) -> WorkResult {
        let number = job.execution().execution_number.unsigned_abs();
        let document: Document = job.document()?;
        let name = format!("{} (serial {}, number {number})", job.id(), document.serial);
        self.journal.note(format!("device: works on {name}"));
        let nth = self.diary.begin(process, job.id(), document.serial, number);
        if document.reboots && job.status_details().get("rebooted").is_none() {
            sleep(Duration::from_secs(document.seconds / 2)).await;
            return checkpoint(job, "rebooted")
                .await
                .and(Ok(Outcome::LeftInProgress));
        }
        let parts = document.reports + 1;
        for part in 0..parts {
            let pause = Duration::from_secs(document.seconds) / parts;
            tokio::select! {
                biased;
                why = job.until_unwanted() => {
                    self.journal.note(format!("device: {name}: {why}"));
                    return Err(why.to_string().into());
                }
                () = job.until_stopping() => return Ok(Outcome::LeftInProgress),
                () = sleep(pause) => {}
            }
            if part + 1 < parts {
                job.progress(StatusDetails::of([("part", part.to_string())])?);
            }
        }
        if document.checkpoint && checkpoint(job, "done").await? == Checkpoint::Impossible {
            return Ok(Outcome::LeftInProgress);
        }
        let ending = document.ending(number);
        self.diary.done(nth, ending);
        self.journal.note(format!("device: {name} {ending:?}"));
        Ok(match ending {
            Ending::Succeeds => Outcome::succeeded(),
            Ending::Fails => Outcome::Failed("as the job wants it".to_owned()),
            Ending::Rejects => Outcome::Rejected("as the job wants it".to_owned()),
        })
    }

    /// A reading now and then, and many at once when told to.
    async fn publish_readings(&self, mqtt: &mqtt::Client, mut orders: watch::Receiver<Told>) {
        let mut under_way = JoinSet::new(); // ends with the process
        loop {
            let readings = tokio::select! {
                biased;
                Some(_) = under_way.join_next() => 0,
                Ok(()) = orders.changed() => match *orders.borrow_and_update() {
                    Told::Burst(readings, _) => readings,
                    _ => 0,
                },
                () = sleep(READING) => 1,
            };
            for _ in 0..readings {
                let mqtt = mqtt.clone();
                under_way.spawn(async move {
                    let reading = mqtt::Publish::new("dt/my-thing/celsius", "21.5");
                    let _ = mqtt.publish(reading).await;
                });
            }
        }
    }
}

/// What became of a checkpoint.
#[derive(PartialEq)]
enum Checkpoint {
    Set,
    /// The policy does not allow it: somebody has to change that.
    Impossible,
}

/// Sets a checkpoint: the next run of the program finds this in the status details.
async fn checkpoint(job: &Job, name: &str) -> Result<Checkpoint, Box<dyn Error + Send + Sync>> {
    match job.checkpoint(StatusDetails::of([(name, "yes")])?).await {
        Ok(()) => Ok(Checkpoint::Set),
        Err(ReportError::Request(_)) => Ok(Checkpoint::Impossible),
        Err(unwanted) => Err(unwanted.into()),
    }
}

/// Ends when the process is told to stop, and the work had a second to end.
async fn until_told_to_stop(mut orders: watch::Receiver<Told>, jobs: &jobs::Client) {
    let stops = orders.wait_for(|told| *told == Told::ToStop).await.is_ok();
    if !stops {
        return std::future::pending().await;
    }
    jobs.stop();
    sleep(Duration::from_secs(1)).await;
}
