//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::client_options::{ConsumeOptions, LogCommand, ProduceOptions, TopicCommand};

/// A Kafka-wire-compatible message broker.
#[derive(Debug, Clone, Parser)]
#[command(name = "ringlog", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Options {
    /// Running the broker is what happens without a subcommand.
    #[command(flatten)]
    pub broker: BrokerOptions,
    /// Everything else.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str = "\
Every KEY can be an environment variable too, as in the Apache Kafka image: KAFKA_NUM_PARTITIONS=16.
Exit codes: 0 done, 1 failed, 2 wrong usage or a configuration that is refused, 3 told twice to stop.";

/// Options of a broker that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct BrokerOptions {
    /// server.properties, as with kafka-server-start; without it, ./ringlog-data is used on 127.0.0.1:9092
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// The same as FILE
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, over what the file says; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub overrides: Vec<(String, String)>,
    /// Number of shards (threads); by default one per core that this process may use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: Option<u16>,
    /// Memory for the whole broker, for example 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = super::parse_size)]
    pub memory: Option<u64>,
    /// Formats the data directory first if it is empty
    #[arg(long)]
    pub format: bool,
    /// Takes a directory of Apache Kafka over although transactions have not ended in it
    #[arg(long)]
    pub accept_open_transactions: bool,
}

impl BrokerOptions {
    /// The file with the settings, in whichever way it was named.
    pub fn properties_file(&self) -> Option<&PathBuf> {
        self.config.as_ref().or(self.file.as_ref())
    }
}

/// The subcommands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Formats the data directory of a new cluster, as kafka-storage format --standalone does
    Format(FormatOptions),
    /// Makes a data directory clean after a crash, without serving it: then Apache Kafka can be started on it
    Recover(RecoverOptions),
    /// Looks for what keeps a broker from starting or from being fast here, and says how to mend it
    Doctor(DoctorOptions),
    /// Shows the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Lists, describes, creates, deletes and alters topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Sends lines of standard input as records
    Produce(ProduceOptions),
    /// Prints records
    Consume(ConsumeOptions),
    /// Looks into the files of logs
    #[command(subcommand)]
    Log(LogCommand),
    /// Prints a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the version
    Version,
}

/// `ringlog config`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Shows the configuration that a broker would start with
    Show(ShowOptions),
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Options of `ringlog config show`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ShowOptions {
    /// server.properties; without it, what a start without a file means
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Sets one key, over what the file says; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub overrides: Vec<(String, String)>,
    /// Says where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// Shows the keys that have no effect here too
    #[arg(long)]
    pub all: bool,
    /// How it is printed: text is a properties file, or with --origin a table
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}

/// Options of `ringlog doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(
    after_help = "Exit codes: 0 a broker can start, 1 it cannot or records are damaged, 2 the configuration is refused."
)]
pub struct DoctorOptions {
    /// server.properties; without it, what a start without a file means
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Sets one key, over what the file says; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub overrides: Vec<(String, String)>,
    /// Reads all batches in the data directory and compares their CRCs
    #[arg(long)]
    pub scan: bool,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}

/// Options of `ringlog format`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct FormatOptions {
    /// server.properties; without it, ./ringlog-data is formatted
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, over what the file says; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub overrides: Vec<(String, String)>,
    /// The id of the cluster, as kafka-storage random-uuid prints it; by default a new one
    #[arg(long, short = 't', value_name = "ID")]
    pub cluster_id: Option<String>,
    /// Says nothing about a directory that is already formatted
    #[arg(long, short = 'g')]
    pub ignore_formatted: bool,
}

/// Options of `ringlog recover`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_help = RECOVER_HELP)]
pub struct RecoverOptions {
    /// The data directory (log.dirs) of a broker that is not running
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

const RECOVER_HELP: &str = "\
Brings what was acked from the commit logs into the segments, syncs everything, writes Kafka's checkpoints and the mark
of a clean stop, and removes DIR/.ringlog. A clean directory stays as it is. A broker does the same when it starts.
Nothing is changed, and the exit code is 1, when a broker runs on DIR or acked data is damaged.

Example: ringlog recover /var/lib/ringlog && kafka-server-start.sh server.properties";

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("not of the form KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once(&"ringlog").chain(arguments))
    }

    #[test]
    fn flag_and_positional_name_the_same_file() {
        let positional = parse(&["a.properties", "--override", "num.partitions=16"]).unwrap().broker;
        let flag = parse(&["--config", "a.properties", "--override", "num.partitions=16"]).unwrap().broker;
        assert_eq!(positional.properties_file(), flag.properties_file());
        assert_eq!(positional.overrides, [("num.partitions".to_owned(), "16".to_owned())]);
        assert!(parse(&["a", "--config", "b"]).is_err());
    }

    #[test]
    fn usage_errors_exit_with_2() {
        for arguments in [&["--shards", "0"][..], &["--override", "x"], &["--memory", "much"], &["--nonsense"]] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn subcommands_stand_beside_the_broker() {
        assert_eq!(parse(&["version"]).unwrap().command, Some(Command::Version));
        assert!(matches!(parse(&["recover", "d"]).unwrap().command, Some(Command::Recover(o)) if o.dir.ends_with("d")));
        assert_eq!(parse(&["recover"]).unwrap_err().exit_code(), 2);
        assert!(matches!(parse(&["format", "-t", "x"]).unwrap().command, Some(Command::Format(_))));
        assert_eq!(parse(&["--memory", "2G"]).unwrap().broker.memory, Some(2 << 30));
        assert_eq!(parse(&[]).unwrap().broker, BrokerOptions::default());
    }
}
