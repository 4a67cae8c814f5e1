//! `ringlog`, the broker: parse the command line, start the shards, wait.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ringlog_server::cli;
use ringlog_server::config::{Options, Settings};

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(command) = &options.command {
        return cli::run(command);
    }
    match Settings::from_options(&options.broker) {
        Ok((_settings, notices)) => {
            cli::print_notices(&notices);
            ExitCode::SUCCESS
        }
        Err(errors) => cli::refuse(&errors),
    }
}
