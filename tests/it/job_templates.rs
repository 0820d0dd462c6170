//! The worked example `job_templates`: each document that AWS publishes for its managed templates, and
//! wrong ones beside them.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use local_iot_core::Status;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Running, World};

#[path = "../examples/job_templates.rs"]
#[allow(dead_code)] // its `main`
mod example;
mod interrupted;
mod printed;

/// The document that AWS publishes for this template, with these parameters in it as CreateJob puts them.
fn document(template: &str, parameters: &[(&str, &str)]) -> Value {
    let all: Value = serde_json::from_str(include_str!("job_templates/published.json")).unwrap();
    let mut text = all[template].to_string();
    for (name, value) in parameters {
        let value = json!(value).to_string();
        let placeholder = format!("${{aws:iot:parameter:{name}}}");
        assert!(text.contains(&placeholder), "{template} has no {name}");
        text = text.replace(&placeholder, value.trim_matches('"'));
    }
    for optional in ["pathToHandler", "runAsUser"] {
        text = text.replace(&format!("${{aws:iot:parameter:{optional}}}"), "");
    }
    serde_json::from_str(&text).unwrap()
}

/// Several documents of one step each, as one of several steps.
fn in_steps(documents: &[Value]) -> Value {
    let steps: Vec<_> = documents.iter().map(|one| &one["steps"][0]).collect();
    json!({"version": "1.0", "steps": steps})
}

/// A device with programs of its own, and the service.
struct Scene {
    world: World,
    programs: &'static [example::Program],
    proxy: Option<ureq::Proxy>,
}

impl Scene {
    /// A device whose services are started by a script with these lines; everything else is said only.
    async fn with(script: &str) -> Self {
        let world = World::new().await;
        let path = world.folder.path().join("start");
        fs::write(&path, format!("#!/bin/sh\ncd \"${{0%/*}}\"\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let start: &'static str = path.to_str().unwrap().to_owned().leak();
        let programs: Vec<example::Program> = vec![
            ("install-packages.sh", "echo installs", &["curl", "nano"]),
            ("remove-packages.sh", "echo removes", &["curl", "nano"]),
            ("start-services.sh", start, &["sensors", "display"]),
            ("stop-services.sh", "echo stops", &["sensors", "display"]),
            ("restart-services.sh", "no-such-program", &["sensors"]),
            ("reboot.sh", "echo reboots", &[]),
        ];
        let programs = programs.leak();
        let proxy = None;
        Self {
            world,
            programs,
            proxy,
        }
    }

    async fn new() -> Self {
        Self::with("echo starts $*; echo $* >> started").await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join(name)
    }

    /// How often the script that starts services has run.
    fn starts(&self) -> usize {
        let started = fs::read_to_string(self.path("started"));
        started.unwrap_or_default().lines().count()
    }

    fn device(&self) -> Running {
        let device = example::Device {
            programs: self.programs,
            files: &["model.bin"],
            folder: self.path("downloads"),
            restarts_within: Duration::from_millis(100),
        };
        let proxy = self.proxy.clone();
        let work = async move |job: &Job| example::work(job, &device, proxy.clone()).await;
        self.world.run(self.world.settings(), work)
    }

    fn create(&self, id: &str, document: &Value) {
        self.world
            .core
            .jobs()
            .create_job(id, document.clone())
            .unwrap();
    }

    /// Has the device do this. Returns how it ended, and its status details as text.
    async fn done(&self, document: &Value) -> (Status, String) {
        self.create("job", document);
        let running = self.device();
        let job = self.world.ended("job").await;
        running.stop().await.unwrap();
        self.world.core.jobs().delete_job("job").unwrap();
        (job.status, format!("{:?}", job.status_details))
    }
}

/// A server that answers every request with these bytes, and how it is reached.
async fn serving(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    format!("http://localhost:{port}/model.bin")
}

fn ok(size: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn download(url: &str, path: &str) -> Value {
    document(
        "AWS-Download-File",
        &[("downloadUrl", url), ("filePath", path)],
    )
}

#[tokio::test]
async fn each_template_of_aws_is_done_as_the_device_has_it() {
    let scene = Scene::new().await;
    for (template, parameter, value, says) in [
        (
            "Install-Application",
            "packages",
            "curl nano",
            "installs curl nano",
        ),
        ("Remove-Application", "packages", " nano", "removes nano"),
        ("Start-Application", "services", "display", "starts display"),
        ("Stop-Application", "services", "sensors", "stops sensors"),
    ] {
        let document = document(&format!("AWS-{template}"), &[(parameter, value)]);
        let (status, details) = scene.done(&document).await;
        assert_eq!(status, Status::Succeeded, "{template}: {details}");
        assert!(details.contains(says), "{template}: {details}");
    }
    let restart = document("AWS-Restart-Application", &[("services", "sensors")]);
    let (status, details) = scene.done(&restart).await;
    assert_eq!(status, Status::Failed, "{details}");
    assert!(
        details.contains("no-such-program can't be run: "),
        "{details}"
    );

    let url = serving(ok(5, b"model")).await;
    let (status, details) = scene.done(&download(&url, "model.bin")).await;
    assert_eq!(status, Status::Succeeded, "{details}");
    assert!(details.contains("5 bytes"), "{details}");
    assert_eq!(
        fs::read(scene.path("downloads/model.bin")).unwrap(),
        b"model"
    );

    let command = document("AWS-Run-Command", &[("command", "touch,started")]);
    let (status, details) = scene.done(&command).await;
    assert_eq!(status, Status::Rejected, "{details}");
    assert!(
        details.contains("a runCommand is not done here; "),
        "{details}"
    );

    let (status, details) = scene.done(&document("AWS-Reboot", &[])).await;
    assert_eq!(status, Status::Failed, "{details}");
    assert!(details.contains("the device did not restart"), "{details}");
    assert_eq!(scene.starts(), 1);
}

#[tokio::test]
async fn a_document_that_asks_for_more_than_the_device_allows_is_rejected_before_its_first_step() {
    let scene = Scene::new().await;
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let wrong: Vec<(String, Value)> =
        serde_json::from_str(include_str!("job_templates/wrong.json")).unwrap();
    for (why, mut document) in wrong {
        let (status, details) = scene.done(&document).await;
        assert_eq!(status, Status::Rejected, "{document}: {details}");
        let why = why.replace('"', "\\\"");
        assert!(details.contains(&why), "{why}: {document}: {details}");
        // Nor is a good step done that stands before it.
        if document["steps"][0].is_object() {
            let steps = document["steps"].as_array_mut().unwrap();
            steps.insert(0, start["steps"][0].clone());
            let (status, details) = scene.done(&document).await;
            assert_eq!(status, Status::Rejected, "{document}: {details}");
        }
    }
    assert_eq!(scene.starts(), 0, "nothing was done");
    assert!(!scene.path("downloads").exists());
}

#[tokio::test]
async fn a_download_goes_through_the_program_s_own_proxy() {
    let mut scene = Scene::new().await;
    let (forward, flags) = scene
        .world
        .proxy_with_password(scene.world.core.port())
        .await;
    scene.proxy = example::presigned::proxy(&flags).unwrap();
    let url = "HTTPS://models.example.com/model.bin";
    let (status, details) = scene.done(&download(url, "model.bin")).await;
    assert_eq!(status, Status::Failed);
    assert!(details.contains("certificate"), "{details}");
    assert_eq!(forward.asked_for(), ["models.example.com:443"]);
    // What is on this machine stays on it.
    let url = serving(ok(5, b"model")).await;
    let (status, details) = scene.done(&download(&url, "model.bin")).await;
    assert_eq!(status, Status::Succeeded, "{details}");
    assert_eq!(forward.asked_for().len(), 1);
}

#[tokio::test]
async fn a_file_that_does_not_come_as_a_whole_leaves_the_old_one() {
    let scene = Scene::new().await;
    fs::create_dir(scene.path("downloads")).unwrap();
    fs::write(scene.path("downloads/model.bin"), "old").unwrap();
    let large = 16 * 1024 * 1024 + 1;
    for (answer, says) in [
        (ok(100, b"too short"), "Peer disconnected"),
        (ok(large, &vec![0; large]), "larger than request limit"),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "403",
        ),
    ] {
        let url = serving(answer).await;
        let (status, details) = scene.done(&download(&url, "model.bin")).await;
        assert_eq!(status, Status::Failed, "{details}");
        assert!(details.contains(says), "{details}");
        let kept = fs::read_to_string(scene.path("downloads/model.bin"));
        assert_eq!(kept.unwrap(), "old", "{details}");
    }
}
