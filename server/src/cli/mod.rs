//! The program's subcommands beside running the broker, and how it parts from the shell.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or a configuration that is refused, 3 a broker that was told twice to stop.

mod client;
mod config_show;
mod consume;
mod doctor;
mod dump;
mod format;
mod logging;
mod output;
mod produce;
mod records;
mod recover;
mod topic;
mod version;

pub use logging::init_logging;
pub use version::version_line;

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::config::{
    BrokerOptions, Command, ConfigCommand, ConfigErrors, DoctorOptions, FormatOptions, Notice, Options, Settings,
    ShowOptions,
};

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
        Command::Doctor(options) => run_doctor(options),
        Command::Config(ConfigCommand::Show(options)) => run_config_show(options),
        Command::Topic(command) => ended(topic::run(command)),
        Command::Produce(options) => ended(produce::run(options)),
        Command::Consume(options) => ended(consume::run(options)),
        Command::Log(command) => ended(dump::run(command)),
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Options::command(), "ringlog", &mut io::stdout());
            ExitCode::SUCCESS
        }
        Command::Recover(options) => match recover::recover(options) {
            Ok(done) => {
                println!("{done}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string()),
        },
    }
}

/// Why a client's command ended without having done what it should.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// A broker was asked in vain.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// What was typed has no meaning here.
    #[error("{0}")]
    Usage(String),
    /// What was read is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// Standard input or output, or a file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether a topic has the partition that somebody asked for.
fn check_partition(topic: &client::TopicInfo, partition: i32) -> Result<(), CommandError> {
    match topic.partition(partition) {
        Some(_) => Ok(()),
        None => Err(CommandError::Usage(format!("{} has no partition {partition}", topic.name))),
    }
}

fn ended(done: Result<(), CommandError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has had enough.
        Err(CommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error @ CommandError::Usage(_)) => {
            eprintln!("ringlog: {error}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(error) => fail(&error.to_string()),
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

fn run_doctor(DoctorOptions { file, overrides, scan, format }: &DoctorOptions) -> ExitCode {
    let broker = BrokerOptions { file: file.clone(), overrides: overrides.clone(), ..BrokerOptions::default() };
    match Settings::from_options(&broker) {
        Ok((settings, notices)) => {
            print_notices(&notices);
            match doctor::examine(&settings, *scan, *format) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => fail(&error.to_string()),
            }
        }
        Err(errors) => refuse(&errors),
    }
}

fn run_config_show(options: &ShowOptions) -> ExitCode {
    let ShowOptions { file, overrides, .. } = options;
    let broker = BrokerOptions { file: file.clone(), overrides: overrides.clone(), ..BrokerOptions::default() };
    match Settings::from_options(&broker) {
        Ok((settings, notices)) => {
            print_notices(&notices);
            match config_show::show(&settings, options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error.to_string()),
            }
        }
        Err(errors) => refuse(&errors),
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
