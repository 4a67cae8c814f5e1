//! What can be wrong with the metadata log.

use std::io;
use std::path::PathBuf;

use ringlog_core::wire::DecodeError;

use super::super::image::ReplayError;

/// Why the metadata log cannot be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Damage in front of data that was synced later.
    #[error("{}: damaged at byte {position}, in front of later batches; nothing was cut off", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Where.
        position: u64,
    },
    /// A snapshot is damaged or not whole, and there is no older one that the log goes on from.
    #[error("{}: damaged, and the log does not reach back to what is in it; nothing was changed", .0.display())]
    DamagedSnapshot(PathBuf),
    /// The records in front of the log are nowhere.
    #[error("{}: the metadata log begins at offset {start_offset}, and no snapshot reaches there", folder.display())]
    NoSnapshot {
        /// Of the log.
        folder: PathBuf,
        /// Where the log begins.
        start_offset: i64,
    },
    /// A record that cannot be read.
    #[error("metadata offset {offset}: {source}")]
    Record {
        /// Its offset.
        offset: i64,
        /// Why.
        source: DecodeError,
    },
    /// A record that does not fit the state.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A compressed batch, which Kafka never writes here.
    #[error("metadata offset {0}: a compressed batch")]
    Compressed(i64),
    /// `quorum-state` is there and cannot be read.
    #[error("{}: not readable", .0.display())]
    QuorumState(PathBuf),
    /// A write failed before.
    #[error("the metadata log has failed and takes nothing more")]
    Failed,
}
