//! Waits for somebody to end the program.

use std::io;

/// What ends the program as asked: Ctrl-C and SIGTERM; on Windows Ctrl-C, Ctrl-Break, a closed
/// console and the system's shutdown. Resolves to the reason in words. From the call on, none of
/// them ends the process by itself. (Windows ends it all the same some five seconds after a console
/// was closed.)
///
/// SIGHUP is left as it is: a closed terminal ends the program at once, unless it was started with
/// `nohup`, which a handler would defeat.
///
/// # Errors
/// If the operating system does not let the program listen.
pub fn signal() -> io::Result<impl Future<Output = &'static str>> {
    #[cfg(unix)]
    {
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
    #[cfg(windows)]
    {
        use tokio::signal::windows;
        let mut ctrl_c = windows::ctrl_c()?;
        let mut ctrl_break = windows::ctrl_break()?;
        let mut close = windows::ctrl_close()?;
        let mut shutdown = windows::ctrl_shutdown()?;
        Ok(async move {
            tokio::select! {
                _ = ctrl_c.recv() => "interrupted by Ctrl-C",
                _ = ctrl_break.recv() => "interrupted by Ctrl-Break",
                _ = close.recv() => "the console was closed",
                _ = shutdown.recv() => "the system shuts down",
            }
        })
    }
}
