//! The page's server, asked as somebody else would.

use super::*;

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
        let headers = format!("{headers}{with_token}");
        let (status, _) = scene.ask("GET /events", &headers, "").await;
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
    // A form can put it into the address; that is not enough.
    for first_line in ["POST /command", "GET /events"] {
        let first_line = format!("{first_line}?token={TOKEN}");
        let (status, _) = scene.ask(&first_line, "host: HOST\r\n", "cut").await;
        assert_eq!(status, 401);
    }
    let (status, _) = scene.ask("PUT /command", "host: HOST\r\n", "").await;
    assert_eq!(status, 405);
    assert_eq!(scene.jobs(), 0);
}

#[tokio::test]
async fn connections_that_show_no_token_are_few_and_one_that_does_is_kept() {
    let scene = scene().await;
    let headers = format!("host: HOST\r\nx-token: {TOKEN}\r\n");
    let mut page = scene.send("GET /events", &headers, "").await;
    read_until(&mut page, r#"{"hello":{"#).await;
    let mut idle = Vec::new();
    for _ in 0..4 * MOST_WAITING {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, scene.port));
        idle.push(stream.await.unwrap());
    }
    // The service closes the oldest, one for each that is too many.
    for stream in &mut idle[..3 * MOST_WAITING] {
        let read = timeout(LIMIT, stream.read(&mut [0; 1])).await;
        assert_eq!(read.expect("it is still open").unwrap_or(0), 0);
    }
    scene.command("create-job a {}").await;
    read_until(&mut page, r#""label":"a""#).await;
    assert_eq!(scene.jobs(), 1);
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
