//! Waits for somebody to end the program.

use std::io;

/// What ends the program: Ctrl-C everywhere, and SIGTERM on Unix. Resolves to the reason in
/// words. From the call on, neither ends the process by itself.
///
/// # Errors
/// If the operating system does not let the program listen.
#[cfg(unix)]
pub fn signal() -> io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "interrupted by Ctrl-C",
            _ = terminate.recv() => "interrupted by SIGTERM",
        }
    })
}

/// What ends the program: Ctrl-C everywhere, and SIGTERM on Unix. Resolves to the reason in
/// words. From the call on, neither ends the process by itself.
///
/// # Errors
/// If the operating system does not let the program listen.
#[cfg(not(unix))]
pub fn signal() -> io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "interrupted by Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    })
}
