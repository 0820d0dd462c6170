//! What a presigned URL of S3 is good for: where it may point, which proxy it goes through, and which
//! answers pass by themselves or with a fresh URL.

use std::error::Error;
use std::io::Read;

use jobs_mqtt5::cli::Flags;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Body, Proxy};

/// What S3 calls, with the status 400, what passes by itself or with a fresh URL.
const TRANSIENT: [&str; 3] = ["ExpiredToken", "TokenRefreshRequired", "RequestTimeout"];

/// Whether an answer tells of the URL's or the server's condition, and not of the file's.
pub fn is_transient(response: Response<Body>) -> bool {
    match response.status() {
        // 403 is how S3 says that a URL has expired.
        StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::BAD_REQUEST => {
            let mut text = String::new();
            let body = response.into_body().into_reader();
            let _ = body.take(2048).read_to_string(&mut text); // the beginning does as well
            let is_said = |code: &&str| text.contains(&format!("<Code>{code}</Code>"));
            TRANSIENT.iter().any(is_said)
        }
        status => status.is_server_error(),
    }
}

/// Whether that is where a download may come from: by TLS, or from this machine.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), String> {
    if url.starts_with("${aws:iot:") {
        let reason = "the URL's placeholder was not replaced: was the job created without \
                      --presigned-url-config, or is the placeholder misspelt?";
        return Err(reason.to_owned());
    }
    let url: Uri = url.parse().unwrap_or_default();
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]")) => Ok(()),
        _ => Err("url must be https, or http to this machine".to_owned()),
    }
}

/// The program's own proxy, for the download as well.
///
/// # Errors
/// If the file with its password can't be used.
pub fn proxy(flags: &Flags) -> Result<Option<Proxy>, Box<dyn Error + Send + Sync>> {
    let Some(host) = &flags.proxy_host else {
        return Ok(None);
    };
    let builder = Proxy::builder(ureq::ProxyProtocol::Http);
    let mut proxy = builder.host(host).port(flags.proxy_port);
    if let Some(path) = &flags.proxy_auth {
        let text = std::fs::read_to_string(path)?;
        let auth = text.trim_end().split_once(':');
        let (user, password) = auth.ok_or("--proxy_auth has no ':'")?;
        proxy = proxy.username(user).password(password);
    }
    Ok(Some(proxy.build()?))
}
