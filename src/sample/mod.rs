//! The sample: connects, lists and describes what is pending, has an [`agent`](crate::agent) do the jobs,
//! and says all of that in the words of AWS's Python sample.
//!
//! - `pending`: the list
//! - `lines`: what is said in the same words each time
//! - `printer`: what happens, in words
//! - `settings`, `error`: what it has to know, and why it ends

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::advice;
use crate::agent::{Agent, End, Job, WorkResult};
use crate::jobs;
use crate::mqtt;
use crate::output::{Output, say};

mod error;
#[doc(hidden)] // for the tests and the examples
pub mod lines;
mod pending;
mod printer;
mod settings;

pub use error::SampleError;
pub use settings::Settings;

use pending::Pending;
use printer::Printer;

/// How long the work may take to end after the program was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the end of the connection may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The first start is told after the descriptions, unless they take longer than this.
const DESCRIPTIONS_FIRST: Duration = Duration::from_secs(1);

/// Does jobs until `stop` resolves, to the reason in words.
///
/// # Errors
/// What ended it otherwise: a connection that no waiting brings about, a policy that forbids what is
/// needed, work that does not end, or in CI mode, that there is no job.
pub async fn run(
    settings: Settings,
    work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    output: &Output,
    stop: impl Future<Output = &'static str>,
) -> Result<(), SampleError> {
    printer::connecting(output, &settings);
    // One connection, for all that a device does; the jobs client stands on it, and the agent on that.
    let target = advice::Target::of(&settings.mqtt);
    let (mqtt, events) = mqtt::connect(settings.mqtt);
    let jobs = jobs::Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
    let mut agent = Agent::with_options(&jobs, settings.agent);
    let stopper = agent.stopper();
    let turn_of_agent = watch::Sender::new(true);
    let turn = turn_of_agent.subscribe();
    let mut printer = Printer::new(output.clone(), events, agent.events(), turn, target.clone());

    let pending = Pending {
        jobs: &jobs,
        output,
        is_needed: settings.ci,
    };
    let mut doing = pin!(async {
        if settings.ci {
            pending.list_only().await.map(|()| None)
        } else {
            do_jobs(&pending, &mut agent, work, &turn_of_agent)
                .await
                .map(Some)
        }
    });
    let mut ended = tokio::select! {
        biased;
        ended = printer.during(&mut doing) => ended.map(|end| end.map(|end| match end {
            End::LeftInProgress(job_id) => format!(
                "job_id:{job_id} is left IN_PROGRESS, and the next run takes it up again"
            ),
            _ => "it was told to stop".to_owned(),
        })),
        why = stop => {
            stopper.stop();
            printer.catch_up();
            if printer.is_busy() {
                let _ = timeout(STOP_TIMEOUT, printer.during(doing)).await;
            }
            Ok(Some(match printer.unfinished() {
                Some(what) => format!("{why}; {what}"),
                None => why.to_owned(),
            }))
        }
    };
    if let Err(SampleError::Ended) = ended {
        // The reason is still on its way.
        let _ = timeout(DISCONNECT_TIMEOUT, printer.until_the_end()).await;
        if let Some(Err(error)) = printer.ended.take() {
            ended = Err(SampleError::Connection(error, target));
        }
    } else if let Err(SampleError::Request(_, partition)) = &mut ended {
        *partition = target.partition();
    }
    printer::exiting(output, &ended);
    say!(output, "Disconnecting...");
    mqtt.disconnect();
    let _ = timeout(DISCONNECT_TIMEOUT, printer.until_the_end()).await;
    say!(output, "Client Stopped.");
    ended.map(drop)
}

/// All that a device does with its jobs: describes what is pending, and does one after the other.
async fn do_jobs(
    pending: &Pending<'_>,
    agent: &mut Agent,
    work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    turn_of_agent: &watch::Sender<bool>,
) -> Result<End, SampleError> {
    let listed = pending.list().await?;
    // The descriptions and the first start leave together; the descriptions are said first.
    turn_of_agent.send_replace(false);
    let describing = async {
        let mut describing = pin!(pending.describe(listed));
        let described = timeout(DESCRIPTIONS_FIRST, &mut describing).await;
        turn_of_agent.send_replace(true);
        match described {
            Ok(described) => described?,
            Err(_) => describing.await?,
        }
        pending.list_again_in_each_new_session().await
    };
    tokio::select! {
        biased;
        Err(failed) = describing => Err(failed),
        end = agent.run(work) => Ok(end?),
    }
}
