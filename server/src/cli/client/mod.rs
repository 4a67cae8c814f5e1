//! A small blocking client, for the commands that talk to brokers: any broker of Kafka's protocol, not only ours.
//!
//! It knows topics by name, asks the leader of each partition, and waits a bounded time for every answer.

mod cluster;
mod connection;

pub(super) use cluster::{Cluster, PartitionInfo, TopicInfo};
pub(super) use connection::{Answer, Connection};

use std::io;

use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{DecodeError, EncodeError};

/// Why a broker could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// It cannot be reached, or is gone.
    #[error("{address}: {source}")]
    Io { address: String, source: io::Error },
    /// It has no version of an API that this client speaks.
    #[error("{address} does not know {api_key:?} in a version that this command speaks")]
    Version { address: String, api_key: ApiKey },
    /// Its answer is not one.
    #[error("an answer cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The request cannot be written.
    #[error("a request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// Its answer is not to the request.
    #[error("{0} answers something else than it was asked")]
    Confused(String),
    /// It says no.
    #[error("{what}: {}", refusal(*code, message))]
    Refused { what: String, code: ErrorCode, message: String },
}

fn refusal(code: ErrorCode, message: &str) -> String {
    if message.is_empty() { code.to_string() } else { format!("{code}: {message}") }
}

/// Ok for no error, else what was refused.
pub(super) fn check(what: &str, code: ErrorCode, message: Option<&str>) -> Result<(), ClientError> {
    if code.is_none() {
        return Ok(());
    }
    Err(ClientError::Refused { what: what.to_owned(), code, message: message.unwrap_or_default().to_owned() })
}
