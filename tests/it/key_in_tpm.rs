//! The worked example `key_in_token` with a TPM 2.0: tpm2-pkcs11 in front of swtpm, a TPM in software. On
//! Debian these are the packages libtpm2-pkcs11-1, swtpm, libtss2-tcti-swtpm0 and softhsm2 (for its tool):
//! `cargo test --test it -- --ignored key_in_tpm`.
#![cfg(unix)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{Program, World, example_path, within};

const MODULE: &str = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so";

/// A TPM, and the port that it is at; the next one is its control port.
fn tpm(folder: &Path) -> (Child, u16) {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = port.local_addr().unwrap().port();
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
    command.arg("--tpmstate");
    command.arg(format!("dir={}", folder.display()));
    for (kind, port) in [("--server", port), ("--ctrl", port + 1)] {
        command.arg(kind);
        command.arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"));
    }
    (command.kill_on_drop(true).spawn().unwrap(), port)
}

#[tokio::test]
#[ignore = "needs swtpm and tpm2-pkcs11"]
async fn a_device_does_its_jobs_with_a_key_that_was_made_in_a_tpm() {
    let world = World::new().await;
    let folder = world.folder.path();
    for name in ["tpm", "store"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("pin"), "9876\n").unwrap();
    let command = |program: &Path, port: u16| {
        let mut command = Command::new(program);
        let store = folder.join("store");
        command.env(
            "TPM2_PKCS11_TCTI",
            format!("swtpm:host=127.0.0.1,port={port}"),
        );
        command.env("TPM2_PKCS11_STORE", store).kill_on_drop(true);
        command
    };
    // A TPM that is asked before it is up ends, and does not say so.
    let (_tpm, port) = within(async {
        loop {
            let (tpm, port) = tpm(&folder.join("tpm"));
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut init = command("softhsm2-util".as_ref(), port);
            init.args([
                "--module",
                MODULE,
                "--init-token",
                "--free",
                "--label",
                "device",
            ]);
            init.args(["--so-pin", "123456", "--pin", "9876"]);
            let done = timeout(Duration::from_secs(5), init.output()).await;
            if matches!(done, Ok(Ok(done)) if done.status.success()) {
                break (tpm, port);
            }
        }
    })
    .await;
    let pin = folder.join("pin");
    let token = format!(
        "pkcs11:token=device?module-path={MODULE}&pin-source={}",
        pin.display()
    );
    for own in [&world.files.cert, &world.files.key] {
        fs::remove_file(own).unwrap();
    }
    let start = || {
        let mut command = command(&example_path("key_in_token"), port);
        command.args(world.flags(&[])).env("DEVICE_TOKEN", &token);
        Program::start_command(command)
    };
    let made = start().end().await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    world.certify(&made.out);
    world.queue(&["a"]);
    let device = start();
    world.succeeds("a").await;
    device.kill().await;
}
