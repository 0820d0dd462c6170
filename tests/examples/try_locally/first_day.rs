//! `--first-day FOLDER`: a service that waits for a new device, for lesson 0 of the course
//! (tests/course/0-provisioning.md). It stays up until it is ended.

use std::fs;
use std::path::Path;

use local_iot_core::{LocalIotCore, Options, Status, fill_policy};
use serde_json::json;

use crate::Outcome;
use crate::terminal::say;

/// The serial number of the new device, which becomes the name of its thing.
const SERIAL: &str = "my-new-thing";
/// The template, and the policy that it gives a device.
const NAME: &str = "jobs-mqtt5-first-day";

/// Writes the claim into the folder, and waits for a device that has it.
pub async fn first_day(folder: &Path) -> Outcome {
    let options = Options {
        thing_name: SERIAL.to_owned(),
        ..Options::default()
    };
    let core = LocalIotCore::start(options).await?;
    let template = include_str!("../../course/provisioning/template.json");
    let variable = "${iot:Connection.Thing.ThingName}";
    let policy = include_str!("../../../policy.json").replace("<thingname>", variable);
    let policy = policy.replace("test-*", variable);
    let cloud = core.provisioning();
    cloud.create_template(NAME, template, &[(NAME, &policy)])?;
    let policy = include_str!("../../course/provisioning/claim-policy.json");
    let policy = fill_policy(&policy.replace("<template>", NAME), SERIAL);
    let claim = cloud.create_claim(&policy)?;
    core.jobs()
        .create_job("first-job", json!({"operation": "greet"}))?;

    let unwritable = |error| format!("{} can't be written to: {error}.", folder.display());
    fs::create_dir_all(folder).map_err(unwritable)?;
    let files = core
        .pki()
        .write_identity(&claim, folder)
        .map_err(unwritable)?;
    fs::rename(files.cert, folder.join("claim.pem.crt"))?;
    fs::rename(files.key, folder.join("claim.pem.key"))?;
    let (endpoint, port) = (core.endpoint(), core.port());
    // Last: whoever waits for it finds the others.
    let text = format!("ENDPOINT={endpoint}:{port}\nTHING={SERIAL}\n");
    fs::write(folder.join("device.env"), text)?;
    let _ = say(&format!("A new device is waited for on port {port}."));

    core.jobs()
        .wait_for_status("first-job", Status::Succeeded)
        .await;
    for certificate in cloud.certificates() {
        let of = certificate.thing.as_deref().unwrap_or("the claim");
        let _ = say(&format!("certificate of {of}: {}", certificate.status));
    }
    let _ = say("first-job is SUCCEEDED.");
    std::future::pending().await
}
