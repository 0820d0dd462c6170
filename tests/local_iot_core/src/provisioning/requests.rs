//! What a device asks for, and what it is answered.

use std::collections::BTreeMap;

use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use serde_json::{Value, json};

use super::{Mishap, Provisioning, ProvisioningStep, TOKEN_LASTS, Token};
use crate::{jobs::Moment, message::Message};

/// A request, by its topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    topic: &'a str,
    step: ProvisioningStep,
    template: &'a str,
}

/// What becomes of the connection that a request came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Ends,
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Rejection {
    status: u16,
    pub(super) code: String,
    message: String,
}

impl Rejection {
    pub(super) fn new(code: &str, message: &str) -> Rejection {
        Rejection {
            status: 400,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl<'a> Request<'a> {
    /// The request that a publish to this topic is.
    pub(crate) fn parse(topic: &'a str) -> Option<Request<'a>> {
        let of = |step, template| Request {
            topic,
            step,
            template,
        };
        if topic == "$aws/certificates/create-from-csr/json" {
            return Some(of(ProvisioningStep::CreateCertificate, ""));
        }
        let template = topic.strip_prefix("$aws/provisioning-templates/")?;
        let template = template.strip_suffix("/provision/json")?;
        let is_name = !template.is_empty() && !template.contains('/');
        is_name.then(|| of(ProvisioningStep::RegisterThing, template))
    }
}

impl Provisioning {
    /// Carries out a request, and answers the client that asked, if it has subscribed to the answer.
    pub(crate) fn answer(&self, client_id: &str, request: Request, payload: &[u8]) -> Fate {
        let mishap = self.next_mishap(request.step);
        if mishap == Some(Mishap::DropBefore) {
            return Fate::Ends;
        }
        let outcome = match &mishap {
            Some(Mishap::Reject(status, code)) => Err(Rejection {
                status: *status,
                ..Rejection::new(code, "the service was told to reject this")
            }),
            _ => self.carry_out(request, payload),
        };
        if mishap == Some(Mishap::DropAfter) {
            return Fate::Ends;
        }
        if mishap != Some(Mishap::LoseReply) {
            let (suffix, reply) = match outcome {
                Ok(reply) => ("accepted", reply),
                Err(Rejection {
                    status,
                    code,
                    message,
                }) => (
                    "rejected",
                    json!({"statusCode": status, "errorCode": code, "errorMessage": message}),
                ),
            };
            let topic = format!("{}/{suffix}", request.topic);
            let message = Message::new(topic, reply.to_string());
            self.sessions.reply_if_subscribed(client_id, &message);
        }
        Fate::Stays
    }

    fn next_mishap(&self, step: ProvisioningStep) -> Option<Mishap> {
        let mut state = self.lock();
        let index = state.mishaps.iter().position(|(of, _)| *of == step)?;
        state.mishaps.remove(index).map(|(_, mishap)| mishap)
    }

    pub(super) fn carry_out(&self, request: Request, payload: &[u8]) -> Result<Value, Rejection> {
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        if !payload.is_object() {
            return Err(Rejection::new("InvalidPayload", "Message cannot be parsed"));
        }
        let now = self.clock.now();
        self.lock().expire(now);
        match request.step {
            ProvisioningStep::CreateCertificate => self.create_certificate(&payload, now),
            ProvisioningStep::RegisterThing => self.register_thing(request.template, &payload),
        }
    }

    fn create_certificate(&self, payload: &Value, now: Moment) -> Result<Value, Rejection> {
        let wrong = || {
            let why = "Certificate signing request is invalid";
            Rejection::new("InvalidCertificateSigningRequest", why)
        };
        let pem = payload["certificateSigningRequest"].as_str();
        let csr = CertificateSigningRequestDer::from_pem_slice(pem.unwrap_or_default().as_bytes());
        let csr = csr.map_err(|_| wrong())?;
        let pem = self
            .pki
            .certificate_from_csr(&csr, 2020)
            .map_err(|_| wrong())?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let mut state = self.lock();
        let id = state.add(der.to_vec(), "PENDING_ACTIVATION", None);
        let token = format!("token-{}", unguessable(&der));
        state.tokens.insert(
            token.clone(),
            Token {
                certificate: der.to_vec(),
                good_until: now.plus_seconds(TOKEN_LASTS),
            },
        );
        Ok(json!({"certificateId": id, "certificatePem": pem, "certificateOwnershipToken": token}))
    }

    fn register_thing(&self, template: &str, payload: &Value) -> Result<Value, Rejection> {
        let mut state = self.lock();
        let Some(template) = state.templates.get(template) else {
            let why = format!("Template with name {template} does not exist.");
            return Err(Rejection::new("InvalidTemplate", &why));
        };
        let token = payload["certificateOwnershipToken"].as_str();
        let token = state.tokens.get(token.unwrap_or_default());
        let certificate = token.map(|token| token.certificate.clone());
        let known = certificate.and_then(|der| Some((state.certificates.get(&der)?, der)));
        let Some((certificate, der)) = known else {
            let why = "Certificate ownership token is invalid.";
            return Err(Rejection::new("InvalidCertificateOwnershipToken", why));
        };
        let parameters: BTreeMap<String, String> = match &payload["parameters"] {
            Value::Null => BTreeMap::new(),
            given => serde_json::from_value(given.clone())
                .map_err(|error| Rejection::new("InvalidParameters", &error.to_string()))?,
        };
        let plan = template.plan(parameters, &certificate.known.id)?;
        if let Some(certificate) = state.certificates.get_mut(&der) {
            certificate.known.status = plan.status;
            certificate.known.thing = Some(plan.thing_name.clone());
            certificate.policy = Some(plan.policy);
        }
        state.things.insert(plan.thing_name.clone());
        Ok(json!({"deviceConfiguration": {}, "thingName": plan.thing_name}))
    }
}

/// Something of a certificate that nobody guesses: the end of its signature.
fn unguessable(der: &[u8]) -> String {
    let end = &der[der.len().saturating_sub(16)..];
    end.iter().map(|byte| format!("{byte:02x}")).collect()
}
