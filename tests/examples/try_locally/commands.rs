//! What can be typed while the service is up.

use std::error::Error;

use jobs_mqtt5::text::{cut, printable};
use local_iot_core::{
    Fault, JobExecution, Jobs, LocalIotCore, NewJob, Status, Times, fault_names, fault_operations,
};

const HELP: &str = "\
create-job ID [timeout=MINUTES] JSON
                       queue a job, for instance: create-job hello {\"operation\": \"greet\"}
cancel-job ID [force]  cancel it; by force if it is IN_PROGRESS
delete-job ID          delete it; its id is free again
time-out ID            let it run out of time at once
list                   the jobs: where they stand, their documents and status details
fault NAME [xN]        misbehave once, or N times
faults                 the names of the faults, and the operations that they take
clear-faults           behave again
publish TOPIC TEXT     send a message to whoever subscribed
quiet                  show what happens no longer, or again
help                   this
quit                   end";

/// The most characters of a job document or of a status detail in a list.
const SHOWN: usize = 300;

/// What a line leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This is to be said.
    Say(String),
    /// What happens is shown no longer, or again.
    Quiet,
    /// The end.
    Quit,
}

/// Does what a line says.
///
/// # Errors
/// If it can't be done, with a sentence that says why.
pub fn obey(core: &LocalIotCore, line: &str) -> Result<Answer, Box<dyn Error>> {
    let (command, rest) = first_word(line);
    let jobs = core.jobs();
    Ok(Answer::Say(match command {
        "" => String::new(),
        "help" => HELP.to_owned(),
        "quiet" => return Ok(Answer::Quiet),
        "quit" => return Ok(Answer::Quit),
        "list" => list(jobs),
        "create-job" => create_job(jobs, rest)?,
        "cancel-job" => {
            let (job_id, force) = first_word(rest);
            match force {
                "" => jobs
                    .cancel_job(job_id)
                    .map_err(|error| hint(jobs, job_id, error))?,
                "force" | "--force" => jobs.cancel_job_by_force(job_id)?,
                other => return Err(format!("'{other}' is not 'force'").into()),
            }
            format!("{job_id} is CANCELED")
        }
        "delete-job" => {
            jobs.delete_job(rest)?;
            format!("{rest} is deleted")
        }
        "time-out" => {
            jobs.time_out(rest)?;
            format!("{rest} is TIMED_OUT")
        }
        "faults" => faults(),
        "fault" => fault(core, rest)?,
        "clear-faults" => {
            core.faults().clear();
            "no faults are armed".to_owned()
        }
        "publish" => {
            let (topic, text) = first_word(rest);
            core.publish(topic, text)?;
            format!("published to {topic}")
        }
        other => format!("'{other}' is not known; `help` lists what is"),
    }))
}

fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim())
}

/// What is to be typed for a job that can be canceled by force only.
fn hint(jobs: &Jobs, job_id: &str, error: std::io::Error) -> String {
    let status = jobs.execution(job_id).map(|execution| execution.status);
    match status {
        Some(Status::InProgress) => format!("{error}: cancel-job {job_id} force"),
        _ => error.to_string(),
    }
}

fn create_job(jobs: &Jobs, rest: &str) -> Result<String, Box<dyn Error>> {
    let (job_id, rest) = first_word(rest);
    let (word, after) = first_word(rest);
    let (minutes, document) = match word.strip_prefix("timeout=") {
        Some(minutes) => (Some(minutes), after),
        None => (None, rest),
    };
    if document.is_empty() {
        return Err("create-job needs an id and a JSON document".into());
    }
    let mut job = NewJob::new(job_id, document);
    if let Some(minutes) = minutes {
        let minutes = minutes
            .parse()
            .map_err(|_| format!("'{minutes}' is not a number of minutes"))?;
        job = job.in_progress_timeout_minutes(minutes);
    }
    jobs.create(job)?;
    Ok(format!("{job_id} is QUEUED"))
}

fn list(jobs: &Jobs) -> String {
    let lines: Vec<_> = jobs.list().iter().map(described).collect();
    match lines.is_empty() {
        true => "no jobs".to_owned(),
        false => lines.join("\n"),
    }
}

/// A job with its document and what the device said about it.
fn described(job: &JobExecution) -> String {
    let short = |text: &str| printable(&cut(text, SHOWN)).into_owned();
    let mut text = format!(
        "{} {} (version {}, execution {})\n    document: {}",
        job.job_id,
        job.status,
        job.version_number,
        job.execution_number,
        short(&job.document)
    );
    for (name, value) in &job.status_details {
        text += &format!("\n    {}: {}", short(name), short(value));
    }
    text
}

fn faults() -> String {
    let line = |(name, what): &(&str, &str)| format!("{name:<34} {what}");
    let operation = |(name, what): &(&str, &str)| format!("    {name:<30} {what}");
    let names = fault_names().iter().map(line);
    let operations = fault_operations().iter().map(operation);
    let heading = "OP is one of".to_owned();
    let end = "CODE is a reason code such as 0x87. What stands in brackets can be left out.";
    let lines = names.chain([heading]).chain(operations);
    lines.chain([end.to_owned()]).collect::<Vec<_>>().join("\n")
}

fn fault(core: &LocalIotCore, rest: &str) -> Result<String, Box<dyn Error>> {
    let (name, times) = match rest.rsplit_once(" x") {
        Some((name, count)) => (name, count.parse().map(Times::Count)?),
        None => (rest, Times::Once),
    };
    let fault: Fault = name
        .parse()
        .map_err(|error| format!("{error}; `faults` lists what can be told"))?;
    let answer = format!("armed: {fault}");
    core.faults().add(fault, times);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use local_iot_core::Options;

    use super::*;

    async fn core() -> LocalIotCore {
        LocalIotCore::start(Options::default()).await.unwrap()
    }

    fn said(core: &LocalIotCore, line: &str) -> String {
        match obey(core, line) {
            Ok(Answer::Say(answer)) => answer,
            Ok(other) => panic!("{other:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[tokio::test]
    async fn a_job_from_its_creation_to_its_deletion() {
        let core = core().await;
        assert_eq!(said(&core, "list"), "no jobs");
        let created = said(&core, r#"create-job a timeout=5 {"say": "\ud83d"}"#);
        assert_eq!(created, "a is QUEUED");
        let listed = said(&core, "list");
        assert!(
            listed.starts_with("a QUEUED (version 1, execution 1)\n"),
            "{listed}"
        );
        assert!(
            listed.ends_with(r#"document: {"say": "\ud83d"}"#),
            "{listed}"
        );
        assert_eq!(said(&core, "cancel-job a"), "a is CANCELED");
        assert_eq!(said(&core, "delete-job a"), "a is deleted");
        assert_eq!(said(&core, "create-job a {}"), "a is QUEUED");
        assert_eq!(said(&core, "time-out a"), "a is TIMED_OUT");
    }

    #[tokio::test]
    async fn a_list_shows_the_reason_and_no_escape_sequence() {
        let core = core().await;
        core.jobs().create_job_with_text("a", "{}").unwrap();
        let details = [("reason".to_owned(), "\u{1b}[2Jno such file".to_owned())];
        core.jobs().touch("a", details.into()).unwrap();
        let listed = said(&core, "list");
        assert!(
            listed.ends_with(r"reason: \u{1b}[2Jno such file"),
            "{listed}"
        );
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said() {
        let core = core().await;
        for (line, part) in [
            ("create-job a", "needs an id and a JSON document"),
            ("create-job a {", "is not JSON"),
            (
                "create-job a timeout=soon {}",
                "'soon' is not a number of minutes",
            ),
            ("create-job a timeout=0 {}", "not in 1..=10080"),
            ("cancel-job a", "no job 'a'"),
            ("delete-job a", "no job 'a'"),
            ("fault nonsense", "`faults` lists what can be told"),
            ("publish $aws/x y", "is no topic to publish to"),
            ("nonsense", "'nonsense' is not known"),
        ] {
            let answer = said(&core, line);
            assert!(answer.contains(part), "{line}: {answer}");
        }
        assert_eq!(obey(&core, "quit").unwrap(), Answer::Quit);
        assert_eq!(obey(&core, "quiet").unwrap(), Answer::Quiet);
    }

    #[tokio::test]
    async fn faults_are_armed_and_their_operations_listed() {
        let core = core().await;
        assert_eq!(
            said(&core, "fault lose-reply update x2"),
            "armed: lose-reply update"
        );
        assert_eq!(core.faults().armed()[0].1, Times::Count(2));
        said(&core, "clear-faults");
        assert!(core.faults().armed().is_empty());
        let listed = said(&core, "faults");
        for (name, _) in fault_names().iter().chain(fault_operations()) {
            assert!(listed.contains(name), "{name}");
        }
    }

    #[tokio::test]
    async fn help_names_every_command() {
        let core = core().await;
        for line in said(&core, "help")
            .lines()
            .filter(|line| !line.starts_with(' '))
        {
            let (command, _) = first_word(line);
            if matches!(command, "quit" | "quiet") {
                continue;
            }
            let answer = said(&core, command);
            assert!(!answer.contains("is not known"), "{command}: {answer}");
        }
        assert_eq!(
            core.jobs()
                .list()
                .iter()
                .filter(|job| job.status != Status::Queued)
                .count(),
            0
        );
    }
}
