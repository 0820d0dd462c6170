//! Just enough HTTP to ask ministack's API for something.

use std::error::Error;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// It looks for the service that is meant in the signature, and does not check it.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iot/aws4_request, \
                             SignedHeaders=host, Signature=none";

/// Sends a request and returns the status and the body of the answer.
pub async fn request(
    host: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, String), Box<dyn Error>> {
    let mut stream = TcpStream::connect(host).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {AUTHORIZATION}\r\n\
         Connection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or("an answer without a body")?;
    let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok((status, body.to_owned()))
}

/// As [`request`], for one that has to succeed and is answered with JSON.
pub async fn json(
    host: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Value, Box<dyn Error>> {
    match request(host, method, path, body).await? {
        (200..=299, body) => Ok(serde_json::from_str(&body)?),
        (status, body) => Err(format!("{method} {path}: {status} {body}").into()),
    }
}
