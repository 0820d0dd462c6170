//! What a browser gets.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jobs_mqtt5::text::printable;
use serde_json::json;

use super::super::chart::recording;
use super::super::commands::{Answer, Desk, Origin};
use super::events::events;
use super::gate::Gate;
use super::{Body, gate};

/// The longest command, in bytes: a job document has up to 32 KiB.
const LONGEST_COMMAND: usize = 128 * 1024;

/// Nothing but what comes from here, and nobody may show the page inside their own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub async fn answer(
    request: Request<Incoming>,
    gate: &Gate,
    desk: &Arc<Desk>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    let file = |kind, text| Some((kind, text));
    let file = match path {
        "/" => file("text/html", include_str!("chart.html")),
        "/chart.css" => file("text/css", include_str!("chart.css")),
        "/chart.js" => file("text/javascript", include_str!("chart.js")),
        "/page.js" => file("text/javascript", include_str!("page.js")),
        "/icon.svg" => file("image/svg+xml", include_str!("icon.svg")),
        _ => None,
    };
    let (method, headers) = (request.method(), request.headers());
    let checked = gate.check(method, request.uri(), headers, file.is_none());
    let (status, kind, body) = if let Err((status, why)) = checked {
        (status, "text/plain", full(why))
    } else if let Some((kind, text)) = file {
        (StatusCode::OK, kind, full(text))
    } else {
        match (method, path) {
            (&Method::GET, "/events") => {
                let last = headers.get("last-event-id");
                let last = last.and_then(|last| last.to_str().ok()).map(str::to_owned);
                let last = last.or_else(|| parameter(&request, "last"));
                (
                    StatusCode::OK,
                    "text/event-stream",
                    events(desk, last.as_deref()),
                )
            }
            (&Method::GET, "/recording") => {
                let payloads = parameter(&request, "payloads").as_deref() != Some("no");
                let page = recording::page(&desk.chart, payloads);
                (StatusCode::OK, "text/html", full(page))
            }
            (&Method::POST, "/command") => command(request, desk).await,
            _ => (StatusCode::NOT_FOUND, "text/plain", full("nothing is here")),
        }
    };
    Ok(response(status, kind, body))
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
    // Whether somebody looks at the terminal is their affair.
    let _ = desk
        .clicked
        .send(printable(&format!("(page) {}: {answer}", line.trim())).into_owned());
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
