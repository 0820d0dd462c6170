//! What a flag takes, and what is said about anything else.

use rustls::pki_types::ServerName;

/// Whole seconds.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let most = u32::MAX;
    text.parse()
        .map_err(|_| format!("give whole seconds from 0 to {most}, as in --job_time 5"))
}

/// The number of a port.
pub(super) fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or("give a number from 1 to 65535")
}

/// Host and port of `HOST:PORT`. `None` if there is no port in it, or it is none.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.split_once(':')?;
    Some((host, self::port(port).ok()?))
}

/// A host name or an IP address, and perhaps a port.
pub(super) fn endpoint(text: &str) -> Result<String, &'static str> {
    let name = host_and_port(text).map_or(text, |(name, _)| name);
    host(name).map(|_| text.to_owned())
}

/// A host name or an IP address.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Ok(text.to_owned()); // it may hold a password: refused later, without being shown
    }
    Err(if text.contains("://") {
        "give the host name alone, without 'https://' or 'mqtts://' before it"
    } else if text.contains('/') {
        "give the host name alone, without a path behind it"
    } else if text.matches(':').count() == 1 {
        "give the host name alone; a port is a number from 1 to 65535 and has a flag of its own \
         (--port, --proxy_port)"
    } else if ServerName::try_from(text).is_err() {
        "a host name has letters, digits, '-' and '.', as in \
         a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"
    } else {
        return Ok(text.to_owned());
    })
}

/// What AWS IoT accepts as the name of a thing.
pub(super) fn thing_name(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if (1..=128).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a thing name has 1 to 128 letters, digits, ':', '_' and '-'")
    }
}

/// What AWS IoT Core accepts as a client ID.
pub(super) fn client_id(text: &str) -> Result<String, &'static str> {
    if !(1..=128).contains(&text.len()) || text.chars().any(char::is_control) {
        return Err("a client ID has 1 to 128 bytes of UTF-8, without control characters");
    }
    if text.starts_with('$') || text.contains(['#', '+']) {
        return Err("a client ID does not begin with '$', and has no '#' or '+'");
    }
    Ok(text.to_owned())
}

pub(super) fn mqtt_version(text: &str) -> Result<u8, &'static str> {
    match text {
        "5" => Ok(5),
        "3" => Err(
            "this program speaks MQTT5 only; the section \"MQTT5 and MQTT 3.1.1\" of its README \
             compares the two",
        ),
        _ => Err("5 is the only one"),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Flags;

    #[test]
    fn what_aws_would_refuse_is_refused_with_what_is_allowed() {
        let long = "x".repeat(129);
        for (flag, value, words) in [
            (
                "--thing_name",
                "a b",
                "1 to 128 letters, digits, ':', '_' and '-'",
            ),
            ("--thing_name", &long, "1 to 128 letters"),
            ("--client_id", "", "1 to 128 bytes"),
            ("--client_id", "a#", "no '#' or '+'"),
            ("--port", "0", "a number from 1 to 65535"),
            ("--port", "65536", "a number from 1 to 65535"),
            (
                "--endpoint",
                "https://x.amazonaws.com",
                "without 'https://'",
            ),
            ("--endpoint", "x.amazonaws.com/", "without a path"),
            ("--endpoint", "x.amazonaws.com:70000", "1 to 65535"),
            ("--endpoint", "x.amazonaws.com:", "1 to 65535"),
            ("--endpoint", "a b:443", "letters, digits"),
            ("--proxy_host", "proxy:8080", "--proxy_port"),
            ("--endpoint", "a b", "letters, digits"),
            ("--mqtt_version", "3", "MQTT5 only"),
            (
                "--job_time",
                "1.5",
                "'--job_time <SECONDS>': give whole seconds",
            ),
            (
                "--job_time",
                "-1",
                "'--job_time <SECONDS>': give whole seconds",
            ),
            ("--port", "-1", "'--port <PORT>'"),
        ] {
            let usual = [
                "endpoint",
                "example.com",
                "cert",
                "c",
                "key",
                "k",
                "thing_name",
                "t",
            ];
            let mut args = vec!["jobs-mqtt5".to_owned(), flag.to_owned(), value.to_owned()];
            for pair in usual.chunks(2).filter(|pair| !flag.ends_with(pair[0])) {
                args.extend([format!("--{}", pair[0]), pair[1].to_owned()]);
            }
            let error = Flags::from_arguments(args).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(words), "{flag} {value}: {error}");
        }
    }

    #[test]
    fn a_port_in_the_endpoint_is_taken_unless_another_is_given() {
        let address = |more: &[&str]| {
            let first = [
                "jobs-mqtt5",
                "--cert",
                "c",
                "--key",
                "k",
                "--thing_name",
                "t",
            ];
            let flags = Flags::from_arguments(first.iter().chain(more))?;
            Ok::<_, clap::Error>((flags.endpoint, flags.port))
        };
        for (more, host, port) in [
            (&["--endpoint", "h"][..], "h", 8883),
            (&["--endpoint", "h:443"], "h", 443),
            (&["--endpoint", "h:8883", "--port", "8883"], "h", 8883),
            (&["--endpoint", "h", "--port", "443"], "h", 443),
            (&["--endpoint", "127.0.0.1:1883"], "127.0.0.1", 1883),
            (&["--endpoint", "::1"], "::1", 8883),
        ] {
            assert_eq!(address(more).unwrap(), (host.to_owned(), port), "{more:?}");
        }
        let error = address(&["--endpoint", "h:443", "--port", "8883"]).unwrap_err();
        let words = "--endpoint has the port 443, and --port is 8883";
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
