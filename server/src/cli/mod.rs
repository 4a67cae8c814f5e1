//! The program's subcommands beside running the broker, and how it parts from the shell.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or a configuration that is refused.

mod format;
mod recover;
mod version;

pub use format::node_config;
pub use version::version_line;

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::config::{Command, ConfigErrors, FormatOptions, Notice, Settings};

/// Wrong usage, or a configuration that is refused.
pub const EXIT_USAGE: u8 = 2;

/// Runs a subcommand.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Version => {
            println!("{}", version_line());
            ExitCode::SUCCESS
        }
        Command::Format(options) => run_format(options),
        Command::Recover(options) => match recover::recover(options) {
            Ok(done) => {
                println!("{done}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        },
    }
}

fn run_format(options: &FormatOptions) -> ExitCode {
    let settings = match Settings::from_format_options(options) {
        Ok((settings, notices)) => {
            print_notices(&notices);
            settings
        }
        Err(errors) => return refuse(&errors),
    };
    match format::format(options, &settings) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Tells on stderr why a configuration is refused.
pub fn refuse(errors: &ConfigErrors) -> ExitCode {
    for error in &errors.0 {
        eprintln!("ringlog: {error}");
    }
    ExitCode::from(EXIT_USAGE)
}

/// Tells on stderr what the user should know about an accepted configuration.
pub fn print_notices(notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::Warning(text) => eprintln!("ringlog: warning: {text}"),
            Notice::Info(text) => eprintln!("ringlog: {text}"),
        }
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("ringlog: {reason}");
    ExitCode::FAILURE
}

/// Logs go to standard error; `RUST_LOG` says which (`info` if it is not set).
pub fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal).init();
}
