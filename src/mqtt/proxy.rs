//! Through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use std::io;

use base64::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::options::Proxy;
use super::transport::Stream;

/// The head of an answer has at most this many bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// How a proxy answers.
#[derive(Debug)]
pub(super) enum ProxyError {
    /// The stream to it failed.
    Io(io::Error),
    /// It wants a user name and password, or other ones (407).
    Auth,
    /// It said something else than yes: the status line, or what was wrong with it.
    Refused(String),
}

impl From<io::Error> for ProxyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Has the proxy open a tunnel to `address`.
pub(super) async fn tunnel(
    stream: &mut dyn Stream,
    proxy: &Proxy,
    address: &str,
) -> Result<(), ProxyError> {
    let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
    if let Some(auth) = &proxy.auth {
        let auth = base64::engine::general_purpose::STANDARD.encode(&auth.0);
        request += &format!("Proxy-Authorization: Basic {auth}\r\n");
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let head = read_head(stream).await?;
    let status = head.lines().next().unwrap_or_default();
    match status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
    {
        Some(code) if code.starts_with('2') => Ok(()),
        Some("407") => Err(ProxyError::Auth),
        Some(_) => Err(ProxyError::Refused(status.to_owned())),
        None => Err(ProxyError::Refused("an answer that is not HTTP".to_owned())),
    }
}

/// Reads up to the empty line. What follows it belongs to the tunnel, so it is taken byte by byte: few,
/// and once for each connection.
async fn read_head(stream: &mut dyn Stream) -> Result<String, ProxyError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == LARGEST_HEAD {
            let why = format!("an answer of more than {LARGEST_HEAD} bytes");
            return Err(ProxyError::Refused(why));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
