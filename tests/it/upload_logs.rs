//! The worked example `upload_logs`: what is uploaded, what is not, and how the job ends.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::Status;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use ureq::Proxy;

use crate::support::{ForwardProxy, Manners, THING, World, within};

#[path = "../examples/upload_logs.rs"]
#[allow(dead_code)] // its `main`
mod example;

/// What was uploaded: the first line of the request, and the body.
type Uploads = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A device with logs, the service, and a bucket.
struct Scene {
    world: World,
    port: u16,
    uploads: Uploads,
    bucket: AbortHandle,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.bucket.abort();
    }
}

impl Scene {
    /// A bucket that answers the first uploads with these statuses, and all further ones with 200.
    async fn with(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let uploads = Uploads::default();
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let kept = Arc::clone(&uploads);
        let bucket = tokio::spawn(async move {
            let mut connections = JoinSet::new(); // they end with this task
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, statuses) = (Arc::clone(&kept), Arc::clone(&statuses));
                connections.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(upload) = read(&mut stream).await {
                        kept.lock().unwrap().push(upload);
                        let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                        let head = format!("HTTP/1.1 {status} As Ordered\r\nLocation: /b\r\n");
                        let answer = format!("{head}Content-Length: 0\r\n\r\n");
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
            bucket: bucket.abort_handle(),
        };
        scene.log(b"it went well\n");
        scene
    }

    fn log(&self, content: &[u8]) {
        let path = self.world.folder.path().join("logs/device.log");
        fs::write(path, content).unwrap();
    }

    fn document(&self) -> Value {
        let key = "bucket/${thingName}/${jobId}-${executionNumber}.log";
        let url = format!("http://127.0.0.1:{}/{key}", self.port);
        let url = format!("${{aws:iot:s3-presigned-url-upload:{url}}}");
        json!({"operation": "upload-log", "log": "device", "url": url})
    }

    /// Has the example do a job in this process, with short waits. Returns how it ended, and why.
    async fn done(&self, document: Value) -> (Status, String) {
        self.done_through(None, document).await
    }

    /// The same, through a proxy.
    async fn done_through(&self, proxy: Option<Proxy>, document: Value) -> (Status, String) {
        let jobs = self.world.core.jobs();
        jobs.create_job("logs", document).unwrap();
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
        let folder = self.world.folder.path().join("logs");
        let running = self
            .world
            .run(self.world.settings(), async move |job: &Job| {
                example::upload(job, &folder, proxy.clone(), backoff.clone()).await
            });
        within(jobs.wait_until(|books| {
            let job = books.execution("logs");
            job.is_some_and(|job| job.status.is_terminal())
        }))
        .await;
        running.stop().await.unwrap();
        let ended = jobs.execution("logs").unwrap();
        let reason = ended.status_details.get("reason").cloned();
        jobs.delete_job("logs").unwrap();
        (ended.status, reason.unwrap_or_default())
    }

    fn uploads(&self) -> Vec<(String, Vec<u8>)> {
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

#[tokio::test]
async fn a_log_is_uploaded_to_a_place_of_its_own() {
    let scene = Scene::with(&[]).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let uploads = scene.uploads();
    let (request, body) = &uploads[0];
    let path = format!("put /bucket/{THING}/logs-1.log?x-amz-signature=");
    assert!(request.starts_with(&path), "{request}");
    assert_eq!((uploads.len(), &body[..]), (1, &b"it went well\n"[..]));
}

#[tokio::test]
async fn of_a_large_log_the_end_is_uploaded() {
    let scene = Scene::with(&[]).await;
    let mut log = vec![b'x'; 1024 * 1024];
    log.extend_from_slice(b"the end\n");
    scene.log(&log);
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    assert_eq!(scene.uploads()[0].1, log[8..]);
}

#[tokio::test]
async fn an_empty_log_is_uploaded() {
    let scene = Scene::with(&[]).await;
    scene.log(b"");
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    assert_eq!(scene.uploads()[0].1, b"");
}

#[tokio::test]
async fn a_name_is_never_taken_as_a_path() {
    let scene = Scene::with(&[]).await;
    for name in [
        "device.log",
        "./device",
        "../private.pem.key",
        "/etc/passwd",
        "",
        "DEVICE",
    ] {
        let mut document = scene.document();
        document["log"] = json!(name);
        let (status, reason) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{name}");
        assert_eq!(reason, format!("there is no log '{name}'"));
    }
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::with(&[]).await;
    for (field, value, reason) in [
        ("operation", json!("dance"), "unknown variant"),
        ("log", json!(7), "invalid type"),
        ("url", json!("http://example.com/b"), "url must be https"),
        (
            "url",
            json!("http://127.0.0.1@example.com/"),
            "url must be https",
        ),
        ("url", json!("file:///etc/passwd"), "url must be https"),
        (
            "url",
            json!("${aws:iot:other:https://h/k}"),
            "--presigned-url-config",
        ),
    ] {
        let mut document = scene.document();
        document[field] = value.clone();
        let (status, said) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{field}: {value}");
        assert!(said.contains(reason), "{field}: {value}: {said}");
    }
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_log_that_is_not_there_fails() {
    let scene = Scene::with(&[]).await;
    let mut document = scene.document();
    document["log"] = json!("system");
    let (status, reason) = scene.done(document).await;
    assert_eq!(status, Status::Failed);
    assert!(reason.starts_with("system.log: "), "{reason}");
}

#[tokio::test]
async fn after_a_url_that_has_expired_a_fresh_one_is_used() {
    let scene = Scene::with(&[403, 503]).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let mut urls: Vec<String> = scene.uploads().into_iter().map(|one| one.0).collect();
    assert_eq!(urls.len(), 3);
    urls.dedup();
    assert_eq!(urls.len(), 3, "each with a signature of its own");
}

#[tokio::test]
async fn a_bucket_that_keeps_refusing_fails_the_job() {
    let scene = Scene::with(&[403; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "the server answered 403 Forbidden");
    assert_eq!(scene.uploads().len(), 8);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = Scene::with(&[307; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed, "{reason}");
    assert!(
        scene
            .uploads()
            .iter()
            .all(|(line, _)| line.starts_with("put /bucket/"))
    );
}

#[tokio::test]
async fn the_program_s_own_proxy_is_used_with_its_password() {
    let scene = Scene::with(&[]).await;
    let manners = Manners {
        to: Some(scene.port),
        wants: Some("Basic dXNlcjpzZWNyZXQ="),
        ..Manners::default()
    };
    let forward = ForwardProxy::with(manners).await;
    let auth = scene.world.folder.path().join("proxy.auth");
    fs::write(&auth, "user:secret\n").unwrap();
    let port = forward.port.to_string();
    let more = ["--proxy_host", "127.0.0.1", "--proxy_port", &port];
    let mut flags = scene.world.flags(&more);
    flags.extend(["--proxy_auth".to_owned(), auth.to_str().unwrap().to_owned()]);
    flags.insert(0, "program".to_owned());
    let flags = Flags::from_arguments(flags).unwrap();
    let proxy = example::proxy(&flags).unwrap();
    let (status, reason) = scene.done_through(proxy, scene.document()).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for(), [format!("127.0.0.1:{}", scene.port)]);
    assert_eq!(scene.uploads().len(), 1);
}
