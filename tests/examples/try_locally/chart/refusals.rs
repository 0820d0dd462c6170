//! What looks like trouble and is as it should be: a report on a job execution that has ended is refused.

use local_iot_core::Jobs;

use super::moment::Moment;

/// What the device has reported last: the job, and its state.
#[derive(Default)]
pub struct Refusals(String, String);

impl Refusals {
    /// Why the service refuses this report, if the cloud has ended the execution, or an earlier copy of the
    /// report has.
    pub fn explain(&mut self, moment: &Moment, jobs: &Jobs) -> Option<String> {
        let topic = moment.topic.strip_prefix("jobs/")?;
        let (job_id, request) = topic.split_once('/')?;
        if request == "update" {
            (self.0, self.1) = (job_id.to_owned(), moment.says.clone());
            return None;
        }
        let codes = ["TerminalStateReached", "InvalidStateTransition"];
        if request != "update/rejected" || !codes.contains(&&*moment.says) {
            return None;
        }
        let ended = jobs.execution(job_id);
        let ended = ended.map_or("REMOVED", |execution| execution.status.name());
        match ended {
            "CANCELED" | "TIMED_OUT" | "REMOVED" => {
                Some(format!("{job_id} was {ended} before the device reported"))
            }
            _ if (&*self.0, &*self.1) == (job_id, ended) => Some(format!(
                "{job_id} was {ended} already: an earlier report had arrived"
            )),
            _ => None,
        }
    }
}
