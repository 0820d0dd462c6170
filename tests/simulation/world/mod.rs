//! The world: what is planned happens, and the device lives in it.

mod later;
mod measure;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use local_iot_core::Service;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::breaks::Break;
use crate::cloud::Operator;
use crate::device::{Device, Process, Told};
use crate::happening::{self, Happening};
use crate::network::{Address, Network};
use crate::plan::{EVENTFUL, Plan, Planner};
use crate::run::{Run, Seen};
use crate::setting::Setting;
use crate::work::{Diary, Document, total};
use measure::{freed, tasks};

/// A supervisor starts a process that has ended by itself again after this time.
const SUPERVISOR: Duration = Duration::from_secs(30);
/// How long one more job takes when all is well, besides its work.
pub const AT_ONCE: Duration = Duration::from_secs(30);
/// How long the world then stays idle: timers run out, and nothing may be left over.
const IDLE: Duration = Duration::from_secs(45 * 60);
/// A process is new for this long.
const NEW: Duration = Duration::from_secs(2 * 60);
/// More than the journal has of the end of two processes: it must not grow while memory is measured.
const FEW_ENTRIES: usize = 1_000;

/// Lets a world live, on this thread.
pub fn run(seed: u64, broken: Option<&'static Break>) -> std::io::Result<Run> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let mut world = runtime.block_on(async { World::new(seed, broken) })?;
    runtime.block_on(world.live());
    world.service.journal().reserve(FEW_ENTRIES);
    let memory = freed(|| runtime.block_on(world.end()));
    runtime.block_on(world.one_more_process());
    let memory_of_a_new_one = freed(|| runtime.block_on(world.end()));
    world.seen.memory = [memory_of_a_new_one, memory];
    Ok(world.into_run())
}

/// A world, while it lives.
struct World {
    seed: u64,
    seen: Seen,
    setting: Setting,
    plan: Plan,
    service: Arc<Service>,
    operator: Operator,
    network: Network,
    device: Device,
    /// The process that is running, or when the next one starts.
    process: Result<Process, Instant>,
    processes: u32,
    bursts: u32,
}

impl World {
    /// The world of this seed, perhaps with something broken in it.
    pub fn new(seed: u64, broken: Option<&'static Break>) -> std::io::Result<Self> {
        let mut random = Rng::with_seed(seed);
        let later = crate::later::come_in(seed);
        let setting = Setting::drawn(&mut random, later);
        let mut plan = Planner::new(&mut random).plan();
        if later {
            plan.extend(crate::later::plan(seed));
        }
        plan.sort_by_key(|(at, _)| *at);
        let service = Arc::new(Service::new(setting.service_options())?);
        let tamper = broken.and_then(Break::tamper);
        let network = Network::new(Arc::clone(&service), setting.link, random.u64(..), tamper);
        let habits = broken.map(|broken| broken.habits).unwrap_or_default();
        let device = Device {
            setting: setting.clone(),
            network: network.clone(),
            journal: service.journal().clone(),
            diary: Diary::default(),
            habits,
        };
        Ok(Self {
            seed,
            seen: Seen::new(),
            plan,
            operator: Operator::new(Arc::clone(&service)),
            process: Err(Instant::now()),
            processes: 0,
            bursts: 0,
            setting,
            service,
            network,
            device,
        })
    }

    /// Lives from the first minute to the end.
    pub async fn live(&mut self) {
        self.seen.tasks[0] = self.first_minute().await;
        for (at, happening) in std::mem::take(&mut self.plan) {
            self.keep_running_until(self.seen.begun + at).await;
            self.happen(&happening).await;
        }
        self.keep_running_until(self.seen.begun + EVENTFUL).await;
        self.calm_down();
        self.seen.calm = Instant::now();
        let done_within = self.setting.done_within();
        let bound = done_within + self.time_of_work();
        self.seen.done = self.until_all_is_done(bound).await;
        self.keep_running_until(self.seen.calm + done_within).await;
        if self.setting.later {
            self.one_job_that_nobody_may_tell_of(done_within).await;
        }
        self.seen.last_job = self.one_more_job().await;
        if self.setting.later {
            self.seen.commands = Some(self.many_commands().await);
        }
        self.seen.idle_from = self.service.journal().len();
        self.keep_running_until(Instant::now() + IDLE).await;
        self.seen.idle_to = self.service.journal().len();
        self.seen.tasks[1] = tasks().await;
    }

    /// A new process, for whoever compares.
    async fn one_more_process(&mut self) {
        self.seen.tasks[2] = tasks().await;
        self.start();
        self.keep_running_until(Instant::now() + NEW).await;
    }

    fn into_run(self) -> Run {
        Run {
            seed: self.seed,
            journal: self.service.journal().entries(),
            executions: self.service.jobs().list(),
            created: self.operator.created,
            work: self.device.diary.list(),
            dials: self.network.dials(),
            most_publishes: self.network.most_publishes(),
            longest_silence: self.network.longest_silence(),
            setting: self.setting,
            seen: self.seen,
        }
    }

    async fn first_minute(&mut self) -> usize {
        self.keep_running_until(self.seen.begun + Duration::from_secs(50))
            .await;
        tasks().await
    }

    /// Lets time pass. A process that has ended is started again.
    async fn keep_running_until(&mut self, until: Instant) {
        loop {
            match &mut self.process {
                Ok(process) => tokio::select! {
                    biased;
                    why = &mut process.running => {
                        let why = why.unwrap_or_else(|error| format!("a panic: {error}"));
                        let number = process.number;
                        self.note(&format!("device: process {number} has ended: {why}"));
                        self.process = Err(Instant::now() + SUPERVISOR);
                    }
                    () = sleep_until(until) => return,
                },
                Err(starts) if *starts <= until => {
                    sleep_until(*starts).await;
                    self.start();
                }
                Err(_) => return sleep_until(until).await,
            }
        }
    }

    fn start(&mut self) {
        self.processes += 1;
        self.note(&format!("device: process {} starts", self.processes));
        self.process = Ok(self.device.start(self.processes));
    }

    fn note(&self, what: &str) {
        self.service.journal().note(what);
    }

    async fn happen(&mut self, happening: &Happening) {
        self.note(&happening.to_string());
        match happening {
            Happening::Cloud(cloud) => self.operator.act(cloud),
            Happening::Service(service) => {
                use happening::Service::{ComesBack, GoesDown};
                match service {
                    GoesDown { .. } => self.network.set_addresses([Address::Refuses; 2]),
                    ComesBack => self.network.set_addresses([Address::Answers; 2]),
                    _ => {}
                }
                self.operator.change(service);
            }
            Happening::Network(network) => match network {
                happening::Network::Trouble(trouble) => self.network.trouble(*trouble),
                happening::Network::Link(link) => {
                    self.network.set_link(link.unwrap_or(self.setting.link));
                }
                happening::Network::Addresses(all) => self.network.set_addresses(*all),
            },
            Happening::Device(device) => self.strike(device).await,
        }
    }

    async fn strike(&mut self, device: &happening::Device) {
        use happening::Device as D;
        let Ok(process) = &self.process else {
            return self.note("device: it is off anyway");
        };
        match device {
            D::Crash { power_cut, off } => {
                process.kill();
                self.network.power_off(process.number, !power_cut);
                self.process = Err(Instant::now() + *off);
            }
            D::Restart => drop(process.told.send_replace(Told::ToStop)),
            D::Burst(readings) => {
                self.bursts += 1;
                process
                    .told
                    .send_replace(Told::Burst(*readings, self.bursts));
            }
            D::Freeze(time) => self.freeze(*time).await,
            D::StandStill(time) => self.stand_still(*time).await,
        }
    }

    /// Waits until nothing is pending; none if that takes longer than the bound.
    async fn until_all_is_done(&mut self, bound: Duration) -> Option<Instant> {
        let latest = Instant::now() + bound;
        while !self.operator.pending().is_empty() {
            if Instant::now() > latest {
                self.note("this takes too long");
                return None;
            }
            self.keep_running_until(Instant::now() + Duration::from_secs(1))
                .await;
        }
        Some(Instant::now())
    }

    /// How long the work on all that is pending lasts, and what a slow link adds to it.
    fn time_of_work(&self) -> Duration {
        let pending = self.operator.pending();
        let bytes: usize = pending.iter().map(|one| 5_000 + one.document.len()).sum();
        let link = self.setting.link;
        let rate = link.bytes_per_second.unwrap_or(u32::MAX);
        let travels = Duration::from_secs(3 * bytes as u64) / rate;
        let documents = pending
            .iter()
            .filter_map(|one| serde_json::from_str::<Document>(&one.document).ok());
        total(documents) + travels + link.latency * 20 * pending.len() as u32
    }

    /// All is well: one more job is done at once. Says how long it takes.
    async fn one_more_job(&mut self) -> Option<Duration> {
        self.operator.create(&Document::last(), None);
        let begun = Instant::now();
        let done = self.until_all_is_done(AT_ONCE).await;
        done.map(|done| done - begun)
    }

    /// The device is told to stop, and has time for it.
    async fn end(&mut self) {
        if let Ok(process) = &mut self.process {
            process.told.send_replace(Told::ToStop);
            let ended = timeout(Duration::from_secs(60), &mut process.running).await;
            let why = match ended {
                Ok(Ok(why)) => why,
                Ok(Err(error)) => format!("a panic: {error}"),
                Err(_) => "it does not end".to_owned(),
            };
            self.note(&format!("device: the end: {why}"));
        }
        self.process = Err(Instant::now()); // with all that it had
        sleep(Duration::from_secs(60)).await;
    }

    /// From now on, nothing goes wrong.
    fn calm_down(&mut self) {
        self.note("from now on, all is well");
        self.operator.calm_down();
        self.network.set_addresses([Address::Answers; 2]);
        self.network.set_link(self.setting.link);
    }
}
