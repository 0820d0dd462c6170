//! The time that a job has: the step timer, which progress renews, the job's own timeout, and the limits
//! of the agent.

use std::time::{Duration, Instant};

use jobs_mqtt5::agent::{End, Event, Interrupted, Job, Outcome, ReportResult, Unwanted};
use jobs_mqtt5::jobs::{JobStatus, Update};
use jobs_mqtt5::sample::Settings;
use local_iot_core::{NewJob, Options, Status};

use crate::support::{World, detail, within};

#[tokio::test]
async fn regular_progress_renews_the_step_timer_also_when_it_tells_nothing_new() {
    let options = Options {
        minute: Duration::from_millis(700),
        ..Options::default()
    };
    let world = World::with(options).await;
    world.queue(&["job"]);
    let (job, _device) = world
        .running_job_as("test-device", |settings| {
            settings.agent.step_timeout_in_minutes = Some(2);
            settings.agent.progress_interval = Duration::from_millis(200);
        })
        .await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(3_000) {
        job.progress(detail("step", "still at it")); // twice the step timeout
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let status = || world.core.jobs().execution("job").unwrap().status;
    assert_eq!(status(), Status::InProgress);
    assert!(
        world
            .updates()
            .iter()
            .all(|sent| sent["stepTimeoutInMinutes"] == 2)
    );
    // Without any, it times out, and the work hears of it.
    let why = within(job.interrupted()).await;
    assert_eq!(status(), Status::TimedOut);
    let ended = [Unwanted::Ended, Unwanted::Status(JobStatus::TimedOut)];
    assert!(ended.map(Interrupted::Unwanted).contains(&why), "{why}");
}

#[tokio::test]
async fn the_job_s_own_timeout_is_noticed_by_the_work() {
    let options = Options {
        minute: Duration::from_millis(500),
        ..Options::default()
    };
    let world = World::with(options).await;
    let job = NewJob::new("job", "{}").in_progress_timeout_minutes(1);
    world.core.jobs().create(job).unwrap();
    let (job, _device) = world.running_job().await;
    assert_eq!(job.unwanted(), None);
    let interrupted = within(job.interrupted()).await;
    let why = Unwanted::Status(JobStatus::TimedOut);
    assert_eq!(interrupted, Interrupted::Unwanted(why.clone()));
    assert_eq!(job.unwanted(), Some(why.clone()));
    let ended = within(job.finish(Outcome::succeeded())).await;
    assert_eq!(ended, Ok(ReportResult::Unwanted(why)));
    assert!(
        world
            .updates()
            .iter()
            .all(|sent| sent["status"] == "IN_PROGRESS")
    );
}

#[tokio::test]
async fn an_update_asks_for_a_step_timeout_and_the_state_and_without_them_says_nothing_of_either() {
    let world = World::with_jobs(&["job"]).await;
    let (job, device) = world.running_job().await;
    let mut update = Update::execution(job.execution(), JobStatus::InProgress);
    update.status_details = detail("step", "1");
    update.step_timeout_in_minutes = Some(5);
    update.include_job_execution_state = true;
    let reply = within(device.jobs.update(update)).await.unwrap();
    let state = reply.execution_state.unwrap();
    assert_eq!(
        (state.status, state.version_number),
        (JobStatus::InProgress, Some(3))
    );
    assert_eq!(state.status_details, detail("step", "1"));
    let plain = Update::any_version(job.id(), JobStatus::Succeeded);
    let reply = within(device.jobs.update(plain)).await.unwrap();
    assert_eq!(reply.execution_state, None);
    let sent = world.updates();
    assert_eq!(sent[0]["stepTimeoutInMinutes"], 5);
    assert_eq!(sent[0]["includeJobExecutionState"], true);
    let mut fields: Vec<_> = sent[1].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["clientToken", "status"]);
}

#[tokio::test]
async fn a_progress_interval_may_be_never_and_the_first_and_the_last_are_reported() {
    let world = World::with_jobs(&["job"]).await;
    let set = |settings: &mut Settings| settings.agent.progress_interval = Duration::MAX;
    let (job, _device) = world.running_job_as("test-device", set).await;
    job.progress(detail("percent", "50"));
    world.has_detail("job", "percent", "50").await;
    job.progress(detail("percent", "100"));
    within(job.finish(Outcome::succeeded())).await.unwrap();
    world.has_detail("job", "percent", "100").await;
}

#[tokio::test]
async fn work_may_be_overdue_never_or_without_limit() {
    for after in [Duration::from_millis(20), Duration::MAX] {
        let world = World::with_jobs(&["job"]).await;
        let mut device = world.device(|settings| {
            settings.agent.overdue_after = after;
            settings.agent.overdue_limit = Duration::MAX;
        });
        let (stopper, mut events) = (device.agent.stopper(), device.agent.events());
        let work = async |job: &Job| {
            job.interrupted().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(Outcome::succeeded())
        };
        let (ended, ()) = tokio::join!(within(device.agent.run(work)), async {
            while !matches!(events.next().await, Some(Event::WorkStarted { .. })) {}
            stopper.stop();
        });
        assert_eq!(ended.unwrap(), End::Stopped);
        world.succeeds("job").await;
    }
}
