//! Through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use std::io;

use base64::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{ConnectionError, ConnectionErrorKind as Kind};
use super::handshake::words;
use super::options::Proxy;
use super::transport::ByteStream;
use crate::error_class::ErrorClass;

/// The head of an answer has at most this many bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// Has the proxy open a tunnel to `address`. The answer: whether it did.
///
/// # Errors
/// If the stream to the proxy fails.
pub(super) async fn tunnel(
    stream: &mut dyn ByteStream,
    proxy: &Proxy,
    address: &str,
) -> io::Result<Result<(), ConnectionError>> {
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
    let code = status.strip_prefix("HTTP/1.");
    let by = format!("the HTTP proxy {}:{}", proxy.host, proxy.port);
    let refused = match code.and_then(|rest| rest.get(2..5)) {
        Some(code) if code.starts_with('2') => return Ok(Ok(())),
        Some("407") => {
            let what = match proxy.auth {
                Some(_) => format!("{by} does not accept the user name and password (407)"),
                None => format!("{by} wants a user name and a password (407)"),
            };
            let error = ConnectionError::new(Kind::ProxyAuth, what);
            return Ok(Err(error.class_of(ErrorClass::Misconfigured)));
        }
        Some(_) => words(&status),
        None => "an answer that is not HTTP".to_owned(),
    };
    let what = format!("{by} refused to tunnel to {address}: {refused}");
    Ok(Err(ConnectionError::new(Kind::ProxyRefused, what)))
}

/// Reads up to the empty line. What follows it belongs to the tunnel, so it is taken byte by byte: few,
/// and once for each connection.
async fn read_head(stream: &mut dyn ByteStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == LARGEST_HEAD {
            let why = format!("an answer of more than {LARGEST_HEAD} bytes");
            return Err(io::Error::other(why));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
