//! A job in hand, without the sample around it.

use std::time::Duration;

use jobs_mqtt5::jobs::{Client, Job, Options, StatusDetails};
use jobs_mqtt5::mqtt;
use local_iot_core::{Event, Operation};

use super::{THING, World, within};

/// A device that has started a job: it ends when this is dropped.
pub struct Device {
    pub jobs: Client,
    pub mqtt: mqtt::Client,
}

impl World {
    /// A device that has started the next job.
    pub async fn in_hand(&self) -> (Job, Device) {
        self.in_hand_as("test-device", |_| {}).await
    }

    /// The same, under a client id of its own and with other options. Progress is reported at most
    /// every 50 ms if they do not say otherwise.
    pub async fn in_hand_as(
        &self,
        client_id: &str,
        set: impl FnOnce(&mut Options),
    ) -> (Job, Device) {
        let mut settings = self.settings();
        settings.mqtt.client_id = client_id.to_owned();
        settings.jobs.progress_interval = Duration::from_millis(50);
        set(&mut settings.jobs);
        let (mqtt, _) = mqtt::connect(settings.mqtt);
        let jobs = Client::with(&mqtt, THING, settings.jobs);
        let job = within(jobs.start_next()).await.unwrap().unwrap();
        (job, Device { jobs, mqtt })
    }

    /// How many requests of this operation the service got.
    pub fn requests(&self, operation: Operation) -> usize {
        let fits = |event: &Event| matches!(event, Event::Request { operation: of, .. } if *of == operation);
        self.core.journal().count(fits)
    }

    /// The updates that the service got, in order.
    pub fn updates(&self) -> Vec<serde_json::Value> {
        let events = self.core.journal().events();
        let payloads = events.iter().filter_map(|event| match event {
            Event::Publish { topic, payload, .. } if topic.ends_with("/update") => {
                serde_json::from_slice(payload).ok()
            }
            _ => None,
        });
        payloads.collect()
    }

    /// How often a fault has struck.
    pub fn struck(&self) -> usize {
        let is_fault = |event: &Event| matches!(event, Event::Fault(_));
        self.core.journal().count(is_fault)
    }
}

/// One status detail.
pub fn detail(name: &str, value: &str) -> StatusDetails {
    StatusDetails::of([(name, value)]).unwrap()
}
