//! The page's server, asked as a browser asks it.

mod gate;

use std::time::Duration;

use local_iot_core::{LocalIotCore, Options, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::chart::{Chart, Kind};
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
        self.desk.chart.catch_up();
        let (_, moments) = self.desk.chart.snapshot();
        let policies = moments.iter().filter(|one| one.kind == Kind::Policy);
        policies.count()
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
        ("/row.js", "text/javascript"),
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
async fn a_page_gets_what_happened_and_what_happens_and_goes_on_where_it_was() {
    let scene = scene().await;
    scene.command("create-job first {}").await;
    let headers = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    let mut stream = scene.send("GET /events", &headers, "").await;
    let before = read_until(&mut stream, r#""label":"first""#).await;
    assert!(before.contains(r#"{"hello":{"#), "{before}");
    assert!(before.contains("content-type: application/x-ndjson"));
    scene.command("create-job second {}").await;
    let since = read_until(&mut stream, r#""label":"second""#).await;
    read_until(&mut stream, "{}\n").await; // nothing happens, and the page hears that we are there
    drop(stream);

    let last = since.rsplit_once(r#""id":""#).unwrap().1;
    let last = last.split_once('"').unwrap().0;
    scene.command("fault lose-reply update").await;
    let get = |last: &str| format!("GET /events?last={last}");
    let mut stream = scene.send(&get(last), &headers, "").await;
    let after = read_until(&mut stream, "lose-reply update, once").await;
    assert!(after.contains(r#""goesOn":true"#), "{after}");
    assert!(!after.contains(r#""label":"second""#), "{after}");

    // A service that was started anew tells everything.
    let mut stream = scene.send(&get("another-run.7"), &headers, "").await;
    let all = read_until(&mut stream, r#""label":"second""#).await;
    assert!(all.contains(r#""goesOn":false"#), "{all}");
}

#[tokio::test]
async fn a_page_that_has_missed_what_was_let_go_begins_anew() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut desk = Desk::new(core, PRODUCT);
    desk.chart = Arc::new(Chart::with_most(&desk.core, PRODUCT, 100_000));
    for _ in 0..300 {
        desk.core.journal().note("x".repeat(1_000));
    }
    desk.chart.catch_up();
    let gone = desk.chart.gone();
    assert!(gone > 100);
    let (nothing, place) = events::goes_on(&desk, 100).await;
    assert_eq!((&nothing[..], place), (&b"{}\n"[..], None));
    let (_, place) = events::goes_on(&desk, gone).await;
    assert_eq!(place, Some(300));
}

#[tokio::test]
async fn a_recording_holds_no_presigned_url_and_on_demand_no_payload() {
    let scene = scene().await;
    let url = "https://a.example/</script>?X-Amz-Signature=secret";
    let job = format!(r#"create-job a {{"url": "{url}", "key": "confidential"}}"#);
    scene.command(&job).await;
    scene.command("publish dt/my-thing/a confidential").await;
    scene.command("nonsense-confidential").await;
    let headers = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    let (_, whole) = scene.ask("GET /recording", &headers, "").await;
    assert!(
        whole.contains(r"https://a.example/\u003c/script>?…"),
        "{whole}"
    );
    assert!(whole.contains("confidential") && !whole.contains("secret"));
    assert!(!whole.contains("<script src=") && !whole.contains("href=\"chart.css\""));
    let (_, bare) = scene.ask("GET /recording?payloads=no", &headers, "").await;
    assert!(bare.contains("create-job") && bare.contains("publish"));
    assert!(
        !bare.contains("a.example") && !bare.contains("secret"),
        "{bare}"
    );
    let told = bare.matches("confidential").collect::<Vec<_>>();
    assert!(told.is_empty(), "{bare}");
}

#[tokio::test]
async fn the_terminal_is_told_of_a_click_in_a_line_without_a_signature() {
    let scene = scene().await;
    let mut clicked = scene.desk.clicked.subscribe();
    for signed in [
        r"https://a.example/f\u003fX-Amz-Signature=SECRET",
        "https://a.example/f%3FX-Amz-Signature%3DSECRET",
    ] {
        let answer = scene.command(&format!("cancel-job {signed}")).await;
        assert!(!answer.contains("SECRET"), "{answer}");
        let told = clicked.recv().await.unwrap();
        assert!(
            told.starts_with("(page) cancel-job https://a.example/f?…: "),
            "{told}"
        );
        assert!(!told.contains("SECRET"), "{told}");
    }
    for n in 0..100 {
        let job = format!("job-{n}");
        scene
            .desk
            .core
            .jobs()
            .create_job_with_text(&job, "{}")
            .unwrap();
    }
    assert!(scene.command("list").await.contains("job-99"));
    let told = clicked.recv().await.unwrap();
    assert!(!told.contains('\n') && told.chars().count() < 300, "{told}");
}
