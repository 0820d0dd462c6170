//! Says what happens, in the words of AWS's Python sample.

use std::mem::replace;
use std::pin::pin;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::advice;
use super::lines::{self, Busy, explained};
use super::pending::in_short;
use crate::agent::{self, Decision, Outcome, ReportResult};
use crate::error_class::ErrorClass;
use crate::jobs::{self, Operation, RequestError, RequestErrorKind};
use crate::mqtt::{self, Events};
use crate::output::{Output, say};
use crate::text::Text;

/// Says what happens. What is for somebody to fix goes to stderr.
pub(super) struct Printer {
    output: Output,
    target: advice::Target,
    connection: Events<mqtt::Event>,
    agent: Events<agent::Event>,
    /// Whether what the agent does is to be said just now. Until then, it waits.
    is_turn_of_agent: watch::Receiver<bool>,
    was_connected: bool,
    /// What was said last of a connection that is lost.
    connection_problem: Option<String>,
    /// What was said last of a request.
    request_problem: Option<String>,
    /// Whether it was said that replies stay away.
    was_silent: bool,
    /// What is under way.
    pub busy: Busy,
    /// How the connection has ended permanently.
    pub ended: Option<Result<(), mqtt::ConnectionError>>,
}

impl Printer {
    pub fn new(
        output: Output,
        connection: Events<mqtt::Event>,
        agent: Events<agent::Event>,
        is_turn_of_agent: watch::Receiver<bool>,
        target: advice::Target,
    ) -> Self {
        Self {
            output,
            target,
            connection,
            agent,
            is_turn_of_agent,
            was_connected: false,
            connection_problem: None,
            request_problem: None,
            was_silent: false,
            busy: Busy::No,
            ended: None,
        }
    }

    /// Says what happens until something is done.
    pub async fn during<T>(&mut self, doing: impl Future<Output = T>) -> T {
        let mut doing = pin!(doing);
        loop {
            let turn = &mut self.is_turn_of_agent;
            let agent = &mut self.agent;
            tokio::select! {
                biased;
                Some(event) = self.connection.next() => self.connection(event),
                Some(event) = async {
                    let _ = turn.wait_for(|is_turn| *is_turn).await; // an error: no one waits any longer
                    agent.next().await
                } => self.agent(event),
                done = &mut doing => {
                    self.catch_up();
                    return done;
                }
            }
        }
    }

    /// Says what has happened so far.
    pub fn catch_up(&mut self) {
        while let Some(Some(event)) = self.connection.next().now_or_never() {
            self.connection(event);
        }
        while let Some(Some(event)) = self.agent.next().now_or_never() {
            self.agent(event);
        }
    }

    /// Waits until the connection has ended permanently.
    pub async fn until_the_end(&mut self) {
        while let Some(event) = self.connection.next().await {
            self.connection(event);
        }
    }

    fn connection(&mut self, event: mqtt::Event) {
        let out = &self.output;
        match event {
            // The first connection belongs to the sample; a later one is news only after a problem.
            mqtt::Event::Connected { .. } if !self.was_connected => {
                self.was_connected = true;
                say!(out, "Lifecycle Connection Success");
                say!(out, "{}", lines::CONNECTED);
                say!(out, "Subscribing to Next Changed events...");
                say!(out, "Subscribing to Start responses...");
                say!(out, "Subscribing to Update responses...");
                self.connection_problem = None;
            }
            mqtt::Event::Connected { .. } => {
                if self.connection_problem.take().is_some() {
                    out.warn(format_args!("{}", lines::CONNECTION_BACK));
                }
            }
            // Each cause is said once, however often it comes back before there is a connection again.
            mqtt::Event::Interrupted { error, .. } => {
                let advice = advice::on_connection(&error, &self.target);
                let problem = explained(&error, advice);
                if self.connection_problem.as_ref() != Some(&problem) {
                    out.warn(format_args!("{problem} {}", lines::TRYING_AGAIN));
                    self.connection_problem = Some(problem);
                }
            }
            mqtt::Event::Ended(how) => self.ended = Some(how),
            mqtt::Event::Overflow { .. } => {} // no subscription is the sample's own
        }
    }

    fn agent(&mut self, event: agent::Event) {
        use agent::Event as E;
        let out = &self.output;
        match event {
            E::Starting => {
                say!(out, "Trying to start the next job...");
                say!(out, "Publishing request to start next job...");
            }
            E::Started(execution) => say!(
                out,
                "Request to start next job was accepted. job_id:{} job_document:{}",
                execution.job_id,
                execution.job_document
            ),
            E::NothingToStart => say!(out, "{}", lines::NOTHING_TO_START),
            E::StartFailed(error) => {
                say!(out, "Request to start next job failed: {error}.");
                self.silence(&error);
            }
            E::NotStarted {
                execution,
                decision,
            } => {
                let why = match decision {
                    Decision::Later(_) => "is put off",
                    _ => "is not for this program",
                };
                let (job_id, status) = (&execution.job_id, &execution.status);
                say!(out, "job_id:{job_id} {why}, and stays {status}.");
            }
            E::UnreadableRejected { job_id } => say!(
                out,
                "job_id:{job_id} is REJECTED, because it can't be read."
            ),
            E::WorkStarted { job_id } => {
                say!(out, "{}", lines::WORK_STARTED);
                self.busy = Busy::Working(job_id);
            }
            E::Progress { job_id, details } => {
                let details = details
                    .iter()
                    .map(|(name, value)| format!("{name}:{}", Text::from(value)));
                let details = details.collect::<Vec<_>>().join(" ");
                say!(out, "Progress of job_id:{job_id} was accepted. {details}");
            }
            E::NoLongerWanted { job_id, why } => {
                say!(out, "{}", lines::no_longer_wanted(job_id, why));
                self.busy = Busy::Unwanted;
            }
            E::Conflict { job_id } => out.warn(format_args!("{}", lines::conflict(job_id))),
            E::WorkOverdue {
                job_id,
                since,
                limit,
            } => out.warn(format_args!("{}", lines::overdue(job_id, since, limit))),
            E::WorkEnded { outcome, .. } => match outcome {
                Outcome::Rejected(reason) => say!(out, "Job refused: {reason}"),
                Outcome::Succeeded(_) => say!(out, "{}", lines::WORK_DONE),
                Outcome::Failed(reason) => say!(out, "Work on job failed: {reason}"),
                _ => say!(out, "Stopped working on job."),
            },
            E::Abandoned { job_id, why } => {
                self.busy = Busy::No;
                say!(
                    out,
                    "How it ended is not reported: {why}. {}",
                    lines::abandoning(job_id)
                );
            }
            E::Reporting { job_id, status } => {
                self.busy = Busy::Reporting(job_id);
                say!(
                    out,
                    "Publishing request to update job status to {status}..."
                );
            }
            E::Reported { job_id, result } => {
                self.busy = Busy::No;
                if let ReportResult::Unwanted(why) = result {
                    say!(
                        out,
                        "Request to update job failed: {why}. {}",
                        lines::abandoning(job_id)
                    );
                } else {
                    say!(out, "{}", lines::REPORT_ACCEPTED);
                }
            }
            E::ReportFailed { error, .. } => {
                self.silence(&error);
                self.problem(format!("{error}. It is asked again."), false);
            }
            E::Jobs(event) => self.jobs(event),
        }
    }

    fn jobs(&mut self, event: jobs::Event) {
        let out = &self.output;
        match event {
            jobs::Event::NextJobExecutionChanged(None) => say!(
                out,
                "Received Next Job Execution Changed event: None. Waiting for further jobs..."
            ),
            jobs::Event::NextJobExecutionChanged(Some(execution)) => say!(
                out,
                "Received Next Job Execution Changed event. job_id:{} job_document:{}",
                execution.job_id,
                in_short(&execution)
            ),
            jobs::Event::Published(Operation::StartNext) => {
                say!(out, "Published request to start the next job.");
            }
            jobs::Event::Published(Operation::Update) => {
                if let Busy::Reporting(_) = self.busy {
                    say!(out, "Published request to update job.");
                }
            }
            jobs::Event::Published(_) => {}
            jobs::Event::Retrying { error, .. } => {
                let needs_operator = error.class() == ErrorClass::Misconfigured;
                let advice = advice::on_request(&error, self.target.partition());
                let advice = advice.filter(|_| needs_operator);
                let (operation, kind) = (error.operation, error.kind());
                let problem = match kind {
                    RequestErrorKind::NoReply(_) if needs_operator => {
                        format!("{operation}: {kind}, and the service has never answered")
                    }
                    kind if needs_operator => kind.to_string(),
                    kind => format!("{operation} is asked again: {kind}"),
                };
                self.problem(explained(&problem, advice), needs_operator);
            }
            jobs::Event::SubscriptionRefused(error) => {
                let advice = advice::on_subscribe(&error, self.target.partition());
                self.problem(explained(&error, advice), true);
            }
        }
    }

    /// What is wrong with requests. The same is said once only.
    fn problem(&mut self, problem: String, needs_operator: bool) {
        if self.request_problem.as_ref() == Some(&problem) {
            return;
        }
        if needs_operator {
            self.output
                .warn(format_args!("{problem} Trying again, with long pauses."));
        } else {
            say!(self.output, "{problem}");
        }
        self.request_problem = Some(problem);
    }

    /// Of requests that stay without a reply, though others may have one: most likely the policy's doing.
    /// It is said once.
    fn silence(&mut self, error: &RequestError) {
        if let RequestErrorKind::NoReply(_) = error.kind()
            && !replace(&mut self.was_silent, true)
        {
            let advice = advice::on_request(error, self.target.partition());
            let words = explained(error, advice);
            self.output.warn(format_args!("{words}"));
        }
    }
}
