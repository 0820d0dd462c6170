//! The worked examples `key_in_token`, `provision` and `rotate_certificate`, with a key in a token: SoftHSM's, which is one in
//! software behind the same library calls. Most of these need it (on Debian, the package softhsm2), so they
//! run where they are asked for: `cargo test --test it -- --ignored key_in_token`.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};

use local_iot_core::{Event, Status};
use serde_json::json;
use tokio::process::Command;

mod few_places;
#[cfg(all(target_os = "linux", target_env = "gnu"))] // what the C compiler makes of strange_token.c
mod strange_token;
mod uri;

use crate::support::{Ended, ForwardProxy, Program, World, example_path, within};

/// The service, and a token.
struct Scene {
    world: World,
}

/// Where SoftHSM's library is, on the systems that we know.
fn module() -> PathBuf {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
        "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    ];
    let mut places = places.iter().map(PathBuf::from);
    places
        .find(|path| path.exists())
        .expect("SoftHSM is not installed: on Debian, softhsm2")
}

impl Scene {
    async fn new() -> Self {
        let scene = Self {
            world: World::new().await,
        };
        fs::create_dir(scene.path("tokens")).unwrap();
        let conf = format!(
            "directories.tokendir = {}\n",
            scene.path("tokens").display()
        );
        fs::write(scene.path("softhsm2.conf"), conf).unwrap();
        fs::write(scene.path("pin"), "9876\n").unwrap();
        scene.with_a_token("device").await;
        for own in [&scene.world.files.cert, &scene.world.files.key] {
            fs::remove_file(own).unwrap(); // the world's own: here, keys are made
        }
        scene
    }

    /// Sets up one more token.
    async fn with_a_token(&self, label: &str) {
        let mut init = self.command("softhsm2-util".as_ref());
        init.args(["--init-token", "--free", "--label", label]);
        init.args(["--pin", "9876", "--so-pin", "123456"]);
        let done = init.output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// The files of the tokens.
    fn in_the_tokens(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folders = fs::read_dir(self.path("tokens")).unwrap();
        let files = folders.flat_map(|token| fs::read_dir(token.unwrap().path()).unwrap());
        let paths = files.map(|file| file.unwrap().path());
        paths
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }

    /// How many halves of keys are in the tokens.
    fn halves(&self) -> usize {
        let files = self.in_the_tokens();
        let is_half = |path: &Path| {
            path.extension().is_some_and(|ending| ending == "object")
                && path.file_name().is_some_and(|name| name != "token.object")
        };
        files.iter().filter(|(path, _)| is_half(path)).count()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join(name)
    }

    /// The token's URI.
    fn token(&self) -> String {
        let (module, pin) = (module(), self.path("pin"));
        let (module, pin) = (module.display(), pin.display());
        format!("pkcs11:token=device?module-path={module}&pin-source=file:{pin}")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        command
    }

    fn start(&self, example: &str) -> Program {
        self.start_with(example, &[])
    }

    fn start_with(&self, example: &str, more: &[&str]) -> Program {
        self.start_on(&self.token(), example, more)
    }

    fn start_on(&self, token: &str, example: &str, more: &[&str]) -> Program {
        let mut command = self.command(&example_path(example));
        command.args(self.world.flags(more));
        command.env("DEVICE_TOKEN", token);
        command.env("IDENTITY_FOLDER", self.path("identity"));
        Program::start_command(command)
    }

    /// Has a key made, and a certificate for it.
    async fn with_a_certificate(&self) {
        let made = self.start("key_in_token").end().await;
        assert_eq!(made.code, Some(0), "{}", made.err);
        self.world.certify(&made.out);
    }

    /// Starts an example, which does one job.
    async fn does(&self, example: &str, job_id: &str) {
        self.world.queue(&[job_id]);
        let device = self.start(example);
        self.world.succeeds(job_id).await;
        device.kill().await;
    }

    /// Starts the program, which ends with these words.
    async fn fails(&self) -> String {
        let Ended { code, err, .. } = self.start("key_in_token").end().await;
        assert_eq!(code, Some(1), "{err}");
        assert!(!err.contains("9876"), "the PIN is nobody's business: {err}");
        err.trim().to_owned()
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_device_does_its_jobs_with_a_key_that_was_made_in_a_token() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let says = fs::read_to_string(&scene.world.files.key).unwrap();
    assert!(
        says.starts_with("pkcs11:token=device;object=") && !says.contains("9876"),
        "{says}"
    );
    let proxy = ForwardProxy::start(scene.world.core.port()).await;
    let port = proxy.port.to_string();
    let through = ["--proxy_host", "localhost", "--proxy_port", &port];
    let device = scene.start_with("key_in_token", &through);
    scene.world.queue(&["a"]);
    scene.world.succeeds("a").await;
    device.kill().await;
    assert_eq!(proxy.asked_for().len(), 1);
    assert_eq!(scene.world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn what_is_wrong_with_a_token_is_told_in_words() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;

    fs::write(scene.path("pin"), "0000\n").unwrap();
    let wrong = "the token 'device' can't be logged in to: the PIN is wrong, and after some tries the \
                 token locks itself";
    assert_eq!(scene.fails().await, wrong);
    fs::remove_file(scene.path("pin")).unwrap();
    let said = scene.fails().await;
    assert!(said.starts_with("no PIN for 'device': its file "), "{said}");

    let key = &scene.world.files.key;
    let uri = fs::read_to_string(key).unwrap();
    let without = uri.split("&pin-source").next().unwrap();
    fs::write(key, without).unwrap();
    let no_pin = "no PIN for 'device': there is no pin-source, and no terminal to ask in";
    assert_eq!(scene.fails().await, no_pin);
    fs::write(scene.path("pin"), "9876\n").unwrap();

    let other = uri
        .split_once(";object=")
        .unwrap()
        .1
        .split_once('?')
        .unwrap()
        .0;
    fs::write(key, uri.replace(other, "another")).unwrap();
    assert_eq!(
        scene.fails().await,
        "there is no key 'another' in the token 'device'"
    );

    fs::write(key, uri.replace("token=device", "token=other")).unwrap();
    let missing =
        "the token 'other' is not there: is it plugged in, and is that what the URI calls it?";
    assert_eq!(scene.fails().await, missing);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_token_that_is_pulled_out_is_missed_and_is_used_again_when_it_is_back() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let device = scene.start("key_in_token");
    device.out.wait_for("Connected").await;
    fs::rename(scene.path("tokens"), scene.path("pulled-out")).unwrap();
    scene.world.core.drop_connections();
    device.err.wait_for("the token 'device' ").await;
    assert_eq!(device.out.count("Connected"), 1);
    fs::rename(scene.path("pulled-out"), scene.path("tokens")).unwrap();
    device.out.wait_for_count(2, "Connected").await;
    scene.world.queue(&["after"]);
    scene.world.succeeds("after").await;
    device.kill().await;
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_new_device_is_provisioned_for_a_key_in_its_token() {
    let scene = Scene::new().await;
    let world = &scene.world;
    crate::provision::prepare(world);
    scene.does("provision", "first").await;
    let identity = fs::read_to_string(scene.path("identity/current.pem")).unwrap();
    assert!(
        identity.contains("pkcs11:token=device;object="),
        "{identity}"
    );
    assert!(!identity.contains("PRIVATE KEY"), "{identity}");
    let connects = |event: &Event| matches!(event, Event::Connect { .. });
    let before = world.core.journal().count(connects);
    scene.does("provision", "second").await;
    assert_eq!(world.core.journal().count(connects), before + 1);
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_certificate_is_rotated_with_both_keys_in_the_token() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let (world, jobs) = (&scene.world, scene.world.core.jobs());
    let make_key = json!({"operation": "make-key"});
    jobs.create_job("key", make_key.clone()).unwrap();
    let device = scene.start("rotate_certificate");
    world.succeeds("key").await;
    let next = fs::read_to_string(scene.path("identity/next.key")).unwrap();
    assert!(next.starts_with("pkcs11:token=device;object="), "{next}");
    let certificate = world.certificate_for("key");
    let install =
        |certificate: &str| json!({"operation": "install-certificate", "certificate": certificate});

    // The old one is for another key of the same token.
    let old = fs::read_to_string(&world.files.cert).unwrap();
    jobs.create_job("wrong", install(&old)).unwrap();
    within(jobs.wait_for_status("wrong", Status::Failed)).await;
    let reason = &jobs.execution("wrong").unwrap().status_details["reason"];
    assert_eq!(reason, "the certificate is for another key");

    jobs.create_job("certificate", install(&certificate))
        .unwrap();
    world.succeeds("certificate").await;
    device
        .out
        .wait_for("The new certificate has proven good.")
        .await;
    device.kill().await;
    let current = fs::read_to_string(scene.path("identity/current.pem")).unwrap();
    assert!(
        current.contains(certificate.trim()) && current.contains(&next),
        "{current}"
    );
    assert!(!current.contains("PRIVATE KEY"), "{current}");
    assert!(!scene.path("identity/next.key").exists());

    // What it was delivered with is not needed any longer.
    fs::remove_file(&world.files.key).unwrap();
    jobs.create_job("after", make_key).unwrap();
    let device = scene.start("rotate_certificate");
    world.succeeds("after").await;
    device.kill().await;
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
