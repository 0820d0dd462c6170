//! What happened and what happens, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use local_iot_core::fault_operations;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::commands::{Desk, READY, catalogue};
use super::Body;

/// The most moments in one event: a browser gets through them within a frame or two.
const MOST: usize = 500;
/// How often a connection with nothing to tell shows that it is there. (And notices that it is not.)
const HEARTBEAT: Duration = Duration::from_secs(15);

/// All that happened and will happen, behind `last`: the id of the last event that the page has.
pub fn events(desk: &Arc<Desk>, last: Option<&str>) -> Body {
    let place = last.and_then(|last| place_of(&desk.chart.run, last));
    let desk = Arc::clone(desk);
    let hello = event(Some("hello"), None, &hello(&desk, place.is_some()));
    let state = (desk, place.unwrap_or_default(), Some(hello));
    let stream = stream::unfold(state, async |(desk, mut place, hello)| {
        let next = match hello {
            Some(hello) => hello,
            None => match timeout(HEARTBEAT, desk.chart.from(place, MOST)).await {
                Ok(moments) => {
                    place += moments.len();
                    let id = format!("{}.{place}", desk.chart.run);
                    let moments: Vec<_> = moments.iter().map(|one| json!(**one)).collect();
                    let news = json!({"moments": moments, "armed": armed(&desk)});
                    event(None, Some(&id), &news)
                }
                Err(_) => Bytes::from_static(b": still here\n\n"),
            },
        };
        let frame: Result<_, Infallible> = Ok(Frame::data(next));
        Some((frame, (desk, place, None)))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// What the page has to know before it can show anything.
fn hello(desk: &Desk, goes_on: bool) -> Value {
    let chart = &desk.chart;
    let ready = READY
        .iter()
        .map(|(name, id, rest)| json!({"name": name, "id": id, "rest": rest}));
    let operations = fault_operations()
        .iter()
        .map(|(name, what)| json!({"name": name, "what": what}));
    let policy: Value = serde_json::from_str(chart.first_policy()).unwrap_or_default();
    json!({
        "run": chart.run,
        "goesOn": goes_on,
        "thing": chart.thing_name(),
        "endpoint": format!("{}:{}", desk.core.endpoint(), desk.core.port()),
        "policy": policy,
        "ready": ready.collect::<Vec<_>>(),
        "faults": catalogue(),
        "operations": operations.collect::<Vec<_>>(),
    })
}

fn armed(desk: &Desk) -> Vec<String> {
    let armed = desk.core.faults().armed();
    let shown = armed
        .iter()
        .map(|(fault, times)| format!("{fault}, {times}"));
    shown.collect()
}

/// How far into this run a page is. None if what it has is of another run.
fn place_of(run: &str, last: &str) -> Option<usize> {
    let (its_run, place) = last.rsplit_once('.')?;
    let place = place.parse().ok()?;
    (its_run == run).then_some(place)
}

fn event(name: Option<&str>, id: Option<&str>, data: &Value) -> Bytes {
    let mut text = String::new();
    for (field, value) in [("event", name), ("id", id)] {
        if let Some(value) = value {
            text += &format!("{field}: {value}\n");
        }
    }
    text += &format!("data: {data}\n\n"); // JSON of serde_json is one line
    Bytes::from(text)
}
