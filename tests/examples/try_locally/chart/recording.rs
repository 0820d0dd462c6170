//! A run as one file: the page's chart with what happened inside it.

use std::collections::{VecDeque, vec_deque};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jobs_mqtt5::jobs::{ErrorCode, JobId};
use local_iot_core::Status;
use ring::digest;
use serde_json::{Value, json};

use super::super::commands::is_command;
use super::super::page::files;
use super::{Chart, Moment, at_one_go};

/// Where what happened belongs in the page.
const RECORDED: &str = "<!-- recorded -->";

/// Writes such a page into a file, piece by piece.
///
/// # Errors
/// If it can't be written.
pub fn write(chart: &Chart, file: &Path, payloads: bool) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(file)?);
    let mut recording = Recording::new(chart, payloads);
    while let Some(part) = recording.next() {
        file.write_all(part.as_bytes())?;
    }
    file.flush()
}

/// A page that needs nothing but itself, made piece by piece. Presigned URLs are never in it; without
/// `payloads`, neither are messages, their properties, job documents, status details and the words of
/// commands.
pub struct Recording {
    payloads: bool,
    /// What is ready.
    ready: VecDeque<String>,
    /// The moments that come next. What happens since is not among them.
    moments: vec_deque::IntoIter<Arc<Moment>>,
    /// What comes after the moments.
    tail: Option<String>,
}

impl Recording {
    pub fn new(chart: &Chart, payloads: bool) -> Recording {
        chart.catch_up();
        let (before, moments) = chart.snapshot();
        let mut before = json!(before);
        if !payloads && let Some(jobs) = before["jobs"].as_object_mut() {
            jobs.values_mut().for_each(without_words);
        }
        let page = page();
        let (head, tail) = page.split_once(RECORDED).unwrap_or((&page, ""));
        let facts = json!({"thing": chart.thing_name(), "before": before});
        let begin = format!(
            "<script id=\"recorded\" type=\"application/json\">[{}",
            in_script(&facts)
        );
        Recording {
            payloads,
            ready: [head.to_owned(), begin].into(),
            moments: moments.into_iter(),
            tail: Some(format!("]</script>{tail}")),
        }
    }

    /// The next piece.
    pub fn next(&mut self) -> Option<String> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let moments = at_one_go(&mut self.moments);
        if moments.is_empty() {
            return self.tail.take();
        }
        let kept = moments.iter().map(|moment| kept(moment, self.payloads));
        Some(kept.map(|one| format!(",\n{}", in_script(&one))).collect())
    }
}

/// The page with all that belongs to it inside, and [`RECORDED`] where what happened belongs.
fn page() -> String {
    let mut html = files::HTML.replacen(
        r#"<link rel="icon" href="icon.svg">"#,
        r#"<link rel="icon" href="data:,">"#,
        1,
    );
    let style = format!("\n{}", files::CSS);
    html = html.replacen(
        r#"<link rel="stylesheet" href="chart.css">"#,
        &format!("<style>{style}</style>"),
        1,
    );
    let mut scripts = String::new();
    for (name, text) in files::SCRIPTS {
        html = html.replacen(&format!("<script src=\"{name}\" defer></script>\n"), "", 1);
        scripts += &format!("<script>\n{text}</script>\n");
    }
    // At the end of the page, where what they look for is there.
    html = html.replacen("</body>", &format!("{RECORDED}\n{scripts}</body>"), 1);
    // It is opened from anywhere: nothing but this may run, nothing may come in, nothing may go out.
    let hashes = files::SCRIPTS
        .iter()
        .map(|(_, text)| hash(&format!("\n{text}")));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(&style),
        hashes.collect::<Vec<_>>().join(" ")
    );
    let meta =
        format!("<head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
    html.replacen("<head>", &meta, 1)
}

/// How a Content Security Policy names a script or a style: by its SHA-256.
fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
}

/// In a script element, nothing but `<` could end it early.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', r"\u003c")
}

fn kept(moment: &Moment, payloads: bool) -> Value {
    let mut kept = json!(moment);
    if payloads {
        return kept;
    }
    if let Some(payload) = kept.get_mut("payload") {
        payload["text"] = Value::Null;
        payload["hex"] = Value::Null;
    }
    kept["properties"] = "".into();
    let (says, _) = moment.says.split_once(", ").unwrap_or((&moment.says, ""));
    let is_next = moment
        .job_id
        .as_ref()
        .is_some_and(|job_id| says == format!("next: {job_id}"));
    let says = if is_next || is_of_the_protocol(says) {
        says
    } else {
        ""
    };
    kept["says"] = says.into();
    if let Some(execution) = kept.get_mut("execution") {
        without_words(execution);
    }
    if kept["kind"] == "command" {
        let about = moment.about.split(char::is_whitespace).next();
        let is_about_a_job = moment.label.ends_with("-job") || moment.label == "time-out";
        let about = about.filter(|about| is_about_a_job && JobId::new(*about).is_ok());
        kept["about"] = about.unwrap_or_default().into();
        if !is_command(&moment.label) && moment.label != "not done" {
            kept["label"] = "a command".into();
        }
    }
    kept
}

/// Leaves out of an execution what people wrote.
fn without_words(execution: &mut Value) {
    execution["document"] = Value::Null;
    execution["details"] = json!({});
}

/// Is this a word of the Jobs service, and nothing that somebody put into a payload?
fn is_of_the_protocol(says: &str) -> bool {
    let is_status = || Status::ALL.iter().any(|status| says == status.name());
    let is_code = || match serde_json::from_value(json!(says)) {
        Ok(ErrorCode::Other(_)) | Err(_) => false,
        Ok(_) => true,
    };
    says == "nothing is pending" || is_status() || is_code()
}

#[cfg(test)]
mod tests {
    use super::super::moment::Kind;
    use super::super::payload::Payload;
    use super::*;

    #[test]
    fn without_payloads_nothing_is_kept_that_a_message_said() {
        let message = |says: &str| Moment {
            properties: " [user=confidential, content type confidential]".to_owned(),
            payload: Some(Payload::new(b"confidential")),
            execution: Some(json!({"document": "confidential", "details": {"a": "confidential"}})),
            ..Moment::new(Kind::Message, "PUBLISH").says(says)
        };
        for (says, kept_of_it) in [
            ("confidential", ""),
            ("SUCCEEDED", "SUCCEEDED"),
            ("IN_PROGRESS, 40 %", "IN_PROGRESS"),
            ("VersionMismatch", "VersionMismatch"),
        ] {
            let bare = kept(&message(says), false);
            assert_eq!(bare["says"], kept_of_it);
            assert_eq!(bare["payload"]["size"], 12);
            assert!(!bare.to_string().contains("confidential"), "{bare}");
            assert!(
                kept(&message(says), true)
                    .to_string()
                    .contains("confidential")
            );
        }
        for (label, about, shown) in [
            ("create-job", "a {\"key\": \"confidential\"}", "create-job"),
            ("cancel-job", "{\"key\":\"confidential\"}", "cancel-job"),
            ("confidential", "", "a command"),
            ("publish", "dt/a confidential", "publish"),
            ("Confidential", "", "a command"),
            ("not done", "'confidential' is not known", "not done"),
        ] {
            let command = Moment::new(Kind::Command, label).about(about);
            let bare = kept(&command, false);
            assert_eq!(bare["label"], shown);
            assert!(!bare.to_string().contains("onfidential"), "{bare}");
        }
    }
}
