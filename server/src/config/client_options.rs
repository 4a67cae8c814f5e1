//! The options of the commands that talk to a broker, or read its files, without being one.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::OutputFormat;
use super::options::key_value;

/// Where the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClusterOptions {
    /// Any broker of the cluster
    #[arg(long, short = 'b', value_name = "HOST:PORT", default_value = "localhost:9092", env = "RINGLOG_BOOTSTRAP")]
    pub bootstrap: String,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}

/// `ringlog topic`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TopicCommand {
    /// Lists the topics
    List {
        /// Where the cluster is.
        #[command(flatten)]
        cluster: ClusterOptions,
        /// Lists those of the broker too, as __consumer_offsets
        #[arg(long)]
        internal: bool,
    },
    /// Shows partitions, offsets and what is set for topics
    Describe {
        /// Where the cluster is.
        #[command(flatten)]
        cluster: ClusterOptions,
        /// The topics
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,
    },
    /// Creates topics
    Create(CreateOptions),
    /// Deletes topics with all their records
    Delete {
        /// Where the cluster is.
        #[command(flatten)]
        cluster: ClusterOptions,
        /// The topics
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,
    },
    /// Adds partitions, sets and unsets configs
    Alter(AlterOptions),
}

/// Options of `ringlog topic create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CreateOptions {
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Partitions of each; the broker's default if not given
    #[arg(long, short = 'p', default_value = "-1", hide_default_value = true, allow_negative_numbers = true)]
    pub partitions: i32,
    /// Replicas of each partition; the broker's default if not given
    #[arg(long, short = 'r', default_value = "-1", hide_default_value = true, allow_negative_numbers = true)]
    pub replicas: i16,
    /// Sets a config; may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = key_value)]
    pub configs: Vec<(String, String)>,
}

/// Options of `ringlog topic alter`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct AlterOptions {
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Partitions that it shall have, more than it has
    #[arg(long, short = 'p', group = "change")]
    pub partitions: Option<i32>,
    /// Sets a config; may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = key_value, group = "change")]
    pub configs: Vec<(String, String)>,
    /// Goes back to the broker's value of a config; may be repeated
    #[arg(long = "unset", value_name = "KEY", group = "change")]
    pub unset: Vec<String>,
}

/// The codecs of batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Options of `ringlog produce`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: printf 'a:1\\nb:2\\n' | ringlog produce orders -k :")]
pub struct ProduceOptions {
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// The topic; each line of standard input becomes a record
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// What stands between key and value; without it, records have no key
    #[arg(long, short = 'k', value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// All records go there; otherwise by the hash of the key as in Java, or in turns
    #[arg(long, short = 'p')]
    pub partition: Option<i32>,
    /// A header of every record; may be repeated
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE", value_parser = key_value)]
    pub headers: Vec<(String, String)>,
    /// An empty value is null, which deletes the key of a compacted topic
    #[arg(long, short = 'Z')]
    pub empty_is_null: bool,
    /// The codec of batches
    #[arg(long, short = 'z', default_value = "none")]
    pub compression: Compression,
}

/// Which records of transactions a reader is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// All.
    #[default]
    ReadUncommitted,
    /// Those of transactions that were committed, up to the first that is still open.
    ReadCommitted,
}

impl IsolationLevel {
    /// As requests carry it.
    pub fn wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Options of `ringlog consume`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = CONSUME_HELP)]
pub struct ConsumeOptions {
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Only this partition; may be repeated
    #[arg(long = "partition", short = 'p', value_name = "N")]
    pub partitions: Vec<i32>,
    /// Where to begin: start, end, an offset, -N for the last N of each partition, or @TIME in milliseconds since 1970
    #[arg(long, short = 'o', value_name = "OFFSET", default_value = "start", allow_hyphen_values = true)]
    pub offset: String,
    /// Ends after so many records
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Ends at what was the end when it began, instead of waiting for more
    #[arg(long, short = 'e')]
    pub exit_at_end: bool,
    /// read_committed leaves out what transactions aborted, and ends at the first that is still open
    #[arg(long, value_name = "LEVEL", default_value = "read_uncommitted")]
    pub isolation_level: IsolationLevel,
    /// How each record is printed
    #[arg(long, short = 'f', value_name = "PATTERN", default_value = "%v\\n")]
    pub pattern: String,
}

const CONSUME_HELP: &str = "\
In PATTERN: %v value, %k key, %h headers, %t topic, %p partition, %o offset, %T time in milliseconds, %% a percent sign,
\\n line end, \\t tab, \\0 zero byte. --format json prints one object per line instead.

Example: ringlog consume orders -o -10 -e -f '%p/%o %k = %v\\n'";

/// `ringlog log`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LogCommand {
    /// Shows what is in files of a data directory: .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint
    Dump {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Shows the records of batches too; those of the metadata log are decoded
        #[arg(long, short = 'r')]
        records: bool,
        /// How it is printed: json is one object per line
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: OutputFormat,
    },
}
