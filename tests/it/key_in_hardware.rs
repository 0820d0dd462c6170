//! A key that is no file: where a TPM, a PKCS #11 token or the system's key store is plugged in. What is
//! here stands for such a device: it signs, and gives its key to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobs_mqtt5::{jobs, mqtt, tls};
use local_iot_core::Status;
use rcgen::{KeyPair, SigningKey as _};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::support::{THING, World, quick_work, within};

/// A P-256 key in a token.
#[derive(Debug, Clone)]
struct Token {
    key: Arc<KeyPair>, // on a device: a session with the token, and the name of a key in it
    signatures: Arc<AtomicUsize>,
}

/// What rustls asks at each handshake: which kinds of signatures the server takes, is offered.
impl SigningKey for Token {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let ours = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        ours.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Token {
    /// The signature in DER. (PKCS #11 gives the two numbers alone: they have to be wrapped.)
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        let signed = self.key.sign(message);
        signed.map_err(|error| Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

#[tokio::test]
async fn a_device_whose_key_is_in_a_token_does_its_jobs() {
    let world = World::with_jobs(&["a"]).await;
    let token = Token {
        key: Arc::new(KeyPair::generate().unwrap()),
        signatures: Arc::default(),
    };
    let csr = rcgen::CertificateParams::default().serialize_request(&*token.key);
    let pki = world.core.pki();
    let certificate = pki.certificate_from_csr(csr.unwrap().der(), 2020).unwrap();
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der(&pki.ca_pem())).unwrap();

    let chain = vec![der(&certificate)];
    let config = tls::client_config_with(chain, Arc::new(token.clone()), roots).unwrap();
    let mut options = mqtt::Options::new(world.core.endpoint(), "test-token", Arc::new(config));
    options.port = world.core.port();
    let (mqtt, _events) = mqtt::connect(options);
    let jobs = jobs::Client::new(&mqtt, THING);
    let mut agent = jobs_mqtt5::agent::Agent::new(&jobs);
    let stopper = agent.stopper();
    let device = tokio::spawn(async move { agent.run(quick_work()).await });
    world.succeeds("a").await;
    assert_eq!(token.signatures.load(Ordering::Relaxed), 1);
    stopper.stop();
    within(device).await.unwrap().unwrap();
    assert_eq!(
        world.core.jobs().execution("a").unwrap().status,
        Status::Succeeded
    );
}
