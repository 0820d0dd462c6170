//! Timeouts: an execution that is IN_PROGRESS for too long becomes TIMED_OUT.

use std::sync::PoisonError;

use tokio::time::{Instant, sleep_until};

use super::{Books, Jobs};

impl Jobs {
    /// Sees to it that the next deadline is kept. One that is farther away is looked at when
    /// the timer for the nearer one is over.
    pub(super) fn set_timer(&self, books: &Books) {
        let Some(deadline) = books.next_deadline() else {
            return;
        };
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.is_some_and(|set| set <= deadline) {
            return;
        }
        *timer = Some(deadline);
        let jobs = self.clone();
        self.runtime.spawn(async move {
            sleep_until(deadline).await;
            jobs.time_is_over(deadline);
        });
    }

    fn time_is_over(&self, deadline: Instant) {
        {
            let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
            if *timer == Some(deadline) {
                *timer = None;
            }
        }
        self.edit(|books| books.expire(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::sleep;

    use super::super::{
        NewJob, Status,
        tests::{jobs, last_reply, start_next, update},
    };
    use super::*;

    async fn minutes(minutes: u64) {
        sleep(Duration::from_secs(60 * minutes)).await;
    }

    fn status(jobs: &Jobs) -> Status {
        jobs.execution("a").unwrap().status
    }

    fn started(timeout: Option<u64>) -> Jobs {
        let jobs = jobs();
        let job = NewJob::new("a", "{}");
        jobs.create(match timeout {
            Some(minutes) => job.in_progress_timeout_minutes(minutes),
            None => job,
        })
        .unwrap();
        start_next(&jobs);
        jobs
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_times_out_however_busy_the_device_is() {
        let jobs = started(Some(10));
        let left = &last_reply(&jobs)["execution"]["approximateSecondsBeforeTimedOut"];
        assert_eq!(*left, 600);
        minutes(6).await;
        let renewed = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 8});
        update(&jobs, "a", renewed);
        minutes(3).await;
        assert_eq!(status(&jobs), Status::InProgress);
        minutes(2).await;
        let execution = jobs.execution("a").unwrap();
        assert_eq!(execution.status, Status::TimedOut);
        assert_eq!(execution.version_number, 4);
        assert!(execution.deadline().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_in_the_queue_has_all_the_time() {
        let jobs = jobs();
        jobs.create(NewJob::new("a", "{}").in_progress_timeout_minutes(1))
            .unwrap();
        minutes(60).await;
        assert_eq!(status(&jobs), Status::Queued);
        jobs.time_out("a").unwrap();
        jobs.retry("a").unwrap();
        start_next(&jobs);
        minutes(2).await;
        assert_eq!(status(&jobs), Status::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_timer_is_renewed_by_a_new_value_only() {
        let jobs = started(None);
        let renewed = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 5});
        update(&jobs, "a", renewed.clone());
        minutes(4).await;
        update(&jobs, "a", renewed.clone());
        minutes(4).await;
        assert_eq!(status(&jobs), Status::InProgress);
        update(&jobs, "a", json!({"status": "IN_PROGRESS"}));
        minutes(2).await;
        assert_eq!(status(&jobs), Status::TimedOut);

        let jobs = started(None);
        update(&jobs, "a", renewed);
        let canceled = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": -1});
        update(&jobs, "a", canceled);
        minutes(60).await;
        assert_eq!(status(&jobs), Status::InProgress);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_does_not_time_out() {
        let jobs = started(Some(1));
        update(&jobs, "a", json!({"status": "SUCCEEDED"}));
        minutes(2).await;
        assert_eq!(status(&jobs), Status::Succeeded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_timeout_does_not_wait_for_a_longer_one() {
        let jobs = started(Some(60));
        for id in ["b", "c"] {
            jobs.create_job(id, json!({})).unwrap();
            let renewed = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 1});
            update(&jobs, id, renewed);
        }
        minutes(2).await;
        assert_eq!(jobs.execution("b").unwrap().status, Status::TimedOut);
        assert_eq!(jobs.execution("c").unwrap().status, Status::TimedOut);
        assert_eq!(status(&jobs), Status::InProgress);
        minutes(59).await;
        assert_eq!(status(&jobs), Status::TimedOut);
    }

    #[tokio::test]
    async fn what_is_no_timeout() {
        let jobs = jobs();
        for minutes in [0, 10_081] {
            let job = NewJob::new("a", "{}").in_progress_timeout_minutes(minutes);
            assert!(jobs.create(job).is_err());
        }
    }
}
