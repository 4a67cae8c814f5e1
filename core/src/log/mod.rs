//! One partition's log in Apache Kafka's files, and the commit log that makes acks durable.
//!
//! [`LogStore`] is the door: all logs of one shard. Below it: `log` (one log) made of `segment`s, `append`, `read`, and the
//! `tail` of batches that are not in a segment file yet.

mod append;
mod checkpoints;
mod config;
mod descriptors;
mod error;
mod header;
#[expect(clippy::module_inception, reason = "one partition's log, the folder's subject")]
mod log;
mod read;
mod scan;
mod segment;
mod state;
mod store;
mod tail;
mod timestamps;

pub use append::Appended;
pub use checkpoints::{ClosedLog, write_checkpoints};
pub use config::{Durability, LogConfig, LogKey, LogSpec, StoreConfig};
pub use error::{AppendError, ReadError, StoreError};
pub use store::{ColdRead, FailedAppend, LogStore, ReadResult};

#[cfg(test)]
mod store_tests;
