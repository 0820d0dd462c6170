//! Provisioning by claim: a device that has only a claim certificate gets one of its own, and its thing
//! (AWS IoT Developer Guide, page fleet-provision-api).
//!
//! What is here is strict: each certificate has the permissions of its own policy and no others; a claim
//! may do what its policy says; an ownership token is good for an hour; a template wants its parameters.

mod requests;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    jobs::{Clock, Moment},
    pki::{Identity, Pki},
    policy::Policy,
    session::Sessions,
};
use template::Template;

pub(crate) use requests::{Fate, Request};

/// How long an ownership token is good for, in seconds.
const TOKEN_LASTS: u64 = 3600;

/// What a device can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisioningStep {
    /// CreateCertificateFromCsr.
    CreateCertificate,
    /// RegisterThing.
    RegisterThing,
}

/// What is to go wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// It is rejected with this status and code.
    Reject(u16, String),
    /// It is done, and its reply is lost.
    LoseReply,
    /// The connection ends, and nothing is done.
    DropBefore,
    /// It is done, and the connection ends before the reply.
    DropAfter,
}

/// A certificate as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredCertificate {
    /// Its ID.
    pub id: String,
    /// PENDING_ACTIVATION, ACTIVE or INACTIVE.
    pub status: String,
    /// The thing that it is attached to.
    pub thing: Option<String>,
}

/// The registry and its templates. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Provisioning {
    state: Arc<Mutex<State>>,
    pki: Pki,
    clock: Clock,
    sessions: Arc<Sessions>,
}

#[derive(Debug, Default)]
struct State {
    templates: BTreeMap<String, Template>,
    certificates: BTreeMap<Vec<u8>, Certificate>,
    tokens: BTreeMap<String, Token>,
    things: BTreeSet<String>,
    mishaps: VecDeque<(ProvisioningStep, Mishap)>,
    last_number: u64,
}

#[derive(Debug)]
struct Certificate {
    known: RegisteredCertificate,
    /// What its holder may do.
    policy: Option<Policy>,
}

#[derive(Debug)]
struct Token {
    /// The certificate that it stands for, in DER.
    certificate: Vec<u8>,
    good_until: Moment,
}

/// What a certificate lets a client do.
pub(crate) enum Permission {
    /// It is none of those that are registered here: the policy that is in force holds.
    General,
    /// Nothing: it is not active.
    None,
    /// What its own policy says.
    Own(Policy),
}

impl Provisioning {
    pub(crate) fn new(pki: Pki, clock: Clock, sessions: Arc<Sessions>) -> Provisioning {
        Provisioning {
            state: Arc::default(),
            pki,
            clock,
            sessions,
        }
    }

    /// Creates a template, with the documents of the policies that it names.
    ///
    /// # Errors
    /// If the body is no template, or it names a policy that is not among these.
    pub fn create_template(
        &self,
        name: &str,
        body: &str,
        policies: &[(&str, &str)],
    ) -> io::Result<()> {
        let template = Template::read(body, policies)?;
        self.lock().templates.insert(name.to_owned(), template);
        Ok(())
    }

    /// Makes a claim certificate, whose holder may do what this policy says.
    ///
    /// # Errors
    /// If the policy can't be read.
    pub fn create_claim(&self, policy: &str) -> io::Result<Identity> {
        let policy = Policy::parse(policy)?;
        let claim = self.pki.device()?;
        let der = CertificateDer::from_pem_slice(claim.cert_pem.as_bytes());
        let der = der.map_err(io::Error::other)?.to_vec();
        self.lock().add(der, "ACTIVE", Some(policy));
        Ok(claim)
    }

    /// All certificates, claims included, in the order in which they were made.
    pub fn certificates(&self) -> Vec<RegisteredCertificate> {
        let state = self.lock();
        let mut all: Vec<_> = state
            .certificates
            .values()
            .map(|one| one.known.clone())
            .collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// The things that were registered.
    pub fn things(&self) -> Vec<String> {
        self.lock().things.iter().cloned().collect()
    }

    /// Deactivates a certificate: its holder is no longer let in.
    pub fn deactivate(&self, id: &str) {
        for certificate in self.lock().certificates.values_mut() {
            if certificate.known.id == id {
                certificate.known.status = "INACTIVE".to_owned();
            }
        }
    }

    /// Has the next request of this kind go wrong. Those for one kind go wrong in this order.
    pub fn goes_wrong(&self, step: ProvisioningStep, mishap: Mishap) {
        self.lock().mishaps.push_back((step, mishap));
    }

    /// How many requests are still to go wrong.
    pub fn mishaps_left(&self) -> usize {
        self.lock().mishaps.len()
    }

    /// What a client may do that has shown this certificate.
    pub(crate) fn permission(&self, certificate: &[u8]) -> Permission {
        let state = self.lock();
        match state.certificates.get(certificate) {
            None => Permission::General,
            Some(Certificate { known, policy }) => match policy {
                Some(policy) if known.status == "ACTIVE" => Permission::Own(policy.clone()),
                _ => Permission::None,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Registers a certificate. Returns its ID.
    fn add(&mut self, der: Vec<u8>, status: &str, policy: Option<Policy>) -> String {
        self.last_number += 1;
        let known = RegisteredCertificate {
            id: format!("{:064x}", self.last_number),
            status: status.to_owned(),
            thing: None,
        };
        let id = known.id.clone();
        self.certificates.insert(der, Certificate { known, policy });
        id
    }

    /// Forgets the tokens that are no longer good, and the certificates that nobody has registered by then.
    fn expire(&mut self, now: Moment) {
        let State {
            tokens,
            certificates,
            ..
        } = self;
        tokens.retain(|_, token| {
            let is_good = now < token.good_until;
            if !is_good {
                let is_pending = |one: &Certificate| one.known.status == "PENDING_ACTIVATION";
                if certificates.get(&token.certificate).is_some_and(is_pending) {
                    certificates.remove(&token.certificate);
                }
            }
            is_good
        });
    }
}
