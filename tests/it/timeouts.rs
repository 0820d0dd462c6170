//! The time that a job has: the step timer, which progress renews, and the job's own timeout.

use std::time::{Duration, Instant};

use jobs_mqtt5::jobs::{JobStatus, Outcome, Unwanted, Update, Verdict};
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
        .running_job_as("test-device", |options| {
            options.step_timeout_in_minutes = Some(2);
            options.progress_interval = Duration::from_millis(200);
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
    let why = within(job.until_unwanted()).await;
    assert_eq!(status(), Status::TimedOut);
    assert!(matches!(why, Unwanted::Ended(_)), "{why}");
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
    let why = within(job.until_unwanted()).await;
    assert_eq!(why, Unwanted::Ended(Some(JobStatus::TimedOut)));
    assert_eq!(job.unwanted(), Some(why.clone()));
    let ended = within(job.finish(Outcome::succeeded())).await;
    assert_eq!(ended, Ok(Verdict::Unwanted(why)));
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
    let mut update = Update::of(job.execution(), JobStatus::InProgress);
    update.status_details = detail("step", "1");
    update.step_timeout_in_minutes = Some(5);
    update.include_job_execution_state = true;
    let reply = within(device.jobs.ask(update)).await.unwrap();
    let state = reply.execution_state.unwrap();
    assert_eq!(
        (state.status, state.version_number),
        (JobStatus::InProgress, Some(3))
    );
    assert_eq!(state.status_details, detail("step", "1"));
    let plain = Update::unseen("job", JobStatus::Succeeded);
    let reply = within(device.jobs.ask(plain)).await.unwrap();
    assert_eq!(reply.execution_state, None);
    let sent = world.updates();
    assert_eq!(sent[0]["stepTimeoutInMinutes"], 5);
    assert_eq!(sent[0]["includeJobExecutionState"], true);
    let mut fields: Vec<_> = sent[1].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["clientToken", "status"]);
}
