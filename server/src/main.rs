//! `ringlog`, the broker: parse the command line, start the shards, wait.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ringlog_server::config::{Options, Settings};
use ringlog_server::{broker, cli};

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(command) = &options.command {
        return cli::run(command);
    }
    match Settings::from_options(&options.broker) {
        Ok((settings, notices)) => {
            ringlog_core::buffer::keep_freed_memory();
            cli::init_logging(settings.log_format, settings.log_level.as_deref(), &settings.loggers);
            cli::print_notices(&notices);
            match broker::run(settings) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("ringlog: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(errors) => cli::refuse(&errors),
    }
}
