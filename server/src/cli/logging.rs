//! The broker's own log, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// `RUST_LOG` says what is logged, else `level` (Kafka's names of levels), else `info`.
pub fn init_logging(format: LogFormat, level: Option<&str>) {
    let level = match level {
        Some("fatal") => "error",
        Some(level @ ("off" | "error" | "warn" | "info" | "debug" | "trace")) => level,
        Some(_) | None => "info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let is_terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(is_terminal).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
