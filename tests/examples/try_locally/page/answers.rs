//! What a browser gets.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jobs_mqtt5::text::{cut, printable};
use serde_json::json;

use super::super::chart::recording::Recording;
use super::super::chart::without_signatures;
use super::super::commands::{Answer, Desk, Origin};
use super::events::events;
use super::gate::Gate;
use super::{Body, files, gate};

/// The longest command, in bytes: a job document has up to 32 KiB.
const LONGEST_COMMAND: usize = 128 * 1024;

/// The most characters of a command and its answer that the terminal shows.
const LONGEST_TOLD: usize = 160;

/// Nothing but what comes from here, and nobody may show the page inside their own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `is_known` is set when the connection has shown the token.
pub async fn answer(
    request: Request<Incoming>,
    gate: &Gate,
    desk: &Arc<Desk>,
    is_known: &AtomicBool,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    let file = file(path);
    let (method, headers) = (request.method(), request.headers());
    let checked = gate.check(method, headers, file.is_none());
    let (status, kind, body) = if let Err((status, why)) = checked {
        (status, "text/plain", full(why))
    } else if let Some((kind, text)) = file {
        (StatusCode::OK, kind, full(text))
    } else {
        is_known.store(true, Ordering::Relaxed);
        match (method, path) {
            (&Method::GET, "/events") => {
                let last = parameter(&request, "last");
                let events = events(desk, last.as_deref());
                (StatusCode::OK, "application/x-ndjson", events)
            }
            (&Method::GET, "/recording") => {
                let payloads = parameter(&request, "payloads").as_deref() != Some("no");
                (StatusCode::OK, "text/html", recording(desk, payloads))
            }
            (&Method::POST, "/command") => command(request, desk).await,
            _ => (StatusCode::NOT_FOUND, "text/plain", full("nothing is here")),
        }
    };
    Ok(response(status, kind, body))
}

/// The file at this path, and what kind it is.
fn file(path: &str) -> Option<(&'static str, &'static str)> {
    match path {
        "/" => Some(("text/html", files::HTML)),
        "/chart.css" => Some(("text/css", files::CSS)),
        "/icon.svg" => Some(("image/svg+xml", files::ICON)),
        _ => {
            let is_it = |(name, _): &&(&str, &str)| path.strip_prefix('/') == Some(*name);
            let script = files::SCRIPTS.iter().find(is_it);
            script.map(|&(_, text)| ("text/javascript", text))
        }
    }
}

/// What happened until now as a page of its own, made piece by piece as the browser takes it: between two
/// pieces, the service serves devices.
fn recording(desk: &Arc<Desk>, payloads: bool) -> Body {
    let recording = Recording::new(&desk.chart, payloads);
    let parts = stream::unfold(recording, async |mut recording| {
        tokio::task::yield_now().await;
        let part = recording.next()?;
        let frame: Result<_, Infallible> = Ok(Frame::data(Bytes::from(part)));
        Some((frame, recording))
    });
    StreamBody::new(parts).boxed_unsync()
}

/// Carries out the line in the body, as if it had been typed.
async fn command(request: Request<Incoming>, desk: &Desk) -> (StatusCode, &'static str, Body) {
    let body = Limited::new(request.into_body(), LONGEST_COMMAND);
    let Ok(body) = body.collect().await else {
        let why = "the command is too long, or was cut off";
        return (StatusCode::PAYLOAD_TOO_LARGE, "text/plain", full(why));
    };
    let line = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let (answer, failed) = match desk.obey(&line, Origin::Page) {
        Ok(Answer::Say(answer)) => (answer, false),
        Ok(_) => (String::new(), false), // what is for the terminal alone was refused
        Err(error) => (error.to_string(), true),
    };
    let answer = without_signatures(&answer).into_owned();
    let told = format!("(page) {}: {answer}", without_signatures(line.trim()));
    let told = printable(&cut(&told, LONGEST_TOLD)).into_owned();
    // Whether somebody looks at the terminal is their affair.
    let _ = desk.clicked.send(told);
    let answer = json!({"answer": answer, "failed": failed}).to_string();
    (StatusCode::OK, "application/json", full(answer))
}

fn parameter(request: &Request<Incoming>, name: &str) -> Option<String> {
    let mut parts = request.uri().query()?.split('&');
    let value = |part: &str| {
        part.strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    parts.find_map(value)
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}

fn response(status: StatusCode, kind: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&format!("{kind}; charset=utf-8"));
    headers.extend(kind.ok().map(|kind| (header::CONTENT_TYPE, kind)));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (gate::OPENER_POLICY, "same-origin"),
        (gate::RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
