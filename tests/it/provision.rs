//! The worked example `provision`: a new device's first day, how it can be cut off, and what is refused.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::mqtt;
use jobs_mqtt5::output::Output;
use local_iot_core::{Event, Mishap, Provisioning, ProvisioningStep, fill_policy};
use tokio::process::Command;

use crate::support::{LIMIT, Program, THING, World, example_path, faulty_disk_for, within};

mod cut_off;
mod refused;

#[path = "../examples/provision.rs"]
#[allow(dead_code)] // its `main`
mod example;

use example::Device;
use example::durable::{Disk, Folder, RealDisk};

faulty_disk_for!(crate::provision::example::durable::Disk);

const TEMPLATE: &str = "jobs-mqtt5-first-day";
const STEPS: [ProvisioningStep; 2] = [
    ProvisioningStep::CreateCertificate,
    ProvisioningStep::RegisterThing,
];

/// The policy that lets each device be itself: what lesson 0 makes of policy.json.
fn device_policy() -> String {
    let variable = "${iot:Connection.Thing.ThingName}";
    let policy = include_str!("../../policy.json").replace("<thingname>", variable);
    policy.replace("test-*", variable)
}

/// The service with the template and a claim, and a device that has the claim and nothing else.
struct Scene {
    world: World,
}

/// Sets up the template, and puts a claim in the place of the certificate that the world's device has.
pub fn prepare(world: &World) {
    let cloud = world.core.provisioning();
    let template = include_str!("../course/provisioning/template.json");
    let policies = [(TEMPLATE, &*device_policy())];
    cloud
        .create_template(TEMPLATE, template, &policies)
        .unwrap();
    let policy = include_str!("../course/provisioning/claim-policy.json");
    let policy = fill_policy(&policy.replace("<template>", TEMPLATE), THING);
    let claim = cloud.create_claim(&policy).unwrap();
    let folder = world.folder.path();
    world.core.pki().write_identity(&claim, folder).unwrap();
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        prepare(&world);
        Self { world }
    }

    fn cloud(&self) -> &Provisioning {
        self.world.core.provisioning()
    }

    fn flags(&self, more: &[&str]) -> Flags {
        let flags = self.world.flags(more);
        Flags::from_arguments(["device".to_owned()].into_iter().chain(flags)).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.world.folder.path().join("identity")
    }

    fn device(&self) -> Device {
        self.device_on(&self.folder(), Arc::new(RealDisk))
    }

    /// A device with short waits, and its identity on this disk.
    fn device_on(&self, folder: &Path, disk: Arc<dyn Disk>) -> Device {
        Device {
            flags: self.flags(&[]),
            output: Output::to(std::io::sink(), std::io::sink()).unwrap(),
            template: TEMPLATE.to_owned(),
            identity: open(folder, disk),
            answer_timeout: Duration::from_millis(300),
            patience: Duration::from_secs(5),
        }
    }

    /// Starts an example as a program, with the device's folder.
    fn start(&self, example: &str, more: &[&str]) -> Program {
        let mut command = Command::new(example_path(example));
        command.args(self.world.flags(more));
        command.env("IDENTITY_FOLDER", self.folder());
        Program::start_command(command)
    }

    /// Starts the device, which has an identity afterwards.
    async fn succeeds(&self) {
        let mqtt = within(self.device().connect_as_itself()).await.unwrap();
        mqtt.disconnect();
        self.is_whole(&self.folder());
    }

    /// Starts the device, which ends with these words.
    async fn fails(&self) -> String {
        let failed = within(self.device().connect_as_itself()).await;
        failed.err().expect("it has an identity").to_string()
    }

    /// There is one thing; and of the device's certificates that are good, one, which it has.
    fn is_whole(&self, folder: &Path) {
        assert_eq!(self.cloud().things(), [THING]);
        assert_eq!(self.active(), 1, "{:?}", self.cloud().certificates());
        let files = fs::read_dir(folder).unwrap();
        let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name()).collect();
        let expected = ["current.pem", "lock"].map(Into::into);
        assert_eq!(files, BTreeSet::from(expected));
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.join("current.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// How many certificates the thing has that are good.
    fn active(&self) -> usize {
        let all = self.cloud().certificates();
        let is_good = |one: &&_| is_active_of_the_thing(one);
        all.iter().filter(is_good).count()
    }

    fn connects_as(&self, client: &str) -> usize {
        let connected = |event: &Event| matches!(event, Event::Connect { client_id, .. } if client_id == client);
        self.world.core.journal().count(connected)
    }
}

/// Opens a folder. Another test of this process may be starting a program just now, which has a lock that was
/// let go for a moment longer.
fn open(path: &Path, disk: Arc<dyn Disk>) -> Folder {
    let began = std::time::Instant::now();
    loop {
        match Folder::open(path, Arc::clone(&disk)) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && began.elapsed() < LIMIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn is_active_of_the_thing(certificate: &local_iot_core::RegisteredCertificate) -> bool {
    certificate.status == "ACTIVE" && certificate.thing.as_deref() == Some(THING)
}
