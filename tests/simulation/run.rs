//! One run: a device's life of some hours, from one seed.

use std::time::Duration;

use local_iot_core::{Entry, JobExecution};
use tokio::time::Instant;

use crate::network::Dial;
use crate::setting::Setting;
use crate::work::{Document, Work};

/// What is known of a run when it is over.
pub struct Run {
    pub seed: u64,
    pub setting: Setting,
    pub seen: Seen,
    pub journal: Vec<Entry>,
    pub executions: Vec<JobExecution>,
    /// The jobs with their documents, in the order in which they were created.
    pub created: Vec<(String, Document)>,
    pub work: Vec<Work>,
    pub dials: Vec<Dial>,
    pub most_publishes: usize,
    /// The longest time that the device sent nothing on a connection, and its keep alive.
    pub longest_silence: Duration,
}

/// What is noted down while a run is under way.
pub struct Seen {
    /// When it began.
    pub begun: Instant,
    /// When everything was as it is to be.
    pub calm: Instant,
    /// When there was nothing more to do; none if that took too long.
    pub done: Option<Instant>,
    /// When the last, calm job was done; none if that took too long.
    pub last_job: Option<Duration>,
    /// From this entry of the journal on, the device had nothing to do.
    pub idle_from: usize,
    /// Where the device was told to stop.
    pub idle_to: usize,
    /// Tasks alive: in the first minute, after the idle time, and when the device was gone.
    pub tasks: [usize; 3],
    /// In use by a new process, and by the one that has lived through it all. (With what the service
    /// has of its connection.)
    pub memory: [Memory; 2],
    /// When the device stood still until, and for how long.
    pub freezes: Vec<(Instant, Duration)>,
    /// When its process went on, and something had come meanwhile.
    pub woken: Vec<Instant>,
    /// The commands that came when all was well.
    pub commands: Option<Commands>,
}

/// More commands than the device obeys at once.
pub struct Commands {
    pub published: usize,
    /// From this entry of the journal on.
    pub from: usize,
    /// How long a job took beside them; none if that was too long.
    pub job: Option<Duration>,
}

/// Memory in use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub pieces: i64,
    pub bytes: i64,
}

impl Seen {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            calm: now,
            done: None,
            last_job: None,
            idle_from: 0,
            idle_to: 0,
            tasks: [0; 3],
            memory: [Memory::default(); 2],
            freezes: Vec::new(),
            woken: Vec::new(),
            commands: None,
        }
    }
}
