//! Survive Ctrl-C with a checkpoint.

use std::sync::{Arc, Mutex};

use jobs_mqtt5::agent::{Job, WorkResult};
use local_iot_core::Status;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::world::{World, shown, within};
use crate::{NotYet, exercises, judge};

const JOB: &str = "order";
const CUPS: usize = 4;
/// The cup that is being brewed when Ctrl-C is pressed.
const INTERRUPTED: usize = 3;

/// Brews coffee, as long as it is on.
pub struct CoffeeMachine {
    /// How many cups may be begun, for all who wait for that.
    begun: Semaphore,
    /// How many cups it may brew to their end.
    water: Semaphore,
    brewed: Mutex<Vec<u32>>,
}

impl CoffeeMachine {
    fn with_water_for(cups: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: Semaphore::new(0),
            water: Semaphore::new(cups),
            brewed: Mutex::default(),
        })
    }

    /// Brews a cup: it is there when this returns.
    pub async fn brew(&self, cup: u32) {
        self.begun.add_permits(1);
        self.water.acquire().await.unwrap().forget();
        self.brewed.lock().unwrap().push(cup);
    }

    fn brewed(&self) -> Vec<u32> {
        self.brewed.lock().unwrap().clone()
    }
}

/// What becomes of the cup that is being brewed when Ctrl-C is pressed.
#[derive(Clone, Copy, PartialEq)]
enum LastCup {
    IsDone,
    IsLost,
}

pub async fn check(
    work: impl AsyncFn(&Job, &CoffeeMachine) -> WorkResult + Copy + Send + Sync + 'static,
) -> Result<(), String> {
    interrupt(work, LastCup::IsDone).await?;
    interrupt(work, LastCup::IsLost).await
}

async fn interrupt(
    work: impl AsyncFn(&Job, &CoffeeMachine) -> WorkResult + Copy + Send + Sync + 'static,
    last_cup: LastCup,
) -> Result<(), String> {
    let world = World::new().await;
    world.queue(JOB, json!({"cups": CUPS}));
    let start = |machine: &Arc<CoffeeMachine>| {
        let machine = Arc::clone(machine);
        world.run(async move |job: &Job| {
            let pour = async {
                job.interrupted().await;
                if last_cup == LastCup::IsDone {
                    machine.water.add_permits(1);
                }
                std::future::pending().await
            };
            tokio::select! {
                ended = work(job, &machine) => ended,
                never = pour => never,
            }
        })
    };

    let first = CoffeeMachine::with_water_for(INTERRUPTED - 1);
    let mut program = start(&first);
    let third = first.begun.acquire_many(INTERRUPTED as u32);
    let _ = within(third, "the work had not begun the third cup").await?;
    program.interrupt().await?;
    let left = world.core.jobs().execution(JOB).unwrap();
    if left.status != Status::InProgress {
        return Err(format!(
            "After Ctrl-C the job is {}. Expected: IN_PROGRESS, for the next run.",
            shown(&left)
        ));
    }

    let second = CoffeeMachine::with_water_for(CUPS);
    let _program = start(&second);
    world.succeeds(JOB).await?;
    let (first, second) = (first.brewed(), second.brewed());
    let all: Vec<u32> = first.iter().chain(&second).copied().collect();
    if all != [1, 2, 3, 4] {
        return Err(format!(
            "Before Ctrl-C took effect the cups {first:?} were brewed, and after it {second:?}. Expected: each of \
             the four cups once."
        ));
    }
    if left.status_details.is_empty() {
        let why = "Between the two runs nothing stood in the status details of the job. Expected: how far \
                   it is, for a device that has forgotten all else.";
        return Err(why.to_owned());
    }
    Ok(())
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::checkpoint::work))
}
