//! The page: the chart as it grows, and buttons for all that can be typed.
//!
//! `files` lists what the page consists of; `gate` says who may have it, `answers` what it gets.

mod answers;
mod events;
pub mod files;
mod gate;
#[cfg(test)]
mod tests;
pub mod token;
mod waiting;

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::commands::Desk;
use gate::Gate;
use waiting::Waiting;

/// What an answer consists of.
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// How long a browser may take over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections that have not shown the token. Each takes a file descriptor, which devices need.
const MOST_WAITING: usize = 64;

/// A server for the page that does not serve yet.
pub struct Page {
    listener: TcpListener,
    gate: Gate,
}

impl Page {
    /// Listens on 127.0.0.1; with port 0, on one that is free.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn bind(port: u16, token: String) -> io::Result<Page> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Page {
            listener,
            gate: Gate { port, token },
        })
    }

    /// Where a browser finds it. What stands behind `#` is never sent by a browser: the page reads
    /// it, and shows it with every request.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/#{}", self.gate.port, self.gate.token)
    }

    /// Serves browsers until it is dropped.
    pub async fn serve(self, desk: Arc<Desk>) {
        let gate = Arc::new(self.gate);
        let mut waiting = Waiting::new(MOST_WAITING);
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Too many open files, for example: it may pass.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (gate, desk) = (Arc::clone(&gate), Arc::clone(&desk));
            let is_known = Arc::new(AtomicBool::new(false));
            let known = Arc::clone(&is_known);
            let task = tokio::spawn(async move {
                let service = service_fn(|request| answers::answer(request, &gate, &desk, &known));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // A browser that goes away is nobody's concern.
                let _ = connection.await;
            });
            waiting.add(task.abort_handle(), is_known);
        }
    }
}
