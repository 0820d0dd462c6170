//! A job execution that can't be read must not stop the queue.

use super::client::Client;
use super::details::StatusDetails;
use super::error::RequestError;
use super::model::JobStatus;
use super::requests::Update;
use crate::text::printable;

impl Client {
    /// Gets an execution that can't be read out of the way of those behind it.
    ///
    /// # Errors
    /// The error itself, if it is another one.
    pub async fn reject_unreadable(&self, error: RequestError) -> Result<(), RequestError> {
        let RequestError::Unreadable {
            job_id, problem, ..
        } = &error
        else {
            return Err(error);
        };
        let job_id = match job_id {
            Some(job_id) => job_id.clone(),
            None => self.find_unreadable().await?.ok_or_else(|| error.clone())?,
        };
        let mut update = Update::unseen(&job_id, JobStatus::Rejected);
        let reason = format!("the job execution can't be read: {problem}");
        update.status_details = StatusDetails::reason(&reason);
        match self.ask(update).await {
            Err(error) if !error.says_it_has_ended() => return Err(error),
            _ => {} // its rejection was taken, or was before, and the reply to that lost
        }
        let job_id = printable(&job_id);
        self.tell_trouble(format!("{error}. job_id:{job_id} is REJECTED."));
        Ok(())
    }

    /// The job that was started and can't be read, not even its name: the only one IN_PROGRESS, if its
    /// description can't be read either.
    async fn find_unreadable(&self) -> Result<Option<String>, RequestError> {
        let pending = self.get_pending().await?;
        let [started] = &pending.in_progress_jobs[..] else {
            return Ok(None);
        };
        match self.describe(&started.job_id).await {
            Err(RequestError::Unreadable { .. }) => Ok(Some(started.job_id.clone())),
            described => described.map(|_| None),
        }
    }
}
