//! A running job, without the sample around it.

use std::time::Duration;

use jobs_mqtt5::agent::{Agent, Job};
use jobs_mqtt5::jobs::{Client, StatusDetails};
use jobs_mqtt5::mqtt;
use jobs_mqtt5::sample::Settings;
use local_iot_core::{Event, Operation};

use super::{World, within};

/// A device that does jobs: it ends when this is dropped.
pub struct Device {
    pub agent: Agent,
    pub jobs: Client,
    pub mqtt: mqtt::Client,
}

impl Device {
    /// The next job.
    pub async fn next(&mut self) -> Job {
        within(self.agent.next()).await.unwrap().unwrap()
    }
}

impl World {
    /// A device that has started the next job.
    pub async fn running_job(&self) -> (Job, Device) {
        self.running_job_as("test-device", |_| {}).await
    }

    /// The same, under a client ID of its own and with other settings. Progress is reported at most
    /// every 50 ms if they do not say otherwise.
    pub async fn running_job_as(
        &self,
        client_id: &str,
        set: impl FnOnce(&mut Settings),
    ) -> (Job, Device) {
        let mut device = self.device(|settings| {
            settings.mqtt.client_id = client_id.to_owned();
            settings.agent.progress_interval = Duration::from_millis(50);
            set(settings);
        });
        (device.next().await, device)
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
    StatusDetails::from_pairs([(name, value)]).unwrap()
}
