//! Certificates and keys: a certificate authority, the server's certificates and the devices'.

mod csr;
mod keys;
mod params;
mod version_1;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use keys::KeyForm;
pub use version_1::as_version_1;

use crate::options::ServerCertificate;
use csr::Requested;
use params::{authority_params, device_params, server_params};

/// A certificate authority, and what it issues. Clones are handles to the same authority.
#[derive(Debug, Clone)]
pub struct Pki {
    ca: Arc<Authority>,
}

/// A device's certificate and private key, each as the text of a PEM file.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, followed by the intermediate ones if there are any.
    pub cert_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// Where [`Pki::write_to`] put the files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The CA's certificate.
    pub ca: PathBuf,
    /// The device's certificate.
    pub cert: PathBuf,
    /// The device's private key.
    pub key: PathBuf,
}

/// A certificate chain, the server's own first, and its key.
pub(crate) struct ServerChain {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pki {
    pub(crate) fn new() -> io::Result<Pki> {
        Pki::named("Local IoT Core Root CA")
    }

    fn named(ca_name: &str) -> io::Result<Pki> {
        let ca = Arc::new(Authority::root(ca_name)?);
        Ok(Pki { ca })
    }

    /// The CA's certificate: what a client has to trust.
    pub fn ca_pem(&self) -> String {
        self.ca.pem.clone()
    }

    pub(crate) fn ca_der(&self) -> CertificateDer<'static> {
        self.ca.der.clone()
    }

    /// A device that the service knows, with a P-256 key in PKCS#8.
    ///
    /// # Errors
    /// If the system has no randomness to give; so do the other functions that make keys.
    pub fn device(&self) -> io::Result<Identity> {
        self.device_with(KeyForm::Pkcs8P256)
    }

    /// A device that the service knows, with a key of the given form.
    pub fn device_with(&self, form: KeyForm) -> io::Result<Identity> {
        let (key, key_pem) = form.generate()?;
        let cert_pem = self.ca.issue_to_device(&key)?.pem();
        Ok(Identity { cert_pem, key_pem })
    }

    /// A device whose certificate was issued by an intermediate authority. Its `cert_pem`
    /// holds both certificates.
    pub fn device_with_chain(&self) -> io::Result<Identity> {
        let intermediate = self.ca.intermediate("Local IoT Core Device CA", 0)?;
        let (key, key_pem) = KeyForm::Pkcs8P256.generate()?;
        let device = intermediate.issue_to_device(&key)?.pem();
        let cert_pem = device + &intermediate.pem;
        Ok(Identity { cert_pem, key_pem })
    }

    /// A device of another CA: the service refuses it in the TLS handshake.
    pub fn stranger(&self) -> io::Result<Identity> {
        Pki::unknown()?.device()
    }

    /// A certificate for the key of this signing request (DER), as CreateCertificateFromCsr makes it. It is
    /// valid from the first of January of that year.
    ///
    /// # Errors
    /// If it is no signing request, or not signed with the key that is in it.
    pub fn certificate_from_csr(&self, csr: &[u8], valid_from: i32) -> io::Result<String> {
        let requested = Requested::read(csr);
        let requested =
            requested.ok_or_else(|| io::Error::other("the request has no P-256 key"))?;
        let mut params = device_params();
        params.not_before = date_time_ymd(valid_from, 1, 1);
        let issued = params.signed_by(&requested, &self.ca.issuer);
        Ok(issued.map_err(io::Error::other)?.pem())
    }

    /// A CA that the service does not know.
    ///
    /// # Errors
    /// As those above.
    pub fn unknown() -> io::Result<Pki> {
        Pki::named("Unknown Device CA")
    }

    /// Writes the CA's certificate and a new device's certificate and key into `directory`,
    /// under the names that AWS gives such files.
    pub fn write_to(&self, directory: &Path) -> io::Result<Files> {
        self.write_identity(&self.device()?, directory)
    }

    /// As [`write_to`](Self::write_to), for a device that is already there.
    pub fn write_identity(&self, device: &Identity, directory: &Path) -> io::Result<Files> {
        let files = Files {
            ca: directory.join("ca.pem"),
            cert: directory.join("device.pem.crt"),
            key: directory.join("private.pem.key"),
        };
        fs::write(&files.ca, &self.ca.pem)?;
        fs::write(&files.cert, &device.cert_pem)?;
        write_private(&files.key, &device.key_pem)?;
        Ok(files)
    }

    /// The certificate and key of another server on this machine, `localhost`, for the same devices.
    pub fn another_server(&self) -> io::Result<Identity> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = server_params(ServerCertificate::Good)?;
        let server = params.signed_by(&key, &self.ca.issuer);
        Ok(Identity {
            cert_pem: server.map_err(io::Error::other)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    pub(crate) fn server(&self, kind: ServerCertificate) -> io::Result<ServerChain> {
        let mut params = server_params(kind)?;
        match kind {
            ServerCertificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            ServerCertificate::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let mut issuers = Vec::new();
        match kind {
            ServerCertificate::UnknownCa => issuers.push(Authority::root("Unknown CA")?),
            ServerCertificate::LongChain => {
                for level in 1..=4 {
                    let name = format!("Local IoT Core Server CA {level}");
                    let above = issuers.last().unwrap_or(&self.ca);
                    issuers.push(above.intermediate(&name, 2048)?);
                }
            }
            _ => {}
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = issuers.last().unwrap_or(&self.ca);
        let server = params
            .signed_by(&key, &issuer.issuer)
            .map_err(io::Error::other)?;
        let mut certificates = vec![server.der().clone()];
        if kind == ServerCertificate::Version1 {
            certificates = vec![as_version_1(server.der()).into()];
        }
        if kind == ServerCertificate::LongChain {
            certificates.extend(issuers.iter().rev().map(|issuer| issuer.der.clone()));
        }
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(ServerChain { certificates, key })
    }
}

/// Whoever issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn root(name: &str) -> io::Result<Authority> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = authority_params(name, 0);
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Authority {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// An authority below this one. `padding` bytes make its certificate larger.
    fn intermediate(&self, name: &str, padding: usize) -> io::Result<Authority> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = authority_params(name, padding);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        Ok(Authority {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    fn issue_to_device(&self, key: &KeyPair) -> io::Result<rcgen::Certificate> {
        device_params()
            .signed_by(key, &self.issuer)
            .map_err(io::Error::other)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Writes a file that only its owner may read, as far as the system knows such a thing.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}
