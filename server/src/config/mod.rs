//! What the user wrote ([`Options`], `server.properties`) and what it means for the broker ([`Settings`]), under the names of
//! Kafka's `server.properties`.
//!
//! Invariants:
//! - What promises something that is not there refuses to start and names the key; nothing is ignored in silence.
//! - A value comes from the command line, then `--override`, then the environment, then the file, then Kafka's default.

mod client_options;
mod connections;
mod definitions;
mod environment;
mod groups;
mod listeners;
mod loggers;
mod metadata_log;
mod options;
mod properties;
mod settings;
mod sources;
mod values;

pub use client_options::{
    AlterOptions, ClusterOptions, Compression, ConsumeOptions, CreateOptions, IsolationLevel, LogCommand,
    ProduceOptions, TopicCommand,
};
pub use connections::{ConnectionsMax, check_connections_at_runtime};
pub use definitions::{
    ConfigDef, broker_config, check_group_config, check_topic_config, group_config, nearest_broker_config, topic_config,
};
pub use groups::{ConsumerTimes, GroupSettings, MigrationPolicy, consumer_assignment_interval_ms};
pub use listeners::{Endpoint, HttpListener, Listener};
pub use loggers::Loggers;
pub use metadata_log::MetadataLogConfig;
pub use options::{
    BrokerOptions, Command, ConfigCommand, DoctorOptions, FormatOptions, Options, OutputFormat, RecoverOptions,
    ShowOptions,
};
pub use properties::{Origin, Properties, Property};
pub use settings::{Durability, FormatPolicy, Io, LogFormat, Quorum, Settings, what_is_not_there_at_runtime};
pub use sources::{ConfigSource, ConfigSources, ConfigSynonym, DescribedConfig, DynamicConfigs};
pub use values::parse_size;

use std::path::PathBuf;

/// Why the configuration is refused. Each names its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The value does not have the form that its key needs.
    #[error("{key}={value}: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// As it was written.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key asks for something that Ringlog does not do.
    #[error("{key}: {reason}, so the broker does not start with it")]
    NotThere {
        /// The key.
        key: String,
        /// What is missing.
        reason: String,
    },
    /// Two keys contradict each other.
    #[error("{key}: {reason}")]
    Contradiction {
        /// The key.
        key: String,
        /// The other side.
        reason: String,
    },
}

impl ConfigError {
    /// The key that is to be changed, when there is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Invalid { key, .. } | Self::NotThere { key, .. } | Self::Contradiction { key, .. } => Some(key),
        }
    }
}

/// All reasons at once, one per line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// Something the user should know about a configuration that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Probably not what was meant.
    Warning(String),
    /// Accepted, and has no effect here.
    Info(String),
}
