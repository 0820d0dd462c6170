//! What happened and what happens: a line of JSON each, as long as the page listens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use local_iot_core::fault_operations;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::chart::{Before, without_signatures};
use super::super::commands::{Desk, READY, catalogue};
use super::Body;

/// How often a page that nothing is told hears that the service is there. Without it, it would not notice
/// one that hangs.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// All that happened and will happen, behind `last`: the id of the last line that the page has.
pub fn events(desk: &Arc<Desk>, last: Option<&str>) -> Body {
    // None: it begins with the first moment that is kept.
    let place = last.and_then(|last| place_of(desk, last));
    let state = (Arc::clone(desk), place, true);
    let stream = stream::unfold(state, async |(desk, place, is_first)| {
        let (next, place) = match place {
            Some(place) if !is_first => goes_on(&desk, place).await,
            place => {
                let before = desk.chart.before();
                let from = place.unwrap_or(before.gone);
                (line(&hello(&desk, &before, place.is_some())), Some(from))
            }
        };
        let frame: Result<_, Infallible> = Ok(Frame::data(next));
        Some((frame, (desk, place, false)))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// What happens from this place on. Where moments were let go before the page had them, it begins anew.
pub async fn goes_on(desk: &Desk, place: usize) -> (Bytes, Option<usize>) {
    let Ok((moments, next)) = timeout(HEARTBEAT, desk.chart.from(place)).await else {
        return (line(&json!({})), Some(place));
    };
    if next - moments.len() > place {
        return (line(&json!({})), None);
    }
    let id = format!("{}.{next}", desk.chart.run);
    let moments: Vec<_> = moments.iter().map(|one| json!(**one)).collect();
    let moments = json!({"id": id, "moments": moments, "armed": armed(desk)});
    (line(&moments), Some(next))
}

/// What the page has to know before it can show anything.
fn hello(desk: &Desk, before: &Before, goes_on: bool) -> Value {
    let chart = &desk.chart;
    let ready = READY
        .iter()
        .map(|(name, id, rest)| json!({"name": name, "id": id, "rest": rest}));
    let operations = fault_operations()
        .iter()
        .map(|(name, what)| json!({"name": name, "what": what}));
    json!({"hello": {
        "run": chart.run,
        "goesOn": goes_on,
        "thing": chart.thing_name(),
        "endpoint": format!("{}:{}", desk.core.endpoint(), desk.core.port()),
        "before": before,
        "ready": ready.collect::<Vec<_>>(),
        "faults": catalogue(),
        "operations": operations.collect::<Vec<_>>(),
    }})
}

fn armed(desk: &Desk) -> Vec<String> {
    let armed = desk.core.faults().armed();
    let shown = armed
        .iter()
        .map(|(fault, times)| without_signatures(&format!("{fault}, {times}")).into_owned());
    shown.collect()
}

/// How far into this run a page is. None if what it has is of another run, or if what it lacks was let go.
fn place_of(desk: &Desk, last: &str) -> Option<usize> {
    let (its_run, place) = last.rsplit_once('.')?;
    let place: usize = place.parse().ok()?;
    (its_run == desk.chart.run && place >= desk.chart.gone()).then_some(place)
}

/// JSON of serde_json is one line.
fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
