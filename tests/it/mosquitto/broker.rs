//! mosquitto as a process: over TLS for devices with a certificate, and plainly for whoever else is on
//! this machine.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use tokio::process::Command;

use crate::support::{Captured, Program, World, eventually};

/// The broker. It ends with this.
pub struct Broker {
    process: Option<Program>,
    configuration: PathBuf,
    /// The port for devices.
    pub port: u16,
    /// The port without TLS.
    pub plain_port: u16,
}

impl Broker {
    pub async fn start(world: &World) -> Self {
        let folder = world.folder.path();
        let server = world.core.pki().another_server().unwrap();
        fs::write(folder.join("server.pem"), server.cert_pem).unwrap();
        fs::write(folder.join("server.key"), server.key_pem).unwrap();
        let [port, plain_port] = free_ports();
        let (ca, folder) = (world.files.ca.display(), folder.display());
        let text = format!(
            "user root\nallow_anonymous true\nlog_dest stderr\nlog_type all\n\
             persistence true\npersistence_location {folder}/\n\
             autosave_on_changes true\nautosave_interval 1\n\
             listener {plain_port} 127.0.0.1\n\
             listener {port} localhost\ncafile {ca}\ncertfile {folder}/server.pem\n\
             keyfile {folder}/server.key\nrequire_certificate true\nuse_identity_as_username true\n"
        );
        let configuration = world.folder.path().join("mosquitto.conf");
        fs::write(&configuration, text).unwrap();
        let mut broker = Self {
            process: None,
            configuration,
            port,
            plain_port,
        };
        broker.start_again().await;
        broker
    }

    /// Starts it, on the same ports and with what it finds on disk.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(program());
        command.arg("-c").arg(&self.configuration);
        let process = self.process.insert(Program::start_command(command));
        process.err.wait_for(" running").await;
    }

    /// Waits until this is in what it keeps on disk.
    pub async fn has_on_disk(&self, text: &str) {
        let database = self.configuration.with_file_name("mosquitto.db");
        let is_there = || {
            let bytes = fs::read(&database).unwrap_or_default();
            bytes.windows(text.len()).any(|at| at == text.as_bytes())
        };
        eventually(is_there).await;
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.process.take().unwrap().kill().await;
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> &Captured {
        &self.process.as_ref().unwrap().err
    }

    /// Stops its process in whatever it does.
    pub async fn freeze(&self) {
        self.process.as_ref().unwrap().freeze().await;
    }

    pub async fn thaw(&self) {
        self.process.as_ref().unwrap().signal("CONT").await;
    }
}

/// Debian has it in a folder that is not on everybody's PATH.
fn program() -> &'static str {
    let debians = "/usr/sbin/mosquitto";
    match fs::exists(debians) {
        Ok(true) => debians,
        _ => "mosquitto",
    }
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|one| one.local_addr().unwrap().port())
}
