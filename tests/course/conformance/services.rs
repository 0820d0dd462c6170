//! The two services that are compared, behind one face.

use std::error::Error;

use local_iot_core::{LocalIotCore, NewJob, Options};
use serde_json::{Value, json};

use super::device::{Device, Identity};
use super::http;

/// Everything is allowed: what a policy forbids is no matter here, for ministack enforces none.
const POLICY: &str = r#"{"Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}}"#;

/// ministack, and a certificate for it.
pub struct Account {
    host: String,
    mqtt_port: u16,
    identity: Identity,
    certificate_id: String,
}

impl Account {
    pub async fn open(url: &str, mqtt_port: u16) -> Result<Account, Box<dyn Error>> {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let (_, ca) = http::request(host, "GET", "/_ministack/iot/ca.pem", "")
            .await
            .map_err(|error| format!("ministack does not answer at {url}: {error}"))?;
        let path = "/keys-and-certificate?setAsActive=true";
        let made = http::json(host, "POST", path, "").await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Account {
            host: host.to_owned(),
            mqtt_port,
            identity: Identity {
                ca,
                certificate: text(&made["certificatePem"]),
                key: text(&made["keyPair"]["PrivateKey"]),
            },
            certificate_id: text(&made["certificateId"]),
        })
    }

    /// Deletes the certificate.
    pub async fn close(self) -> Result<(), Box<dyn Error>> {
        let path = format!("/certificates/{}", self.certificate_id);
        let inactive = format!("{path}?newStatus=INACTIVE");
        http::request(&self.host, "PUT", &inactive, "").await?;
        match http::request(&self.host, "DELETE", &path, "").await? {
            (200..=299, _) => Ok(()),
            (status, body) => Err(format!("DELETE {path}: {status} {body}").into()),
        }
    }
}

/// One of the two, with one thing of its own.
pub enum Service<'a> {
    Core(Core),
    Ministack(Ministack<'a>),
}

pub struct Core {
    core: LocalIotCore,
}

impl Core {
    pub async fn start(thing_name: &str) -> Result<Core, Box<dyn Error>> {
        let options = Options {
            policy: POLICY.to_owned(),
            thing_name: thing_name.to_owned(),
            ..Options::default()
        };
        let core = LocalIotCore::start(options).await?;
        Ok(Core { core })
    }
}

pub struct Ministack<'a> {
    account: &'a Account,
    thing_name: String,
}

impl Ministack<'_> {
    pub async fn start<'a>(
        thing_name: &str,
        account: &'a Account,
    ) -> Result<Ministack<'a>, Box<dyn Error>> {
        // What an earlier run left behind.
        let things = format!("/things/{thing_name}");
        http::request(&account.host, "DELETE", &things, "").await?;
        http::json(&account.host, "POST", &things, "{}").await?;
        Ok(Ministack {
            account,
            thing_name: thing_name.to_owned(),
        })
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<bool, Box<dyn Error>> {
        let body = body.to_string();
        let (status, _) = http::request(&self.account.host, method, path, &body).await?;
        Ok(matches!(status, 200..=299))
    }
}

impl Service<'_> {
    pub fn thing_name(&self) -> &str {
        match self {
            Service::Core(one) => one.core.thing_name(),
            Service::Ministack(one) => &one.thing_name,
        }
    }

    pub async fn connect(&self) -> Result<Device, Box<dyn Error>> {
        let (port, identity) = match self {
            Service::Core(one) => {
                let device = one.core.pki().device()?;
                let identity = Identity {
                    ca: one.core.pki().ca_pem(),
                    certificate: device.cert_pem.clone(),
                    key: device.key_pem.clone(),
                };
                (one.core.port(), identity)
            }
            Service::Ministack(one) => (one.account.mqtt_port, one.account.identity.clone()),
        };
        Device::connect(self.thing_name(), port, &identity).await
    }

    /// Creates a job. Returns whether the service did it, as the others do.
    pub async fn create(
        &self,
        job_id: &str,
        document: &str,
        timeout_minutes: Option<u64>,
    ) -> Result<bool, Box<dyn Error>> {
        match self {
            Service::Core(one) => {
                let job = NewJob::new(job_id, document);
                let job = match timeout_minutes {
                    Some(minutes) => job.in_progress_timeout_minutes(minutes),
                    None => job,
                };
                Ok(one.core.jobs().create(job).is_ok())
            }
            Service::Ministack(one) => {
                let thing = &one.thing_name;
                let target = format!("arn:aws:iot:us-east-1:000000000000:thing/{thing}");
                let mut body = json!({"targets": [target], "document": document});
                if let Some(minutes) = timeout_minutes {
                    body["timeoutConfig"] = json!({"inProgressTimeoutInMinutes": minutes});
                }
                if document.contains("${aws:iot:s3-presigned-url") {
                    let role = "arn:aws:iam::000000000000:role/reader";
                    body["presignedUrlConfig"] = json!({"roleArn": role});
                }
                let path = format!("/jobs/{job_id}");
                one.ask("PUT", &path, &body).await
            }
        }
    }

    pub async fn cancel(&self, job_id: &str, force: bool) -> Result<bool, Box<dyn Error>> {
        match self {
            Service::Core(one) if force => Ok(one.core.jobs().cancel_job_by_force(job_id).is_ok()),
            Service::Core(one) => Ok(one.core.jobs().cancel_job(job_id).is_ok()),
            Service::Ministack(one) => {
                let thing = &one.thing_name;
                let path = format!("/things/{thing}/jobs/{job_id}/cancel?force={force}");
                one.ask("PUT", &path, &json!({})).await
            }
        }
    }

    /// Leaves nothing of the thing behind. Its jobs are deleted before.
    pub async fn close(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Service::Core(_) => Ok(()),
            Service::Ministack(one) => {
                let path = format!("/things/{}", one.thing_name);
                match one.ask("DELETE", &path, &json!({})).await? {
                    true => Ok(()),
                    false => Err(format!("{} can't be deleted", one.thing_name).into()),
                }
            }
        }
    }

    pub async fn delete(&self, job_id: &str) -> Result<bool, Box<dyn Error>> {
        match self {
            Service::Core(one) => Ok(one.core.jobs().delete_job(job_id).is_ok()),
            Service::Ministack(one) => {
                let path = format!("/jobs/{job_id}?force=true");
                one.ask("DELETE", &path, &json!({})).await
            }
        }
    }
}
