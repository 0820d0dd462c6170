//! Commands, which a device obeys one after the other, and not at once.

use std::time::Duration;

use jobs_mqtt5::mqtt;
use local_iot_core::Journal;
use tokio::time::sleep;

use crate::setting::THING;

/// How long it takes to obey one.
pub const OBEYS_IN: Duration = Duration::from_secs(2);
/// More than a subscriber's inbox holds.
pub const MANY: u32 = 100;

/// Notes each command that is obeyed, and how many were lost because this is slow. With `loses_some`, every
/// second one is not.
pub async fn obey(mqtt: &mqtt::Client, journal: &Journal, loses_some: bool) {
    let mut commands = mqtt.subscribe([format!("cmd/{THING}/+")]);
    while let Some(command) = commands.next().await {
        let number = command.topic.rsplit('/').next().unwrap_or_default();
        if !loses_some || number.ends_with(['1', '3', '5', '7', '9']) {
            journal.note(format!("device: obeys {number}"));
        }
        sleep(OBEYS_IN).await;
        match commands.missed() {
            0 => {}
            missed => journal.note(format!("device: lost {missed}")),
        }
    }
}
