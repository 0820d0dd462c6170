//! The log, on stderr. What a user must know is told whatever the verbosity; see
//! [`Story::warn`](crate::story::Story::warn).

use tracing::level_filters::LevelFilter;

use crate::cli::Verbosity;

/// Starts logging, and sends what a panic says to the log: in the reader's own work, a panic fails
/// one job and is told with it.
pub fn start(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::NoLogs => LevelFilter::OFF,
        Verbosity::Fatal | Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warn => LevelFilter::WARN,
        Verbosity::Info => LevelFilter::INFO,
        Verbosity::Debug => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false) // a closed stderr is no reason to end
        .init();
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}
