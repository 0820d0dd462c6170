//! AWS's fleet provisioning API, as far as a device needs it that makes its own key: a request, and its
//! answer (Developer Guide, page "Device provisioning MQTT API").

use std::error::Error;
use std::time::Duration;

use jobs_mqtt5::mqtt::{self, Backoff, Publish, PublishError, Subscription};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const CREATE: &str = "$aws/certificates/create-from-csr/json";

/// The API, on a connection.
pub struct FleetProvisioning {
    mqtt: mqtt::Client,
    replies: Subscription,
    /// The topic of RegisterThing, which has the template's name in it.
    register: String,
    answer_timeout: Duration,
}

/// What CreateCertificateFromCsr gives. The certificate is PENDING_ACTIVATION; the token, which RegisterThing
/// wants, is good for an hour.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    pub certificate_pem: String,
    pub certificate_ownership_token: String,
}

/// What RegisterThing gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    pub thing_name: String,
}

/// Why a request was not done, in the service's words and in ours.
#[derive(Debug, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("AWS rejected it: {error_code} ({status_code}), {error_message}. {}", self.advice())]
pub struct Rejection {
    status_code: u16,
    error_code: String,
    error_message: String,
}

/// What kept a request from being done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0} {1}")]
    Rejected(&'static str, Rejection),
    #[error("{0} was answered with what is no answer: {1}")]
    Unreadable(&'static str, serde_json::Error),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Failure {
    /// Whether the ownership token is not good any more, or never was.
    pub fn is_token_refused(&self) -> bool {
        matches!(self, Self::Rejected(_, rejection)
            if rejection.error_code == "InvalidCertificateOwnershipToken")
    }
}

impl Rejection {
    /// Whether the same request may be done later.
    fn may_pass(&self) -> bool {
        let is_throttled = self.error_code.contains("Throttl");
        is_throttled || self.status_code == 429 || self.status_code >= 500
    }

    fn advice(&self) -> &'static str {
        match self.error_code.as_str() {
            _ if self.may_pass() => "That may pass",
            "AccessDenied" => {
                "The template's pre-provisioning hook does not know this device, or its role may not \
                 do what it says"
            }
            "InvalidCertificateOwnershipToken" => "The hour that it is good for is over",
            "InvalidCertificateSigningRequest" => "Is the key one that AWS takes: P-256, RSA 2048?",
            "InvalidParameters" => "The template wants another parameter than SerialNumber",
            "InvalidPayload" => "That is a mistake of this program",
            "InvalidResult" | "InvocationError" => {
                "The template's pre-provisioning hook failed: see its log"
            }
            "InvalidTemplate" => "Is there such a template in this Region, and is it enabled?",
            "ProvisioningFailed" => {
                "Does all exist that the template names (policy, group, thing type), and is the serial \
                 number a thing's name?"
            }
            _ => "Look for this code in AWS's guide",
        }
    }
}

impl FleetProvisioning {
    /// Subscribes to the answers first: without that, none comes.
    pub async fn new(
        mqtt: &mqtt::Client,
        template: &str,
        answer_timeout: Duration,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let register = format!("$aws/provisioning-templates/{template}/provision/json");
        let answers = |topic| ["accepted", "rejected"].map(|end| format!("{topic}/{end}"));
        let replies = mqtt.subscribe([answers(CREATE), answers(&register)].concat());
        replies.granted().wait().await?;
        Ok(Self {
            mqtt: mqtt.clone(),
            replies,
            register,
            answer_timeout,
        })
    }

    /// CreateCertificateFromCsr.
    pub async fn create_certificate(&mut self, csr: &str) -> Result<Created, Failure> {
        let request = json!({ "certificateSigningRequest": csr });
        self.ask("CreateCertificateFromCsr", CREATE.to_owned(), request)
            .await
    }

    /// RegisterThing.
    pub async fn register(&mut self, token: &str, serial: &str) -> Result<Registered, Failure> {
        let parameters = json!({ "SerialNumber": serial });
        let request = json!({"certificateOwnershipToken": token, "parameters": parameters});
        self.ask("RegisterThing", self.register.clone(), request)
            .await
    }

    /// Sends a request until it is answered.
    async fn ask<T: for<'a> Deserialize<'a>>(
        &mut self,
        name: &'static str,
        topic: String,
        request: Value,
    ) -> Result<T, Failure> {
        let mut backoff = Backoff::new(self.answer_timeout / 10, self.answer_timeout * 6);
        loop {
            let publish = Publish::new(&topic, request.to_string());
            match self.mqtt.publish(publish).await {
                Err(PublishError::SessionLost) => {} // it may have arrived
                published => published?,
            }
            let answer = timeout(self.answer_timeout, async {
                loop {
                    let message = self.replies.next().await.ok_or(PublishError::Ended)?;
                    // Another one answers what was asked before, and is late.
                    if let Some(end) = message.topic.strip_prefix(&topic) {
                        return Ok::<_, PublishError>((end == "/accepted", message.payload));
                    }
                }
            });
            let unreadable = |error| Failure::Unreadable(name, error);
            match answer.await {
                Ok(answer) => {
                    let (is_accepted, payload) = answer?;
                    if is_accepted {
                        return serde_json::from_slice(&payload).map_err(unreadable);
                    }
                    let rejection: Rejection =
                        serde_json::from_slice(&payload).map_err(unreadable)?;
                    if !rejection.may_pass() {
                        return Err(Failure::Rejected(name, rejection));
                    }
                    eprintln!("{name}: {rejection}. Asking again");
                }
                Err(_) => eprintln!("{name} was not answered. Asking again"),
            }
            sleep(backoff.next_wait()).await;
        }
    }
}
