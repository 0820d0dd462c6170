//! The topics of the Jobs service: the one place where a topic string is written.
//!
//! A thing's job topics all begin with `$aws/things/THING/jobs/`. A request is published to one of
//! them; the service answers on the same topic with `/accepted` or `/rejected` behind it.
//! See <https://docs.aws.amazon.com/iot/latest/developerguide/reserved-topics.html#reserved-topics-job>.

use std::fmt;

/// The four operations that a device can ask of the Jobs service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `GetPendingJobExecutions`: what is waiting for this thing.
    GetPending,
    /// `StartNextPendingJobExecution`: start the first in line.
    StartNext,
    /// `DescribeJobExecution`: all about one of them.
    Describe,
    /// `UpdateJobExecution`: report how one of them goes.
    Update,
}

impl fmt::Display for Operation {
    /// The operation's name in AWS's API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GetPending => "GetPendingJobExecutions",
            Self::StartNext => "StartNextPendingJobExecution",
            Self::Describe => "DescribeJobExecution",
            Self::Update => "UpdateJobExecution",
        })
    }
}

/// What a message is, by its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming<'a> {
    /// A reply to a request.
    Reply {
        /// What was asked.
        operation: Operation,
        /// The job it is about. `None` for the operations that name no job.
        job_id: Option<&'a str>,
        /// Whether the service did what was asked.
        accepted: bool,
    },
    /// The event that the first pending job execution is another one now.
    NextJobExecutionChanged,
}

/// The topics of one thing.
#[derive(Debug, Clone)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// The topics of the thing with this name.
    pub fn new(thing_name: &str) -> Self {
        let prefix = format!("$aws/things/{thing_name}/jobs/");
        Self { prefix }
    }

    /// The topic filters to subscribe to: every reply, and the one event that AWS's sample policy
    /// allows. Five, and AWS IoT Core takes up to eight in one SUBSCRIBE.
    pub fn filters(&self) -> Vec<String> {
        [
            "notify-next",
            "get/+",
            "start-next/+",
            "+/get/+",
            "+/update/+",
        ]
        .map(|filter| format!("{}{filter}", self.prefix))
        .to_vec()
    }

    /// Where to publish a request.
    ///
    /// `job_id` is for the operations on one job, [`Operation::Describe`] (where it may be
    /// `$next`, the first in line) and [`Operation::Update`]; the others have no use for it.
    pub fn request(&self, operation: Operation, job_id: &str) -> String {
        let prefix = &self.prefix;
        match operation {
            Operation::GetPending => format!("{prefix}get"),
            Operation::StartNext => format!("{prefix}start-next"),
            Operation::Describe => format!("{prefix}{job_id}/get"),
            Operation::Update => format!("{prefix}{job_id}/update"),
        }
    }

    /// What a message on this topic is. `None` when it is not for this thing's jobs: a device must
    /// check that, because a policy with wildcards lets the replies for other things through.
    pub fn read<'a>(&self, topic: &'a str) -> Option<Incoming<'a>> {
        let levels: Vec<&str> = topic.strip_prefix(&self.prefix)?.split('/').collect();
        let (operation, job_id, outcome) = match levels[..] {
            ["notify-next"] => return Some(Incoming::NextJobExecutionChanged),
            ["get", outcome] => (Operation::GetPending, None, outcome),
            ["start-next", outcome] => (Operation::StartNext, None, outcome),
            [job_id, "get", outcome] => (Operation::Describe, Some(job_id), outcome),
            [job_id, "update", outcome] => (Operation::Update, Some(job_id), outcome),
            _ => return None,
        };
        let accepted = match outcome {
            "accepted" => true,
            "rejected" => false,
            _ => return None,
        };
        Some(Incoming::Reply {
            operation,
            job_id,
            accepted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(operation: Operation, job_id: Option<&str>, accepted: bool) -> Option<Incoming<'_>> {
        Some(Incoming::Reply {
            operation,
            job_id,
            accepted,
        })
    }

    #[test]
    fn the_topic_of_a_reply_tells_operation_job_and_outcome() {
        let topics = Topics::new("lamp");
        let read = |rest: &str| -> Option<Incoming<'static>> {
            topics.read(Box::leak(
                format!("$aws/things/lamp/jobs/{rest}").into_boxed_str(),
            ))
        };
        assert_eq!(
            read("get/accepted"),
            reply(Operation::GetPending, None, true)
        );
        assert_eq!(
            read("start-next/rejected"),
            reply(Operation::StartNext, None, false)
        );
        assert_eq!(
            read("j1/get/accepted"),
            reply(Operation::Describe, Some("j1"), true)
        );
        assert_eq!(
            read("j1/update/rejected"),
            reply(Operation::Update, Some("j1"), false)
        );
        assert_eq!(read("notify-next"), Some(Incoming::NextJobExecutionChanged));
        // A job may have the name of an operation.
        assert_eq!(
            read("get/get/accepted"),
            reply(Operation::Describe, Some("get"), true)
        );
    }

    #[test]
    fn a_topic_of_another_thing_or_of_no_known_form_is_not_ours() {
        let topics = Topics::new("lamp");
        for topic in [
            "$aws/things/lamp2/jobs/get/accepted",
            "$aws/things/lamp/jobs/get",
            "$aws/things/lamp/jobs/get/accepted/more",
            "$aws/things/lamp/jobs/",
            "$aws/things/lamp/shadow/get/accepted",
            "lamp",
            "",
        ] {
            assert_eq!(topics.read(topic), None, "{topic}");
        }
    }

    #[test]
    fn five_filters_in_one_subscribe() {
        let filters = Topics::new("lamp").filters();
        assert_eq!(filters.len(), 5);
        assert!(
            filters
                .iter()
                .all(|filter| filter.starts_with("$aws/things/lamp/jobs/"))
        );
    }
}
