//! `ringlog doctor`: looks for what keeps a broker from starting, or from being fast, on this machine and with this
//! configuration. It changes nothing that stays.

mod directory;
mod logs;
mod machine;
mod network;

use std::io::{self, Write};

use serde::Serialize;

use super::output::print_json;
use crate::config::{OutputFormat, Settings};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// A broker starts, with less than it could have.
    Warning,
    /// A broker does not start, or records are damaged.
    Failure,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), fix: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn failure(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failure, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Looks, and prints. Whether a broker can start.
pub(super) fn examine(settings: &Settings, scan: bool, format: OutputFormat) -> io::Result<bool> {
    let mut checks = machine::checks(settings);
    checks.extend(directory::checks(settings, scan));
    checks.extend(network::checks(settings));
    match format {
        OutputFormat::Json => print_json(&checks)?,
        OutputFormat::Text => print_text(&checks)?,
    }
    Ok(checks.iter().all(|check| check.verdict != Verdict::Failure))
}

fn print_text(checks: &[Check]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for Check { name, verdict, found, fix } in checks {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failure => "FAILURE",
        };
        writeln!(stdout, "{word:8} {name:width$}  {found}")?;
        if let Some(fix) = fix {
            writeln!(stdout, "{:8} {:width$}  -> {fix}", "", "")?;
        }
    }
    Ok(())
}
