//! An HTTP proxy that knows CONNECT and nothing else.

use std::sync::{Arc, Mutex};

use jobs_mqtt5::cli::Flags;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::World;

/// Opens every tunnel to one port of this machine, whatever is asked for; or none.
pub struct ForwardProxy {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// How it answers.
#[derive(Clone)]
pub struct Manners {
    /// Where tunnels lead; without it, none is opened.
    pub to: Option<u16>,
    /// What `Proxy-Authorization` must say.
    pub wants: Option<&'static str>,
    /// The answer where no tunnel is opened.
    pub refusal: Vec<u8>,
    /// What stands before the empty line of a good answer.
    pub headers: String,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            to: None,
            wants: None,
            refusal: b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec(),
            headers: String::new(),
        }
    }
}

impl ForwardProxy {
    pub async fn start(to: u16) -> Self {
        let to = Some(to);
        Self::with(Manners {
            to,
            ..Manners::default()
        })
        .await
    }

    /// Answers 403 (Forbidden).
    pub async fn that_refuses() -> Self {
        Self::with(Manners::default()).await
    }

    pub async fn with(manners: Manners) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, manners) = (Arc::clone(&told), manners.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, &manners, &told).await;
                });
            }
        });
        Self {
            port,
            requests,
            task,
        }
    }

    /// The addresses that tunnels were asked for.
    pub fn asked_for(&self) -> Vec<String> {
        let requests = self.requests();
        let address = |request: &String| request.split(' ').nth(1).unwrap_or_default().to_owned();
        requests.iter().map(address).collect()
    }

    /// The heads of the requests, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// A proxy that wants a password, with tunnels to this port; and the flags of a program that has it.
    pub async fn proxy_with_password(&self, to: u16) -> (ForwardProxy, Flags) {
        let proxy = ForwardProxy::with(Manners {
            to: Some(to),
            wants: Some("Basic dXNlcjpzZWNyZXQ="),
            ..Manners::default()
        })
        .await;
        let auth = self.folder.path().join("proxy.auth");
        std::fs::write(&auth, "user:secret\n").unwrap();
        let (port, auth) = (proxy.port.to_string(), auth.to_str().unwrap());
        let more = [
            "--proxy_host",
            "127.0.0.1",
            "--proxy_port",
            &port,
            "--proxy_auth",
            auth,
        ];
        let mut flags = self.flags(&more);
        flags.insert(0, "program".to_owned());
        (proxy, Flags::from_arguments(flags).unwrap())
    }
}

async fn serve(
    stream: TcpStream,
    manners: &Manners,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
    }
    requests.lock().unwrap().push(request.clone());
    let is_known = manners.wants.is_none_or(|wanted| {
        let header = format!("Proxy-Authorization: {wanted}");
        request.lines().any(|line| line == header)
    });
    match manners.to {
        Some(port) if is_known => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", manners.headers);
            stream.write_all(answer.as_bytes()).await?;
            copy_bidirectional(&mut stream, &mut server).await.map(drop)
        }
        _ if is_known => stream.write_all(&manners.refusal).await,
        _ => {
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
            stream.write_all(answer).await
        }
    }
}
