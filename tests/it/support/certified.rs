//! Certificates for the keys that a device makes.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::World;

impl World {
    /// A certificate for the signing request (base64 of DER) in the status details of a job.
    pub fn certificate_for(&self, job_id: &str) -> String {
        let job = self.core.jobs().execution(job_id).unwrap();
        self.signed(&job.status_details["csr"])
    }

    /// A certificate for a signing request as PEM, which becomes the world's own.
    pub fn certify(&self, request: &str) {
        let lines = request.lines().filter(|line| !line.starts_with("---"));
        let certificate = self.signed(&lines.collect::<String>());
        std::fs::write(&self.files.cert, certificate).unwrap();
    }

    fn signed(&self, request: &str) -> String {
        let request = BASE64_STANDARD.decode(request).unwrap();
        let pki = self.core.pki();
        pki.certificate_from_csr(&request, 2020).unwrap()
    }
}
