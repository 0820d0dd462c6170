//! The device whose logs are uploaded, and the bucket that they go to.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::Status;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use ureq::tls::TlsConfig;

use super::example::{self, Uploads};
use crate::support::{Running, World};

/// What was uploaded: the first line of the request, and the body.
type Uploaded = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A device with logs, the service, and a bucket.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) port: u16,
    uploads: Uploaded,
    /// What it says beside a status that is no success.
    pub(super) error: Arc<Mutex<String>>,
    bucket: AbortHandle,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.bucket.abort();
    }
}

impl Scene {
    /// A bucket that answers the first uploads with these statuses, and all further ones with 200.
    pub(super) async fn with(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let uploads = Uploaded::default();
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let error = Arc::new(Mutex::new(String::new()));
        let (kept, told) = (Arc::clone(&uploads), Arc::clone(&error));
        let bucket = tokio::spawn(async move {
            let mut connections = JoinSet::new(); // they end with this task
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, statuses) = (Arc::clone(&kept), Arc::clone(&statuses));
                let told = Arc::clone(&told);
                connections.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(upload) = read(&mut stream).await {
                        kept.lock().unwrap().push(upload);
                        let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                        let head = format!("HTTP/1.1 {status} As Ordered\r\nLocation: /b\r\n");
                        let body = match status {
                            200 => String::new(),
                            _ => told.lock().unwrap().clone(),
                        };
                        let length = body.len();
                        let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        let world = World::new().await;
        fs::create_dir(world.folder.path().join("logs")).unwrap();
        let scene = Self {
            world,
            port,
            uploads,
            error,
            bucket: bucket.abort_handle(),
        };
        scene.log(b"it went well\n");
        scene
    }

    pub(super) fn log(&self, content: &[u8]) {
        let path = self.world.folder.path().join("logs/device.log");
        fs::write(path, content).unwrap();
    }

    pub(super) fn document(&self) -> Value {
        let key = "bucket/${thingName}/${jobId}-${executionNumber}.log";
        let url = format!("http://127.0.0.1:{}/{key}", self.port);
        let url = format!("${{aws:iot:s3-presigned-url-upload:{url}}}");
        json!({"operation": "upload-log", "log": "device", "url": url})
    }

    /// What the example is given: short waits, and the bucket as the one that logs may go to.
    pub(super) fn uploads_here(&self) -> Uploads {
        Uploads {
            folder: self.world.folder.path().join("logs"),
            urls: vec![format!("http://127.0.0.1:{}/bucket/", self.port)],
            proxy: None,
            tls: TlsConfig::default(),
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
        }
    }

    /// Has the example do jobs in this process.
    pub(super) fn run(&self, uploads: Uploads) -> Running {
        self.world
            .run(self.world.settings(), async move |job: &Job| {
                example::upload(job, uploads.clone()).await
            })
    }

    /// Has the example do a job. Returns how it ended, and why.
    pub(super) async fn done(&self, document: Value) -> (Status, String) {
        self.done_with(self.uploads_here(), document).await
    }

    /// The same, with something other than usual.
    pub(super) async fn done_with(&self, uploads: Uploads, document: Value) -> (Status, String) {
        let jobs = self.world.core.jobs();
        jobs.create_job("logs", document).unwrap();
        let running = self.run(uploads);
        let ended = self.world.ended("logs").await;
        // Whoever reads what it says is not to have the URL.
        assert_eq!(running.out.count("X-Amz-"), 0, "{}", running.out.text());
        running.stop().await.unwrap();
        let reason = ended.status_details.get("reason").cloned();
        jobs.delete_job("logs").unwrap();
        (ended.status, reason.unwrap_or_default())
    }

    pub(super) fn uploads(&self) -> Vec<(String, Vec<u8>)> {
        self.uploads.lock().unwrap().clone()
    }
}

/// Reads a request.
async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?.split_once("\r\n")?.0;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some((head.lines().next()?.to_owned(), body))
}
