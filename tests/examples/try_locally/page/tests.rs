//! The page's server, asked as a browser asks it, and as somebody else would.

use std::time::Duration;

use local_iot_core::{Console, Event, LocalIotCore, Options, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::commands::{Desk, PRODUCT};
use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Far more than an answer takes.
const LIMIT: Duration = Duration::from_secs(30);

struct Scene {
    desk: Arc<Desk>,
    port: u16,
}

async fn scene() -> Scene {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let desk = Arc::new(Desk::new(core, PRODUCT));
    let page = Page::bind(0, TOKEN.to_owned()).await.unwrap();
    let port = page.gate.port;
    assert_eq!(page.address(), format!("http://127.0.0.1:{port}/#{TOKEN}"));
    tokio::spawn(page.serve(Arc::clone(&desk)));
    let drawn = Arc::clone(&desk);
    tokio::spawn(async move { drawn.chart.draw().await });
    Scene { desk, port }
}

impl Scene {
    /// Sends a request with these headers (`HOST` stands for ours), and returns status and the rest.
    async fn ask(&self, first_line: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = self.send(first_line, headers, body).await;
        let mut answer = String::new();
        let read = timeout(LIMIT, stream.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    async fn send(&self, first_line: &str, headers: &str, body: &str) -> TcpStream {
        let headers = headers.replace("HOST", &format!("127.0.0.1:{}", self.port));
        let length = body.len();
        let request = format!(
            "{first_line} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// As the page itself does.
    async fn command(&self, line: &str) -> String {
        let headers = format!(
            "host: HOST\r\norigin: http://HOST\r\nsec-fetch-site: same-origin\r\nx-token: {TOKEN}\r\n"
        );
        let (status, answer) = self.ask("POST /command", &headers, line).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// How often another policy was put in force.
    fn policies(&self) -> usize {
        let is_policy = |event: &_| matches!(event, Event::Console(Console::Policy(_)));
        self.desk.core.journal().count(is_policy)
    }

    fn jobs(&self) -> usize {
        self.desk.core.jobs().list().len()
    }
}

/// Reads events until this is among them.
async fn read_until(stream: &mut TcpStream, what: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(what) {
        let read = timeout(LIMIT, stream.read(&mut buffer)).await;
        let length = read.expect("no such event").unwrap();
        assert!(length > 0, "the end, after {text}");
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
    text
}

#[tokio::test]
async fn the_page_comes_with_a_strict_policy_and_refers_to_nothing_elsewhere() {
    let scene = scene().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/chart.css", "text/css"),
        ("/chart.js", "text/javascript"),
        ("/page.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let get = format!("GET {path}");
        let (status, answer) = scene.ask(&get, "host: HOST\r\n", "").await;
        assert_eq!(status, 200, "{path}");
        assert!(answer.contains(&format!("content-type: {kind}")), "{path}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(header), "{path}: {header}");
        }
        let elsewhere = answer.replace("http://www.w3.org/2000/svg", "");
        for scheme in [
            "http://",
            "https://",
            "src=\"//",
            "style=\"",
            "onclick=",
            "innerHTML",
        ] {
            assert!(!elsewhere.contains(scheme), "{path} has {scheme}");
        }
    }
    let token = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    assert_eq!(scene.ask("GET /nothing", &token, "").await.0, 404);
}

#[tokio::test]
async fn the_page_commands_as_the_terminal_does() {
    let scene = scene().await;
    let answer = scene
        .command(r#"create-job a {"operation": "greet"}"#)
        .await;
    assert!(
        answer.ends_with(r#"{"answer":"a is QUEUED","failed":false}"#),
        "{answer}"
    );
    let execution = scene.desk.core.jobs().execution("a").unwrap();
    assert_eq!(execution.status, Status::Queued);
    let answer = scene.command("create-job a {}").await;
    assert!(answer.contains("exists already"), "{answer}");
    assert!(answer.contains(r#""failed":true"#), "{answer}");
}

#[tokio::test]
async fn a_foreign_page_gets_nowhere() {
    let scene = scene().await;
    let job = r#"create-job evil {"operation": "greet"}"#;
    let with_token = format!("x-token: {TOKEN}\r\n");
    // What a browser sends for a form or a fetch of another page, with and without a stolen token;
    // a name that resolves to us (DNS rebinding); another port of this machine; a sandboxed frame.
    for headers in [
        "host: HOST\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n",
        "host: HOST\r\norigin: http://localhost:1\r\nsec-fetch-site: same-site\r\n",
        "host: HOST\r\norigin: null\r\n",
        "host: HOST\r\nsec-fetch-site: cross-site\r\n",
        "host: evil.example\r\norigin: http://evil.example\r\n",
        "host: 127.0.0.1\r\n",
        "host: HOST.evil.example\r\n",
        "",
    ] {
        for headers in [headers.to_owned(), format!("{headers}{with_token}")] {
            let (status, answer) = scene.ask("POST /command", &headers, job).await;
            assert!(matches!(status, 400 | 403), "{headers}: {answer}");
            assert!(!answer.contains("access-control"), "{answer}");
        }
        let get = format!("GET /events?token={TOKEN}");
        let (status, _) = scene.ask(&get, headers, "").await;
        assert!(matches!(status, 400 | 403), "{headers}");
    }
    // Before it sends a header of its own, a browser asks whether it may.
    let preflight = "host: HOST\r\norigin: https://evil.example\r\naccess-control-request-method: \
                     POST\r\naccess-control-request-headers: x-token\r\n";
    let (status, answer) = scene.ask("OPTIONS /command", preflight, "").await;
    assert_eq!(status, 403);
    assert!(!answer.contains("access-control"), "{answer}");
    assert_eq!(scene.jobs(), 0);
}

#[tokio::test]
async fn without_the_token_nothing_is_shown_or_done() {
    let scene = scene().await;
    let wrong = TOKEN.replace('0', "1");
    for shown in [
        "",
        &format!("x-token: {wrong}\r\n"),
        "x-token: \r\n",
        "x-token: 0\r\n",
    ] {
        let headers = format!("host: HOST\r\n{shown}");
        for first_line in ["POST /command", "GET /events", "GET /recording"] {
            let (status, _) = scene.ask(first_line, &headers, "create-job a {}").await;
            assert_eq!(status, 401, "{first_line} {shown}");
        }
    }
    // A form can put it into the address; for a command that is not enough.
    let post = format!("POST /command?token={TOKEN}");
    let (status, _) = scene.ask(&post, "host: HOST\r\n", "create-job a {}").await;
    assert_eq!(status, 401);
    let (status, _) = scene.ask("PUT /command", "host: HOST\r\n", "").await;
    assert_eq!(status, 405);
    assert_eq!(scene.jobs(), 0);
}

#[tokio::test]
async fn a_page_gets_what_happened_and_what_happens_and_goes_on_where_it_was() {
    let scene = scene().await;
    scene.command("create-job first {}").await;
    let get = format!("GET /events?token={TOKEN}&last=");
    let mut stream = scene.send(&get, "host: HOST\r\n", "").await;
    let before = read_until(&mut stream, r#""label":"first""#).await;
    assert!(before.contains("event: hello\n"), "{before}");
    assert!(
        before.contains("content-type: text/event-stream"),
        "{before}"
    );
    scene.command("create-job second {}").await;
    let since = read_until(&mut stream, r#""label":"second""#).await;
    drop(stream);

    let last = since.rsplit_once("id: ").unwrap().1.lines().next().unwrap();
    scene.command("fault lose-reply update").await;
    let mut stream = scene
        .send(&format!("{get}{last}"), "host: HOST\r\n", "")
        .await;
    let after = read_until(&mut stream, "lose-reply update, once").await;
    assert!(after.contains(r#""goesOn":true"#), "{after}");
    assert!(!after.contains(r#""label":"second""#), "{after}");

    // A service that was started anew tells everything.
    let mut stream = scene
        .send(&format!("{get}another-run.7"), "host: HOST\r\n", "")
        .await;
    let all = read_until(&mut stream, r#""label":"second""#).await;
    assert!(all.contains(r#""goesOn":false"#), "{all}");
}

#[tokio::test]
async fn a_page_has_no_business_with_files_nor_an_endless_command() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, PRODUCT).unwrap();
    // Whatever separates words for the command separates them for the guard.
    for gap in [
        " ", "  ", "\t", "\n", "\r\n", "\u{a0}", "\u{2003}", " \u{85}",
    ] {
        for before in ["", " ", "\u{a0}", "\n"] {
            for (command, path) in [("record", &file), ("policy", &policy), ("policy", &file)] {
                let line = format!("{before}{command}{gap}{}", path.display());
                let answer = scene.command(&line).await;
                assert!(answer.contains("for the terminal"), "{line:?}: {answer}");
            }
        }
    }
    assert!(!file.exists());
    assert_eq!(scene.policies(), 0);
    for command in ["quit", "quiet", "verbose"] {
        assert!(scene.command(command).await.contains("for the terminal"));
    }
    assert!(scene.command("policy sample").await.contains("is in force"));
    let headers = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    let endless = format!("create-job a {}", "x".repeat(200_000));
    let (status, _) = scene.ask("POST /command", &headers, &endless).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_recording_holds_no_presigned_url_and_on_demand_no_payload() {
    let scene = scene().await;
    let url = "https://a.example/</script>?X-Amz-Signature=secret";
    scene
        .command(&format!(
            r#"create-job a {{"url": "{url}", "key": "confidential"}}"#
        ))
        .await;
    let headers = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    let (_, whole) = scene.ask("GET /recording", &headers, "").await;
    assert!(
        whole.contains(r"https://a.example/\u003c/script>?…"),
        "{whole}"
    );
    assert!(whole.contains("confidential") && !whole.contains("secret"));
    assert!(!whole.contains("src=\"chart.js\"") && !whole.contains("href=\"chart.css\""));
    let (_, bare) = scene.ask("GET /recording?payloads=no", &headers, "").await;
    assert!(bare.contains("create-job"));
    assert!(
        !bare.contains("confidential") && !bare.contains("a.example"),
        "{bare}"
    );
}
