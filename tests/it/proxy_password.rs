//! A proxy that wants a user name and a password: they come from a file, never from the command line,
//! and are never shown.

use std::path::PathBuf;

use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Event, Proxy, ProxyAuth, Publish};
use jobs_mqtt5::sample::lines;

use crate::support::{ForwardProxy, Manners, World, within};

const USER_AND_PASSWORD: &str = "device:s3cret-word:with-a-colon";
/// The same, as RFC 7617 has it.
const BASIC: &str = "Basic ZGV2aWNlOnMzY3JldC13b3JkOndpdGgtYS1jb2xvbg==";
/// What must not be seen anywhere.
const SECRETS: [&str; 3] = ["s3cret", "ZGV2aWNlOnMzY3JldC", "with-a-colon"];

async fn proxy_that_wants_a_password(world: &World) -> ForwardProxy {
    ForwardProxy::with(Manners {
        to: Some(world.core.port()),
        wants: Some(BASIC),
        ..Manners::default()
    })
    .await
}

/// A file with this in it, which only its owner can read.
fn secret_file(world: &World, content: impl AsRef<[u8]>) -> PathBuf {
    let path = world.folder.path().join("proxy-auth");
    std::fs::write(&path, content).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only).unwrap();
    }
    path
}

fn shows_no_secret(words: &str) {
    for secret in SECRETS {
        assert!(!words.contains(secret), "{words}");
    }
}

#[tokio::test]
async fn a_password_from_a_file_opens_the_tunnel_and_is_not_shown() {
    for content in [
        USER_AND_PASSWORD.to_owned(),
        format!("{USER_AND_PASSWORD}\r\n"),
        format!("\u{feff}{USER_AND_PASSWORD}\r\n"), // as Windows writes UTF-8
    ] {
        let world = World::with_jobs(&["job"]).await;
        let proxy = proxy_that_wants_a_password(&world).await;
        let (file, port) = (secret_file(&world, &content), proxy.port.to_string());
        let flags = [
            "--proxy_host",
            "localhost",
            "--proxy_port",
            &port,
            "--proxy_auth",
            file.to_str().unwrap(),
            "--verbosity",
            "Trace",
        ];
        let program = world.start(&flags);
        world.succeeds("job").await;
        program.out.wait_for(lines::NOTHING_TO_START).await;
        shows_no_secret(&program.out.text());
        shows_no_secret(&program.err.text());
        program.kill().await;
        assert!(proxy.requests()[0].starts_with("CONNECT localhost:"));
    }
}

#[tokio::test]
async fn without_it_the_message_names_the_flag() {
    let world = World::new().await;
    let proxy = proxy_that_wants_a_password(&world).await;
    let port = proxy.port.to_string();
    let ended = world
        .start(&["--proxy_host", "localhost", "--proxy_port", &port])
        .end()
        .await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("407"), "{}", ended.err);
    assert!(ended.err.contains("--proxy_auth"), "{}", ended.err);
    assert!(!proxy.requests()[0].contains("Proxy-Authorization"));
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_shown() {
    let world = World::new().await;
    let proxy = ForwardProxy::with(Manners {
        to: Some(world.core.port()),
        wants: Some("Basic c29tZXRoaW5nOmVsc2U="),
        ..Manners::default()
    })
    .await;
    let (file, port) = (
        secret_file(&world, USER_AND_PASSWORD),
        proxy.port.to_string(),
    );
    let flags = [
        "--proxy_host",
        "localhost",
        "--proxy_port",
        &port,
        "--proxy_auth",
        file.to_str().unwrap(),
        "--verbosity",
        "Trace",
    ];
    let ended = world.start(&flags).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("--proxy_auth"), "{}", ended.err);
    shows_no_secret(&ended.err);
    assert!(proxy.requests()[0].contains(BASIC), "it was tried");
}

#[tokio::test]
async fn a_password_in_proxy_host_is_refused_without_an_echo() {
    let world = World::new().await;
    for host in [
        "device:s3cret@localhost",
        "http://device:s3cret@localhost",
        "s3cret@localhost",
    ] {
        let ended = world
            .start(&["--proxy_host", host, "--proxy_port", "1"])
            .end()
            .await;
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains("--proxy_auth"), "{}", ended.err);
        shows_no_secret(&ended.err);
        shows_no_secret(&ended.out);
    }
}

#[tokio::test]
async fn a_file_that_is_missing_empty_endless_in_utf_16_or_has_no_colon_is_told() {
    let world = World::new().await;
    let refused = async |path: &str, why: &str| {
        let flags = [
            "--proxy_host",
            "localhost",
            "--proxy_port",
            "1",
            "--proxy_auth",
            path,
        ];
        let ended = world.start(&flags).end().await;
        assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.err);
        assert!(ended.err.contains("--proxy_auth"), "{}", ended.err);
        assert!(ended.err.contains(why), "{}", ended.err);
        shows_no_secret(&ended.err);
    };
    refused("no/such/file", "Check the path").await;
    let no_line = "does not hold one line";
    for content in ["", "\n", "s3cret-word", "s3cret-word\nmore:lines\n"] {
        refused(secret_file(&world, content).to_str().unwrap(), no_line).await;
    }
    #[cfg(unix)]
    refused("/dev/zero", "has more than 4 KiB").await;
    let utf_16 = "\u{feff}device:s3cret-word\r\n".encode_utf16();
    let utf_16: Vec<u8> = utf_16.flat_map(u16::to_le_bytes).collect();
    refused(secret_file(&world, utf_16).to_str().unwrap(), "UTF-8").await;
}

#[tokio::test]
#[cfg(unix)]
async fn a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_jobs(&["job"]).await;
    let proxy = proxy_that_wants_a_password(&world).await;
    let (file, port) = (
        secret_file(&world, USER_AND_PASSWORD),
        proxy.port.to_string(),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = file.to_str().unwrap();
    let flags = [
        "--proxy_host",
        "localhost",
        "--proxy_port",
        &port,
        "--proxy_auth",
        path,
    ];
    let program = world.start(&flags);
    world.succeeds("job").await;
    let words = program.err.text();
    assert!(
        words.contains(path) && words.contains("chmod 600"),
        "{words}"
    );
    program.kill().await;
}

/// A connection through this proxy.
fn through(world: &World, proxy: Proxy) -> (mqtt::Client, mqtt::Events<Event>) {
    let mut options = world.settings().mqtt;
    options.proxy = Some(proxy);
    mqtt::connect(options)
}

#[tokio::test]
async fn the_library_has_the_same() {
    let world = World::open().await;
    let server = proxy_that_wants_a_password(&world).await;
    let mut proxy = Proxy::new("localhost", server.port);
    proxy.auth = ProxyAuth::new(USER_AND_PASSWORD);
    shows_no_secret(&format!("{proxy:?}"));
    let (mqtt, _) = through(&world, proxy);
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    let (_mqtt, mut events) = through(&world, Proxy::new("localhost", server.port));
    match within(events.next()).await {
        Some(Event::Ended(Err(error))) => {
            assert_eq!(error.kind(), ConnectionErrorKind::ProxyAuth, "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_with_many_headers_is_taken() {
    let world = World::open().await;
    let header = format!("X-Filler: {}\r\n", "x".repeat(80));
    for count in [0, 1, 200] {
        let server = ForwardProxy::with(Manners {
            to: Some(world.core.port()),
            headers: header.repeat(count),
            ..Manners::default()
        })
        .await;
        let (mqtt, _) = through(&world, Proxy::new("localhost", server.port));
        within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_without_end_or_sense_is_an_error_and_tried_again() {
    let world = World::open().await;
    for refusal in [
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(),
        [
            &b"HTTP/1.1 200 OK\r\n"[..],
            &b"X-Endless: x\r\n".repeat(100_000),
        ]
        .concat(),
        b"\x15\x03\x03\0\x02\x02\x46".to_vec(),
        Vec::new(),
    ] {
        let server = ForwardProxy::with(Manners {
            refusal: refusal.clone(),
            ..Manners::default()
        })
        .await;
        let (_mqtt, mut events) = through(&world, Proxy::new("localhost", server.port));
        match within(events.next()).await {
            Some(Event::Interrupted { error, .. }) => {
                let words = error.to_string();
                assert_eq!(error.kind(), ConnectionErrorKind::ProxyRefused, "{words}");
                assert!(words.len() < 500, "{words}");
            }
            other => panic!("{other:?}"),
        }
    }
}
