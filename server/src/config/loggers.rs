//! Levels of the broker's own log, by logger: what `kafka-configs --entity-type broker-loggers` shows and alters. A logger
//! is a module of the program, or `root` for all others.
//!
//! Levels that are altered end with the process, as in Kafka.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The logger of everything that has no level of its own.
const ROOT: &str = "root";

/// All loggers, sorted. Their names have dots, since kafka-configs takes no colons.
pub const LOGGERS: &[&str] = &[
    "ringlog_core",
    "ringlog_core.log",
    "ringlog_core.reactor",
    "ringlog_core.shard",
    "ringlog_server",
    "ringlog_server.broker",
    "ringlog_server.coordinator",
    "ringlog_server.handlers",
    "ringlog_server.http",
    "ringlog_server.metadata",
    "ringlog_server.net",
    "ringlog_server.partition",
    "ringlog_server.quota",
    ROOT,
];

/// Kafka's levels, with those of the filter.
const LEVELS: [(&str, &str); 6] = [
    ("FATAL", "error"),
    ("ERROR", "error"),
    ("WARN", "warn"),
    ("INFO", "info"),
    ("DEBUG", "debug"),
    ("TRACE", "trace"),
];

/// Puts a filter in force; says why it cannot.
pub type Apply = Box<dyn Fn(&str) -> Result<(), String> + Send>;

/// The levels of one process. Clones are the same.
#[derive(Clone, Default)]
pub struct Loggers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The filter of the start.
    base: String,
    altered: BTreeMap<&'static str, &'static str>,
    apply: Option<Apply>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loggers").field(&self.state().filter()).finish()
    }
}

impl PartialEq for Loggers {
    /// The same process's.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Loggers {}

impl Loggers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The filter of the start, and how to put another one in force.
    pub fn begin(&self, base: String, apply: Apply) {
        let mut state = self.state();
        (state.base, state.apply) = (base, Some(apply));
    }

    /// Each logger with its level.
    pub fn levels(&self) -> Vec<(&'static str, &'static str)> {
        let state = self.state();
        LOGGERS.iter().map(|logger| (*logger, state.level(logger))).collect()
    }

    /// Gives a logger a level, or with `None` that of `root`; with `validate_only` says what would happen.
    pub fn alter(&self, logger: &str, level: Option<&str>, validate_only: bool) -> Result<(), String> {
        let known = LOGGERS.iter().find(|known| **known == logger);
        let logger = known.ok_or_else(|| format!("Logger {logger} does not exist!"))?;
        let level = level.map(|level| {
            let known = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(level));
            let names = LEVELS.map(|(name, _)| name).join(", ");
            known.ok_or_else(|| format!("Cannot set the log level of {logger} to {level}: it is none of {names}"))
        });
        let level = level.transpose()?;
        if level.is_none() && *logger == ROOT {
            return Err(format!("Removing the log level of the {ROOT} logger is not allowed"));
        }
        if validate_only {
            return Ok(());
        }
        let mut state = self.state();
        match level {
            Some((name, _)) => _ = state.altered.insert(logger, name),
            None => _ = state.altered.remove(logger),
        }
        let filter = state.filter();
        state.apply.as_ref().map_or(Ok(()), |apply| apply(&filter))
    }
}

impl State {
    /// Later parts count before earlier ones of the same module.
    fn filter(&self) -> String {
        let directive = |(logger, level): (&&str, &&str)| {
            let (_, level) = LEVELS.iter().find(|(name, _)| name == level).expect("only these are set");
            if *logger == ROOT { format!(",{level}") } else { format!(",{}={level}", logger.replace('.', "::")) }
        };
        self.altered.iter().map(directive).fold(self.base.clone(), |filter, directive| filter + &directive)
    }

    /// Of the logger, else of the nearest one around it, else of all.
    fn level(&self, logger: &str) -> &'static str {
        let mut name = logger;
        loop {
            if let Some(level) = self.altered.get(name) {
                return level;
            }
            let parts = self.base.split(',').rev().filter_map(|part| part.trim().split_once('='));
            if let Some(level) =
                parts.filter(|(module, _)| module.replace("::", ".") == name).find_map(|(_, level)| named(level))
            {
                return level;
            }
            match name.rsplit_once('.') {
                Some((around, _)) => name = around,
                None => break,
            }
        }
        let of_all = self.base.split(',').rev().find_map(|part| named(part.trim()));
        self.altered.get(ROOT).copied().or(of_all).unwrap_or("ERROR")
    }
}

/// Kafka's name of a level of the filter.
fn named(level: &str) -> Option<&'static str> {
    let known = LEVELS.iter().skip(1).find(|(_, of_filter)| of_filter.eq_ignore_ascii_case(level));
    known.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(loggers: &Loggers, logger: &str) -> &'static str {
        loggers.levels().iter().find(|(name, _)| *name == logger).expect("a logger").1
    }

    #[test]
    fn levels_are_altered_and_the_filter_says_so() {
        let loggers = Loggers::default();
        let applied = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&applied);
        let apply = move |filter: &str| {
            *into.lock().unwrap() = filter.to_owned();
            Ok(())
        };
        loggers.begin("info,ringlog_server::net=warn".to_owned(), Box::new(apply));
        assert_eq!((level(&loggers, "root"), level(&loggers, "ringlog_server.net")), ("INFO", "WARN"));
        loggers.alter("ringlog_server", Some("debug"), false).unwrap();
        loggers.alter("root", Some("ERROR"), false).unwrap();
        loggers.alter("root", Some("TRACE"), true).unwrap();
        assert_eq!(*applied.lock().unwrap(), "info,ringlog_server::net=warn,ringlog_server=debug,error");
        let expected = [("root", "ERROR"), ("ringlog_server.quota", "DEBUG"), ("ringlog_server.net", "WARN")];
        for (logger, expected) in expected {
            assert_eq!(level(&loggers, logger), expected, "{logger}");
        }
        assert_eq!(level(&loggers, "ringlog_core"), "ERROR");
        loggers.alter("ringlog_server", None, false).unwrap();
        assert_eq!(level(&loggers, "ringlog_server.quota"), "ERROR");
    }

    #[test]
    fn what_there_is_not_is_refused() {
        let loggers = Loggers::default();
        for (logger, level, text) in [
            ("kafka.server", Some("INFO"), "does not exist"),
            ("root", Some("LOUD"), "none of FATAL"),
            ("root", None, "not allowed"),
        ] {
            let error = loggers.alter(logger, level, false).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn loggers_are_folders_of_the_program() {
        assert!(LOGGERS.is_sorted());
        for logger in LOGGERS.iter().filter_map(|logger| logger.strip_prefix("ringlog_")) {
            let folder = logger.replacen('.', "/src/", 1);
            let path = format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&path).is_dir(), "{path}");
        }
    }
}
