//! What the settings are called where somebody gives them, for messages on what to check.

/// The names of the settings. The default is for a program of your own; this crate's own program has
/// [`FLAGS`](crate::cli::FLAGS), and another may put in the keys of its configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the default says it
pub struct Names {
    pub endpoint: &'static str,
    pub port: &'static str,
    pub client_id: &'static str,
    pub cert: &'static str,
    pub key: &'static str,
    pub ca: &'static str,
    pub proxy: &'static str,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            endpoint: "the endpoint",
            port: "the port",
            client_id: "the client id",
            cert: "the device certificate",
            key: "the private key",
            ca: "the CA file",
            proxy: "the proxy's host and port",
        }
    }
}
