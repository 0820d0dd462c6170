//! The TCP port of the service, which stays its own while nobody listens on it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::{TcpSocket, TcpStream},
    task::{JoinHandle, yield_now},
};
use tokio_rustls::TlsAcceptor;

use crate::gateway::{self, Gateway};

/// How many connections wait to be taken.
const BACKLOG: u32 = 1024;

/// A port on 127.0.0.1.
pub(crate) struct Port {
    number: u16,
    listener: Mutex<Option<JoinHandle<()>>>,
    /// Has the port, and never listens: other programs look for free ports as well, and would
    /// find ours while nobody listens on it. Where two sockets can't have one port, it takes the
    /// port when the other one is closed, if it is still free.
    keeper: Mutex<Option<TcpSocket>>,
}

impl Port {
    /// Takes connections on this port. With 0, the system picks a free one.
    pub(crate) fn listen(
        number: u16,
        gateway: &Arc<Gateway>,
        tls: &TlsAcceptor,
    ) -> io::Result<Port> {
        let socket = bind(number)?;
        let number = socket.local_addr()?.port();
        let keeper = Mutex::new(bind(number).ok());
        let listener = Mutex::new(Some(take_connections(socket, gateway, tls)?));
        Ok(Port {
            number,
            listener,
            keeper,
        })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Takes no more connections.
    pub(crate) async fn close(&self) {
        let Some(listener) = lock(&self.listener).take() else {
            return;
        };
        listener.abort();
        // Only when the task is gone, its socket is closed. That it was aborted is no news.
        let _ = listener.await;
        // A process that is being started has a copy of the socket until its exec, and listens as long.
        while TcpStream::connect(address(self.number)).await.is_ok() {
            yield_now().await;
        }
        let mut keeper = lock(&self.keeper);
        *keeper = keeper.take().or_else(|| bind(self.number).ok());
    }

    /// Takes connections again.
    pub(crate) fn reopen(&self, gateway: &Arc<Gateway>, tls: &TlsAcceptor) -> io::Result<()> {
        let mut listener = lock(&self.listener);
        if listener.is_some() {
            return Ok(());
        }
        let mut keeper = lock(&self.keeper);
        // Before the keeper lets the port go, where both can have it.
        let socket = match (bind(self.number), keeper.take()) {
            (Ok(socket), kept) => {
                *keeper = kept;
                socket
            }
            (Err(_), Some(kept)) => kept,
            (Err(error), None) => return Err(error),
        };
        *listener = Some(take_connections(socket, gateway, tls)?);
        Ok(())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.abort();
        }
    }
}

fn take_connections(
    socket: TcpSocket,
    gateway: &Arc<Gateway>,
    tls: &TlsAcceptor,
) -> io::Result<JoinHandle<()>> {
    let listener = socket.listen(BACKLOG)?;
    let listening = gateway::listen(Arc::clone(gateway), tls.clone(), listener);
    Ok(tokio::spawn(listening))
}

/// A socket that has this port, and does not listen yet.
fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // On Windows, it would let us take a port that somebody else listens on.
    socket.set_reuseaddr(!cfg!(windows))?;
    socket.bind(address(port))?;
    Ok(socket)
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{LocalIotCore, Options};

    /// As a process has it that is being started: between fork and exec, it has all that is open here.
    #[tokio::test]
    async fn a_copy_of_the_listening_socket_is_waited_for() {
        let core = LocalIotCore::start(Options::default()).await.unwrap();
        core.stop_listening().await;
        let listener = bind(core.port()).unwrap().listen(BACKLOG).unwrap();
        let listener = listener.into_std().unwrap();
        let copy = listener.try_clone().unwrap();
        let listening = tokio::spawn(async move {
            let _listener = listener;
            std::future::pending().await
        });
        *lock(&core.port.listener) = Some(listening);
        let exec = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(copy);
        });
        let closed = tokio::time::timeout(Duration::from_secs(10), core.stop_listening()).await;
        assert!(
            closed.is_ok() && exec.is_finished(),
            "it did not wait for the copy"
        );
        core.resume_listening().await.unwrap();
        assert!(TcpStream::connect(address(core.port())).await.is_ok());
    }
}
