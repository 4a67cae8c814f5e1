//! The broker's own log, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Loggers};

/// `RUST_LOG` says what is logged, else `level` (Kafka's names of levels), else `info`; later `loggers` do.
pub fn init_logging(format: LogFormat, level: Option<&str>, loggers: &Loggers) {
    let level = match level {
        Some("fatal") => "error",
        Some(level @ ("off" | "error" | "warn" | "info" | "debug" | "trace")) => level,
        Some(_) | None => "info",
    };
    let of_environment = EnvFilter::try_from_default_env();
    let filter = of_environment.unwrap_or_else(|_| level.into());
    let base = filter.to_string();
    let is_terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let subscriber = subscriber.with_ansi(is_terminal).with_filter_reloading();
            let reload = subscriber.reload_handle();
            loggers.begin(base, Box::new(move |filter| reload.reload(filter).map_err(|error| error.to_string())));
            subscriber.init();
        }
        LogFormat::Json => {
            let subscriber = subscriber.json().flatten_event(true).with_filter_reloading();
            let reload = subscriber.reload_handle();
            loggers.begin(base, Box::new(move |filter| reload.reload(filter).map_err(|error| error.to_string())));
            subscriber.init();
        }
    }
}
