//! What a presigned URL of S3 is good for: where it may point, which proxy it goes through, and which
//! answers pass by themselves or with a fresh URL.

use std::error::Error;
use std::io::Read;

use jobs_mqtt5::{cli::Flags, sample};
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

/// Whether it leaves this machine, by TLS: then it goes through the proxy.
pub fn is_by_tls(url: &str) -> bool {
    url.parse()
        .is_ok_and(|url: Uri| url.scheme_str() == Some("https"))
}

/// The program's own proxy, for what is downloaded and uploaded as well.
///
/// # Errors
/// If the file with its password can't be used.
pub fn proxy(flags: &Flags) -> Result<Option<Proxy>, Box<dyn Error + Send + Sync>> {
    let Some(ours) = sample::proxy(flags)? else {
        return Ok(None);
    };
    let host = match ours.host.contains(':') {
        true => format!("[{}]", ours.host), // as a URL has an IPv6 address
        false => ours.host,
    };
    let builder = Proxy::builder(ureq::ProxyProtocol::Http);
    let mut proxy = builder.host(&host).port(ours.port);
    if let Some(auth) = &ours.auth {
        let (user, password) = auth.user_and_password();
        proxy = proxy.username(user).password(password);
    }
    Ok(Some(proxy.build()?))
}
