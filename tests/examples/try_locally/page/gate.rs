//! Who may come in: this machine alone (it listens on loopback), and of the pages in its browser the
//! one that this server sent.

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

/// The header in which the page shows its token. A foreign page can't send it: a browser asks first
/// whether it may (CORS), and is not answered.
const TOKEN: HeaderName = HeaderName::from_static("x-token");

/// Keeps a foreign page that opened ours from holding on to it.
pub const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Keeps foreign pages from loading anything of ours.
pub const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Knows who we are.
pub struct Gate {
    pub port: u16,
    pub token: String,
}

impl Gate {
    /// May this request be answered? `needs_token` is for what shows or changes something.
    ///
    /// # Errors
    /// If not, with the status and the reason.
    pub fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        needs_token: bool,
    ) -> Result<(), (StatusCode, &'static str)> {
        let refused = |why| Err((StatusCode::FORBIDDEN, why));
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        // A name of somebody else's that resolves to this machine (DNS rebinding).
        if !text(header::HOST).is_some_and(|host| self.is_us(host)) {
            return refused("this is not the host that you look for");
        }
        let is_ours = |origin: &str| {
            let host = origin.strip_prefix("http://");
            host.is_some_and(|host| self.is_us(host))
        };
        if text(header::ORIGIN).is_some_and(|origin| !is_ours(origin)) {
            return refused("another page may not ask for this");
        }
        // Browsers say of themselves who asks; those that don't say nothing.
        let site = text(HeaderName::from_static("sec-fetch-site"));
        if needs_token && site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return refused("another page may not ask for this");
        }
        if !matches!(*method, Method::GET | Method::POST) {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only GET and POST"));
        }
        if needs_token && !text(TOKEN).is_some_and(|token| self.is_token(token)) {
            return Err((StatusCode::UNAUTHORIZED, "the token is missing or wrong"));
        }
        Ok(())
    }

    fn is_us(&self, host: &str) -> bool {
        let name = host.strip_suffix(&format!(":{}", self.port));
        matches!(name, Some("127.0.0.1" | "localhost"))
    }

    /// Takes as long for a wrong one as for a right one.
    fn is_token(&self, shown: &str) -> bool {
        let pairs = shown.bytes().zip(self.token.bytes());
        let differing = pairs.fold(0, |bits, (a, b)| bits | (a ^ b));
        differing == 0 && shown.len() == self.token.len()
    }
}
