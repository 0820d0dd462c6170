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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use ureq::tls::{RootCerts, TlsConfig};

use crate::support::{ForwardProxy, Manners, Running, THING, World, within};

#[path = "../examples/upload_logs.rs"]
#[allow(dead_code)] // its `main`
mod example;

use example::Uploads;

/// What was uploaded: the first line of the request, and the body.
type Uploaded = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A device with logs, the service, and a bucket.
struct Scene {
    world: World,
    port: u16,
    uploads: Uploaded,
    /// What it says beside a status that is no success.
    error: Arc<Mutex<String>>,
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

    /// What the example is given: short waits, and the bucket as the place where logs may go.
    fn uploads_here(&self) -> Uploads {
        Uploads {
            folder: self.world.folder.path().join("logs"),
            hosts: vec![format!("http://127.0.0.1:{}", self.port)],
            proxy: None,
            tls: TlsConfig::default(),
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
        }
    }

    /// Has the example do jobs in this process.
    fn run(&self, uploads: Uploads) -> Running {
        self.world
            .run(self.world.settings(), async move |job: &Job| {
                example::upload(job, uploads.clone()).await
            })
    }

    /// Has the example do a job. Returns how it ended, and why.
    async fn done(&self, document: Value) -> (Status, String) {
        self.done_with(self.uploads_here(), document).await
    }

    /// The same, with something other than usual.
    async fn done_with(&self, uploads: Uploads, document: Value) -> (Status, String) {
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
async fn what_no_other_url_mends_fails_at_once() {
    let scene = Scene::with(&[404; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "the server answered 404 Not Found");
    assert_eq!(scene.uploads().len(), 1);
}

/// S3 says with 400 that the URL's credentials have expired, or that the upload was too slow.
#[tokio::test]
async fn after_a_400_that_tells_of_the_url_a_fresh_one_is_used() {
    for (code, tries) in [
        ("ExpiredToken", 2),
        ("RequestTimeout", 2),
        ("EntityTooLarge", 1),
    ] {
        let scene = Scene::with(&[400]).await;
        *scene.error.lock().unwrap() = format!("<Error><Code>{code}</Code></Error>");
        let (status, reason) = scene.done(scene.document()).await;
        let expected = match tries {
            2 => Status::Succeeded,
            _ => Status::Failed,
        };
        assert_eq!(status, expected, "{code}: {reason}");
        assert_eq!(scene.uploads().len(), tries, "{code}");
    }
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

/// Where a log would go with these hosts.
fn is_allowed(url: &str, hosts: &[&str]) -> bool {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    example::check(url, &hosts).is_ok()
}

#[test]
fn a_log_goes_to_the_hosts_that_are_listed_and_by_tls_only() {
    let s3 = "s3.eu-west-1.amazonaws.com";
    for url in [
        "https://s3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://my-bucket.s3.eu-west-1.amazonaws.com/log?X-Amz-Signature=1",
        "https://S3.EU-WEST-1.amazonaws.com:443/my-bucket/log",
    ] {
        assert!(is_allowed(url, &[s3]), "{url}");
        assert!(is_allowed(url, &["logs.example.com", s3]), "{url}");
        assert!(!is_allowed(url, &["logs.example.com"]), "{url}");
        assert!(!is_allowed(url, &[]), "{url}");
    }
    for url in [
        "http://s3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://example.com/log",
        "https://s3.eu-west-1.amazonaws.com@example.com/log",
        "https://s3.eu-west-1.amazonaws.com.example.com/log",
        "https://evils3.eu-west-1.amazonaws.com/log",
        "https://s3.us-east-1.amazonaws.com/log",
        "https://s3.eu-west-1.amazonaws.com:8443/log",
        "http://127.0.0.1@example.com/",
        "http://localhost/log",
        "file:///etc/passwd",
        "https:///log",
        "//s3.eu-west-1.amazonaws.com/log",
        "",
    ] {
        assert!(!is_allowed(url, &[s3]), "{url}");
    }
    // Without TLS: to this machine only, and only if the reader says so.
    let here = "http://127.0.0.1:4566";
    assert!(is_allowed("http://127.0.0.1:4566/bucket/log", &[here]));
    assert!(!is_allowed("http://127.0.0.1:4567/bucket/log", &[here]));
    assert!(!is_allowed(
        "http://127.0.0.1:4566/bucket/log",
        &["127.0.0.1:4566"]
    ));
    assert!(!is_allowed(
        "http://example.com/log",
        &["http://example.com"]
    ));
}

#[test]
fn s3_of_the_device_s_own_region_is_the_default() {
    let beside = |endpoint: &str| example::s3_beside(endpoint);
    let expected = Some("s3.eu-west-1.amazonaws.com".to_owned());
    assert_eq!(beside("a1b2c3-ats.iot.eu-west-1.amazonaws.com"), expected);
    let expected = Some("s3.cn-north-1.amazonaws.com.cn".to_owned());
    assert_eq!(
        beside("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn"),
        expected
    );
    assert_eq!(beside("localhost"), None);
}

#[tokio::test]
async fn a_host_that_is_not_listed_gets_nothing() {
    let scene = Scene::with(&[]).await;
    let nowhere = Uploads {
        hosts: vec!["s3.eu-west-1.amazonaws.com".to_owned()],
        ..scene.uploads_here()
    };
    let (status, reason) = scene.done_with(nowhere, scene.document()).await;
    assert_eq!(status, Status::Rejected);
    let words = "by https, and to these hosts only: s3.eu-west-1.amazonaws.com (see LOG_HOSTS)";
    assert!(reason.ends_with(words), "{reason}");
    assert_eq!(scene.uploads(), []);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_not_followed_and_a_pipe_not_waited_for() {
    let scene = Scene::with(&[]).await;
    let log = scene.world.folder.path().join("logs/device.log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&scene.world.files.key, &log).unwrap();
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert!(reason.starts_with("device.log: "), "{reason}");
    fs::remove_file(&log).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&log).status();
    assert!(made.unwrap().success());
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "device.log: is not a regular file");
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_cancel_is_heard_while_the_upload_hangs() {
    let scene = Scene::with(&[]).await;
    // It takes the connection, and nothing more.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut document = scene.document();
    document["url"] = json!(format!("http://127.0.0.1:{port}/log"));
    let jobs = scene.world.core.jobs();
    jobs.create_job("logs", document).unwrap();
    let running = scene.run(Uploads {
        hosts: vec![format!("http://127.0.0.1:{port}")],
        ..scene.uploads_here()
    });
    let (hanging, _) = within(silent.accept()).await.unwrap();
    jobs.cancel_job_by_force("logs").unwrap();
    // It hangs still, and the next job is done: a cancel is not waited out.
    jobs.create_job("next", json!({"operation": "dance"}))
        .unwrap();
    within(jobs.wait_for_status("next", Status::Rejected)).await;
    assert_eq!(jobs.execution("logs").unwrap().status, Status::Canceled);
    drop(hanging);
    running.stop().await.unwrap();
}

/// A bucket behind TLS, which passes what it gets on to the one without.
async fn behind_tls(scene: &Scene) -> (u16, TlsConfig, AbortHandle) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = identity.cert.der().clone();
    let key = identity.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = scene.port;
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut bucket = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut bucket).await;
            });
        }
    });
    let root = ureq::tls::Certificate::from_der(&certificate).to_owned();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
    (port, tls.build(), task.abort_handle())
}

#[tokio::test]
async fn the_program_s_own_proxy_is_used_with_its_password() {
    let scene = Scene::with(&[]).await;
    let (secure_port, tls, bucket) = behind_tls(&scene).await;
    let manners = Manners {
        to: Some(secure_port),
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
    let proxy = example::presigned::proxy(&flags).unwrap();
    let uploads = Uploads {
        hosts: vec![
            format!("localhost:{secure_port}"),
            format!("http://127.0.0.1:{}", scene.port),
        ],
        proxy,
        tls,
        ..scene.uploads_here()
    };
    let mut document = scene.document();
    document["url"] = json!(format!("https://localhost:{secure_port}/log"));
    let (status, reason) = scene.done_with(uploads.clone(), document).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for(), [format!("localhost:{secure_port}")]);
    assert_eq!(scene.uploads().len(), 1);
    // Without TLS, it stays on this machine: no proxy gets to see it.
    let (status, reason) = scene.done_with(uploads, scene.document()).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for().len(), 1);
    assert_eq!(scene.uploads().len(), 2);
    bucket.abort();
}
