//! The commit log of one shard: what makes an ack survive a power cut at the price of one write for many partitions.
//!
//! Entries of all partitions of the shard are copied once into aligned staging memory, written in groups (what came in
//! while earlier writes were under way is the next group; no timer), and are durable when their write and all earlier
//! ones are. Segments follow behind; what they have synced is released, and files are used again.
//! Format and rules: `docs/log-format.md`.
//!
//! It never knows what a payload means, and never reads its own files while it runs: [`verify`] does, before
//! [`CommitLog::open`].
//!
//! Invariants:
//! - `oldest_unreleased() <= durable_lsn() <= next_lsn()`; none of them moves back.
//! - After the first failed write nothing is accepted and nothing becomes durable until the log was recovered and opened again.

mod discarded;
mod extents;
mod file;
mod format;
mod handle;
mod index;
#[cfg(test)]
mod reactor_tests;
mod reader;
mod recycle;
#[cfg(test)]
mod tests;
mod writer;

pub use discarded::{discard_all, remove_discarded};
pub use extents::{Extent, ExtentReader, LogFileId};
pub use format::{EntryHeader, EntryKind, SegmentRange};
pub use handle::{CommitLog, OpenError};
pub use index::{MaxTimestamp, Run};
pub use reader::{
    Apply, Damage, FoundRun, RecoverError, RecoverMode, RecoveredLog, RecoveryReport, VerifiedLogs, verify,
};

use std::io;
use std::path::{Path, PathBuf};

/// Number of an entry in the log of one shard since it was opened. As a bound it is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// Sizes and bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLogConfig {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// How many files, at least 2. Their product is what the disk must have room for.
    pub file_count: u32,
    /// Largest payload of one entry.
    pub entry_bytes_max: usize,
    /// A group is written when it would exceed this (one larger entry still fits).
    pub write_bytes_max: usize,
    /// Operations in the driver at a time: 1 or 2 for least CPU, up to 4 for most acks.
    pub writes_in_flight_max: usize,
    /// Bytes of one staging chunk.
    pub chunk_bytes: usize,
    /// Bound on staging memory, with what callers still hold of it.
    pub staging_bytes_max: usize,
    /// Staging chunks kept for reuse.
    pub warm_chunks_max: usize,
    /// Whether files are filled with zeros in the background (given up where O_DIRECT is refused or the disk is full).
    pub prewrite: bool,
}

impl Default for CommitLogConfig {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            file_count: 4,
            entry_bytes_max: 4 << 20,
            write_bytes_max: 1 << 20,
            writes_in_flight_max: 2,
            chunk_bytes: 512 << 10,
            staging_bytes_max: 32 << 20,
            warm_chunks_max: 8,
            prewrite: true,
        }
    }
}

impl CommitLogConfig {
    /// Panics on values that cannot work together: they come from code, not from users.
    fn check(&self) {
        let block = format::BLOCK as u64;
        let largest = (self.entry_bytes_max + format::WRITE_HEADER + format::ENTRY_HEADER) as u64;
        assert!(self.file_count >= 2 && self.file_bytes.is_multiple_of(block));
        assert!(largest.next_multiple_of(block) + u64::from(self.file_count) * block <= self.file_bytes);
        assert!(largest.next_multiple_of(block) as usize + self.chunk_bytes <= self.staging_bytes_max);
        assert!(self.writes_in_flight_max >= 1 && u32::try_from(self.file_bytes).is_ok());
    }
}

/// Why an entry was not taken. Nothing of it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitLogError {
    /// All files hold entries that no segment has synced yet. Sync segments, call `release_before`, push again.
    #[error("the commit log is full until segments are synced")]
    Full,
    /// Staging memory is all in use. Drop bytes that earlier pushes returned (write them to segments), push again.
    #[error("the commit log's staging memory is in use")]
    Memory,
    /// The disk has no room. Entries taken before become durable, and pushes succeed, once it has.
    #[error("no space left on the disk of the commit log")]
    NoSpace,
    /// A write failed: nothing is acked any more until the log was recovered and opened again.
    #[error("the commit log failed: {0}")]
    Failed(io::ErrorKind),
    /// More than an entry may hold.
    #[error("an entry of {len} bytes exceeds the commit log's limit of {max}")]
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// How near the log is to its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    /// Files that hold nothing, also those that are just filled with zeros.
    pub files_free: usize,
    /// All files.
    pub files_count: usize,
    /// Bytes in the file that is written now.
    pub active_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Releasing up to here frees the oldest full file; `None` when no file is full.
    pub oldest_file_end: Option<Lsn>,
}

/// What the log has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Entries taken.
    pub entries: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Operations given to the driver.
    pub writes: u64,
    /// Bytes of these, with headers and padding.
    pub written_bytes: u64,
    /// Zeros that only fill blocks.
    pub padding_bytes: u64,
    /// Writes without entries.
    pub checkpoints: u64,
    /// Files filled with zeros.
    pub files_prewritten: u64,
    /// Writes that met a full disk.
    pub no_space: u64,
}

/// The file of a slot.
fn file_path(dir: &Path, shard_id: u16, slot: u32) -> PathBuf {
    dir.join(format!("commit-{shard_id}-{slot}.log"))
}

/// Shard and slot of a file name; `None` for other files.
fn parse_file_name(name: &str) -> Option<(u16, u32)> {
    let (shard_id, slot) = name.strip_prefix("commit-")?.strip_suffix(".log")?.split_once('-')?;
    Some((shard_id.parse().ok()?, slot.parse().ok()?))
}
