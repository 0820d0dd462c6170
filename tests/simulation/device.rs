//! The device: the program under test, with work that reports progress, sets checkpoints, reboots
//! and is sometimes told that nobody wants it any more. Everything that is known here of the jobs
//! agent's interface stands in this file.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jobs_mqtt5::agent::{self, Agent, Event, Interrupted, Job, Outcome, Stopper, WorkResult};
use jobs_mqtt5::jobs::{self, StatusDetails};
use jobs_mqtt5::mqtt;
use local_iot_core::Journal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::breaks::Habits;
use crate::commands;
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
        let jobs = jobs::Client::new(&mqtt, THING);
        let mut agent = Agent::with_options(&jobs, self.agent_options());
        let (stopper, mut told) = (agent.stopper(), agent.events());
        if self.habits.leaves_a_task {
            tokio::spawn(std::future::pending::<()>());
        }
        let commands = commands::obey(&mqtt, &self.journal, self.habits.loses_commands);
        let why = tokio::select! {
            biased;
            why = self.note_connection(&mut events) => why,
            () = self.note_jobs(&mut told) => "no more events".to_owned(),
            why = self.do_jobs(number, &mut agent) => why,
            () = self.publish_readings(&mqtt, orders.clone()) => "no more readings".to_owned(),
            () = commands, if self.setting.later => "no more commands".to_owned(),
            () = until_told_to_stop(orders, stopper) => "told to stop".to_owned(),
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

    fn agent_options(&self) -> agent::Options {
        let mut options = agent::Options::default();
        options.step_timeout_in_minutes = self.setting.step_timeout_minutes;
        if self.setting.looks_first {
            options.filter = Some(Arc::new(|_| agent::Decision::Start));
        }
        self.habits.apply_to_agent(&mut options);
        options
    }

    /// Writes down what happens to the connection, until it has ended for good.
    async fn note_connection(&self, events: &mut mqtt::Events<mqtt::Event>) -> String {
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
            self.note(words);
        }
        "no connection any more".to_owned()
    }

    /// Writes down what the agent tells and the journal does not know yet.
    async fn note_jobs(&self, events: &mut mqtt::Events<Event>) {
        let mut hoard = Vec::new();
        while let Some(event) = events.next().await {
            if self.habits.hoards {
                hoard.push(format!("{event:?}"));
            }
            match event {
                Event::StartFailed(error) => self.note(format!("start failed: {error}")),
                Event::NoLongerWanted { job_id, why } => self.note(format!("{job_id}: {why}")),
                Event::Reported { job_id, result } => self.note(format!("{job_id} is {result:?}")),
                Event::Conflict { job_id } => self.note(format!("{job_id}: a conflict")),
                Event::WorkOverdue { job_id, .. } => self.note(format!("{job_id} is overdue")),
                Event::Jobs(jobs::Event::Retrying { error, wait }) => {
                    let (operation, why) = (error.operation, error.kind());
                    self.note(format!("asks {operation} again in {wait:?}: {why}"));
                }
                _ => {}
            }
        }
    }

    fn note(&self, words: impl std::fmt::Display) {
        self.journal.note(format!("device: {words}"));
    }

    /// All that a device does with jobs. Says why it ended.
    async fn do_jobs(&self, process: u32, agent: &mut Agent) -> String {
        let ended = if self.setting.has_loop || self.habits.never_reports {
            self.job_loop(process, agent).await
        } else {
            let device = self.clone();
            let work = async move |job: &Job| device.work(process, job).await;
            agent.run_here(work).await.map(|_| ()) // one thread, in virtual time
        };
        match ended {
            Ok(()) => "no more jobs".to_owned(),
            Err(error) => format!("no more jobs: {error}"),
        }
    }

    /// A loop of one's own.
    async fn job_loop(&self, process: u32, agent: &mut Agent) -> Result<(), agent::Error> {
        while let Some(job) = agent.next().await? {
            let outcome = self.work(process, &job).await;
            if self.habits.never_reports {
                continue;
            }
            job.finish(outcome).await?;
        }
        Ok(())
    }

    async fn work(&self, process: u32, job: &Job) -> WorkResult {
        if self.habits.works_twice {
            let _ = self.work_once(process, job).await;
        }
        self.work_once(process, job).await
    }

    async fn work_once(&self, process: u32, job: &Job) -> WorkResult {
        let number = job.execution().execution_number.unsigned_abs();
        let document: Document = job.document()?;
        let name = format!("{} (serial {}, number {number})", job.id(), document.serial);
        self.note(format!("works on {name}"));
        let nth = self
            .diary
            .begin(process, job.id().as_str(), document.serial, number);
        if document.reboots && job.status_details().get("rebooted").is_none() {
            self.wait(job, document.seconds / 2).await?;
            checkpoint(job, "rebooted").await?;
            return Ok(Outcome::LeftInProgress);
        }
        let parts = document.reports + 1;
        for part in 0..parts {
            self.wait(job, document.seconds / u64::from(parts)).await?;
            if part + 1 < parts {
                let details = StatusDetails::from_pairs([("part", part.to_string())])?;
                job.progress(details);
            }
        }
        if document.checkpoint && checkpoint(job, "done").await? == Checkpoint::Impossible {
            return Ok(Outcome::LeftInProgress);
        }
        let ending = document.ending(number);
        self.diary.done(nth, ending);
        self.note(format!("{name} {ending:?}"));
        Ok(match ending {
            Ending::Succeeds => Outcome::succeeded(),
            Ending::Fails => Outcome::failed("as the job wants it"),
            Ending::Rejects => Outcome::rejected("as the job wants it"),
        })
    }

    /// A part of the work, which ends early when it is to end.
    async fn wait(&self, job: &Job, seconds: u64) -> Result<(), Interrupted> {
        tokio::select! {
            biased;
            why = job.interrupted() => Err(why),
            () = sleep(Duration::from_secs(seconds)) => Ok(()),
        }
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
    let details = StatusDetails::from_pairs([(name, "yes")])?;
    match job.checkpoint(details).await {
        Ok(()) => Ok(Checkpoint::Set),
        Err(agent::Error::Interrupted(why)) => Err(why.into()),
        Err(_) => Ok(Checkpoint::Impossible),
    }
}

/// Ends when the process is told to stop, and has had time for its report.
async fn until_told_to_stop(mut orders: watch::Receiver<Told>, stopper: Stopper) {
    if orders.wait_for(|told| *told == Told::ToStop).await.is_ok() {
        stopper.stop();
        sleep(Duration::from_secs(5)).await;
    } else {
        std::future::pending().await
    }
}
