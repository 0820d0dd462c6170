//! A run as one file: the page's chart with what happened inside it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Chart, Moment};

/// Makes a page that needs nothing but itself. Presigned URLs are never in it; without `payloads`,
/// neither are messages, job documents, status details and the words of commands.
pub fn page(chart: &Chart, payloads: bool) -> String {
    chart.catch_up();
    let moments: Vec<Value> = chart.all().iter().map(|one| kept(one, payloads)).collect();
    let policy: Value = serde_json::from_str(chart.first_policy()).unwrap_or_default();
    let recorded = json!({"thing": chart.thing_name(), "policy": policy, "moments": moments});
    // In a script element, nothing but `<` could end it early.
    let recorded = recorded.to_string().replace('<', r"\u003c");
    let inline = |name: &str, what: &str| (name.to_owned(), what.to_owned());
    let parts = [
        inline(
            r#"<link rel="stylesheet" href="chart.css">"#,
            concat!("<style>\n", include_str!("../page/chart.css"), "</style>"),
        ),
        inline(
            r#"<link rel="icon" href="icon.svg">"#,
            r#"<link rel="icon" href="data:,">"#,
        ),
        (
            r#"<script src="chart.js" defer></script>"#.to_owned(),
            format!("<script id=\"recorded\" type=\"application/json\">{recorded}</script>"),
        ),
        // At the end of the page, where what they look for is there.
        inline(r#"<script src="page.js" defer></script>"#, ""),
        inline(
            "</body>",
            concat!(
                "<script>\n",
                include_str!("../page/chart.js"),
                "</script>\n<script>\n",
                include_str!("../page/page.js"),
                "</script>\n</body>"
            ),
        ),
        // It is opened from anywhere: nothing may come in, nothing may go out.
        inline(
            "<head>",
            "<head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
        ),
    ];
    let html = include_str!("../page/chart.html").to_owned();
    // What is recorded comes last: it must not be searched for the others.
    let (recorded, others): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|(_, with)| with.contains("id=\"recorded\""));
    let replace = |html: String, (what, with): &(String, String)| html.replacen(what, with, 1);
    let html = others.iter().fold(html, replace);
    recorded.iter().fold(html, replace)
}

/// Writes such a page into a file.
///
/// # Errors
/// If it can't be written.
pub fn write(chart: &Chart, file: &Path, payloads: bool) -> io::Result<()> {
    fs::write(file, page(chart, payloads))
}

fn kept(moment: &Arc<Moment>, payloads: bool) -> Value {
    let mut moment = json!(**moment);
    if payloads {
        return moment;
    }
    if let Some(payload) = moment.get_mut("payload") {
        payload["text"] = Value::Null;
    }
    if let Some(execution) = moment.get_mut("execution") {
        execution["document"] = Value::Null;
        execution["details"] = json!({});
    }
    if moment["kind"] == "command" {
        let about = moment["about"].as_str().unwrap_or_default();
        let job_id = about.split(' ').next().unwrap_or_default();
        moment["about"] = job_id.into();
    }
    moment
}
