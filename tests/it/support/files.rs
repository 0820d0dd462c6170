//! An HTTP server of one file, as S3 is for a presigned URL: in ranges, and with every fault.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::within;

/// What goes wrong. Each place in the file counts once.
#[derive(Default)]
pub struct Faults {
    /// Where the connection is cut.
    pub cuts: Vec<u64>,
    /// Where nothing more comes until it is let go, or the connection has ended.
    pub holds: Vec<u64>,
    /// A status that this many requests are answered with.
    pub status: Option<(u16, usize)>,
    /// How many requests a URL is good for, before it has expired.
    pub uses_of_a_url: Option<usize>,
    /// The status that an expired URL is answered with, and what S3 calls it in the body. 403, if none.
    pub expired: Option<(u16, &'static str)>,
    /// The size that it says the file has.
    pub size: Option<u64>,
    /// How many bytes come that were not asked for.
    pub surplus: usize,
    /// Whether it does not know ranges: it sends the whole file, always.
    pub has_no_ranges: bool,
    /// Where else it says the file is.
    pub redirect: Option<String>,
}

/// A request that has come: the query of its URL, and the range that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    pub query: String,
    pub from: u64,
    pub to: u64,
}

/// The server.
pub struct FileServer {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    content: Vec<u8>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Requested>>,
    /// How many faults have struck.
    struck: watch::Sender<usize>,
    let_go: Notify,
}

impl FileServer {
    pub async fn start(content: &[u8], faults: Faults) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            content: content.to_vec(),
            faults: Mutex::new(faults),
            requests: Mutex::default(),
            struck: watch::Sender::default(),
            let_go: Notify::new(),
        });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new(); // they end with this task
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                connections.spawn(async move { shared.serve(stream).await });
            }
        });
        Self { port, shared, task }
    }

    /// Where the file is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/firmware.bin", self.port)
    }

    pub fn requests(&self) -> Vec<Requested> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many faults have struck.
    pub fn struck(&self) -> usize {
        *self.shared.struck.borrow()
    }

    /// Waits until this many faults have struck.
    pub async fn has_struck(&self, count: usize) {
        let mut struck = self.shared.struck.subscribe();
        let _ = within(struck.wait_for(|struck| *struck >= count))
            .await
            .unwrap();
    }

    /// Lets one request go that is held.
    pub fn let_go(&self) {
        self.shared.let_go.notify_one();
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    fn strike(&self) {
        self.struck.send_modify(|struck| *struck += 1);
    }

    /// Answers one request after another.
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.ok()? == 0 {
                    return None;
                }
            }
            let requested = requested(&head);
            self.requests.lock().unwrap().push(requested.clone());
            match self.refusal(&requested) {
                Some(refusal) => {
                    self.strike();
                    let (refusal, body) = refusal.split_once('|').unwrap_or((&refusal, ""));
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 {refusal}\r\nContent-Length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                None => self.send(&mut stream, &requested).await?,
            }
        }
    }

    /// The status, and more of the head of an answer, if the request is not to be served; behind a `|`, its
    /// body.
    fn refusal(&self, requested: &Requested) -> Option<String> {
        let mut faults = self.faults();
        if let Some(elsewhere) = &faults.redirect {
            return Some(format!("307 Temporary Redirect\r\nLocation: {elsewhere}"));
        }
        if let Some((status, count @ 1..)) = &mut faults.status {
            *count -= 1;
            return Some(format!("{status} As Ordered"));
        }
        let requests = self.requests.lock().unwrap();
        let same = requests.iter().filter(|one| one.query == requested.query);
        let has_expired = same.count() > faults.uses_of_a_url?;
        has_expired.then(|| match faults.expired {
            None => "403 Forbidden".to_owned(),
            Some((status, code)) => {
                format!("{status} As Ordered|<?xml?>\n<Error><Code>{code}</Code><Message>…</Message></Error>")
            }
        })
    }

    /// Sends a range of the file. `None`: the connection has ended.
    async fn send(&self, stream: &mut BufReader<TcpStream>, requested: &Requested) -> Option<()> {
        let Requested {
            mut from, mut to, ..
        } = *requested;
        let (size, surplus, has_no_ranges) = {
            let faults = self.faults();
            (faults.size, faults.surplus, faults.has_no_ranges)
        };
        if size.is_some() || surplus > 0 || has_no_ranges {
            self.strike();
        }
        let all = size.unwrap_or(self.content.len() as u64);
        let head = if has_no_ranges {
            (from, to) = (0, self.content.len() as u64 - 1);
            format!("HTTP/1.1 200 OK\r\nContent-Length: {all}\r\n\r\n")
        } else {
            let length = to + 1 - from + surplus as u64;
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{to}/{all}\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        stream.write_all(head.as_bytes()).await.ok()?;
        while from <= to {
            let (cut, hold) = {
                let mut faults = self.faults();
                (take(&mut faults.cuts, from), take(&mut faults.holds, from))
            };
            if cut || hold {
                self.strike();
            }
            if cut {
                return None;
            }
            if hold {
                tokio::select! {
                    () = self.let_go.notified() => {}
                    _ = stream.read_u8() => return None,
                }
            }
            let next = {
                let faults = self.faults();
                let all = faults.cuts.iter().chain(&faults.holds).copied();
                all.filter(|at| *at > from).min().unwrap_or(to + 1)
            };
            let end = next.min(to + 1);
            let bytes = self.content.get(from as usize..end as usize)?;
            stream.write_all(bytes).await.ok()?;
            from = end;
        }
        stream.write_all(&vec![b'!'; surplus]).await.ok()
    }
}

/// Takes a place out of those to come.
fn take(places: &mut Vec<u64>, at: u64) -> bool {
    let before = places.len();
    places.retain(|place| *place != at);
    places.len() < before
}

fn requested(head: &str) -> Requested {
    let path = head.split(' ').nth(1).unwrap();
    let range = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("range: bytes=")
                .map(str::to_owned)
        })
        .expect("a request for a range");
    let (from, to) = range.split_once('-').unwrap();
    Requested {
        query: path.split_once('?').unwrap_or_default().1.to_owned(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}
