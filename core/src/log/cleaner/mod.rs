//! Compaction (`cleanup.policy=compact`): a log keeps the newest record of each key. Kafka's rules, Kafka's files.
//!
//! One log is cleaned at a time, in rounds. A round notes the newest offset of each key of the dirty part (`offset_map`),
//! then walks all segments that can be cleaned (`plan`), keeps of each batch what is needed (`filter`, `transactions`),
//! writes it into new segments (`rewrite`) and puts these into the place of the old ones, one by one (`swap`).
//! The store decides and swaps (`store`); reading and writing go through the reactor in pieces, at their `pace`.
//!
//! Invariants:
//! - Offsets never change, and a segment ends where it ended before.
//! - Only segments that are ended, synced and below the last stable offset are read; the active one never is.
//! - Memory: the offset map, one window to read and one to write, and one batch. All of it is given back after a round.
//! - A cleaned segment is durable before an old one goes. Segments are replaced in order, so a tombstone never goes before
//!   what it deletes.

mod filter;
#[cfg(test)]
mod model_tests;
mod offset_map;
mod pace;
mod plan;
mod rewrite;
mod store;
mod swap;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use self::filter::{Filter, damaged, payload_of};
pub use self::pace::Pace;
use self::plan::{Source, groups};
use self::rewrite::{BatchReader, CleanedFile};
pub use self::store::Dirtiness;
pub use self::swap::CleanedSegment;
pub(crate) use self::swap::{CLEANED_SUFFIX, finish_swaps};
use self::swap::{INDEX_EXTENSIONS, LOG_EXTENSION, file_path};
use self::transactions::CleanedTransactions;
use super::header::BatchHeader;
use super::segment::Segment;
use super::transaction_index;
use super::{LogConfig, LogKey};
use crate::reactor::{File, OpenMode, Reactor};
use crate::record::RawRecords;

/// Work between two turns of the shard: some 50 us of it, for which a request waits.
const SLICE_BYTES: usize = 32 << 10;
/// Bytes of the smallest record with a key, with its share of a batch: how many keys are to be expected.
const RECORD_BYTES_MIN: u64 = 16;

/// Bounds of compaction in one shard.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerConfig {
    /// Memory of the offset map: the shard's part of `log.cleaner.dedupe.buffer.size`.
    pub dedupe_buffer_bytes: usize,
    /// How much of it is used, `log.cleaner.io.buffer.load.factor`.
    pub load_factor: f64,
    /// What is read and what is written at a time, together: the shard's part of `log.cleaner.io.buffer.size`.
    pub io_buffer_bytes: usize,
    /// The shard's part of `log.cleaner.io.max.bytes.per.second`.
    pub io_bytes_per_second: f64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_bytes_per_second: f64::MAX,
        }
    }
}

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// What is there cannot be read, or is not what a log holds, or is gone.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// What stays could not be written, or not be made durable.
    #[error("cannot be written: {0}")]
    Unwritable(io::Error),
}

/// A round over one log, under way. From [`LogStore::begin_cleaning`](super::LogStore::begin_cleaning), which it is to be
/// given back to.
#[derive(Debug)]
pub struct Cleaning {
    key: LogKey,
    reactor: Reactor,
    dir: PathBuf,
    log: Rc<LogConfig>,
    window_bytes: usize,
    sources: Vec<Source>,
    first_dirty_offset: i64,
    filter: Filter,
    /// Of the walk that fills the offset map; gone when that is done.
    transactions: Option<CleanedTransactions>,
    groups: VecDeque<Range<usize>>,
    pace: Pace,
    work: Work,
}

/// What a round has done since the shard had a turn.
#[derive(Debug)]
struct Work {
    reactor: Reactor,
    bytes: usize,
}

impl Work {
    fn new(reactor: &Reactor) -> Self {
        Self { reactor: reactor.clone(), bytes: 0 }
    }

    /// So many bytes of records were looked at.
    async fn did(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= SLICE_BYTES {
            self.bytes = 0;
            self.reactor.yield_now().await;
        }
    }
}

impl Cleaning {
    /// Which log.
    pub fn key(&self) -> LogKey {
        self.key
    }

    /// Writes the next segment; `None` when the round is at its end.
    pub async fn next_segment(&mut self) -> Result<Option<CleanedSegment>, CleanError> {
        if let Some(transactions) = self.transactions.take() {
            self.fill_map(transactions).await?;
        }
        while let Some(group) = self.groups.pop_front() {
            let sources = self.sources[group].to_vec();
            if sources.iter().any(|source| source.size_bytes > 0)
                && let Some(cleaned) = self.rewrite(&sources).await?
            {
                return Ok(Some(cleaned));
            }
        }
        while self.filter.map.release() {
            self.reactor.yield_now().await;
        }
        Ok(None)
    }

    /// Notes the newest offset of each key, as far as there is room.
    async fn fill_map(&mut self, mut transactions: CleanedTransactions) -> io::Result<()> {
        let mut end_offset = self.first_dirty_offset;
        let mut is_full = false;
        for source in self.sources.clone() {
            if source.end_offset <= self.first_dirty_offset {
                continue;
            }
            is_full = self.fill_map_from(&source, &mut transactions, &mut end_offset).await?;
            if is_full {
                break;
            }
            end_offset = source.end_offset;
        }
        if is_full && end_offset == self.first_dirty_offset {
            return Err(damaged("the keys of one batch are too many for log.cleaner.dedupe.buffer.size"));
        }
        self.filter.map.end_offset = end_offset;
        let reached = self.sources.iter().take_while(|source| source.base_offset < end_offset).count();
        self.groups = groups(&self.sources[..reached], &self.log).into();
        Ok(())
    }

    /// Whether the map is full now. `end_offset` is moved behind each batch that is in as a whole.
    async fn fill_map_from(
        &mut self,
        source: &Source,
        transactions: &mut CleanedTransactions,
        end_offset: &mut i64,
    ) -> io::Result<bool> {
        let mut reader = BatchReader::open(&self.reactor, &self.dir, source, self.window_bytes)?;
        while let Some((batch, _)) = reader.next().await? {
            self.pace.spend(&self.reactor, batch.bytes().len()).await;
            if batch.last_offset() < self.first_dirty_offset || transactions.is_spent(&batch) || batch.is_control() {
                continue;
            }
            let payload = payload_of(&batch)?;
            let (mut records, mut hashed) = (RawRecords::new(&payload, batch.record_count()), Vec::new());
            while let Some(bytes) = self.filter.map.take_hashed(&mut records, &mut hashed)? {
                for (record, hash) in &hashed {
                    let offset = batch.base_offset() + i64::from(record.view.offset_delta);
                    if offset >= self.first_dirty_offset
                        && let Some(hash) = hash
                        && !self.filter.map.put(*hash, offset)
                    {
                        return Ok(true);
                    }
                }
                self.work.did(bytes).await;
            }
            *end_offset = batch.next_offset();
        }
        Ok(false)
    }

    /// Writes what stays of neighbouring segments into one. One of them has a batch. `None`: it is a single one, and all of
    /// it stays as it is.
    async fn rewrite(&mut self, sources: &[Source]) -> Result<Option<CleanedSegment>, CleanError> {
        let (first, last) = (sources[0], sources[sources.len() - 1]);
        let last_filled = sources.iter().rfind(|source| source.size_bytes > 0).expect("one has a batch");
        let (reactor, dir) = (self.reactor.clone(), self.dir.clone());
        let (mut log, mut kept_bytes) = (None, 0);
        let mut segment = Segment::new(first.base_offset, self.filter.now_ms);
        let mut out = Vec::new();
        for source in sources {
            let mut reader = BatchReader::open(&reactor, &dir, source, self.window_bytes)?;
            while let Some((batch, is_last)) = reader.next().await? {
                let (start, size_bytes) = (out.len(), batch.bytes().len());
                self.filter.retain(&batch, is_last && source == last_filled, &mut out, &mut self.work).await?;
                if let Some(header) = BatchHeader::parse(&out[start..]) {
                    segment.append(&header, &self.log);
                }
                self.work.did(size_bytes).await;
                if log.is_none() && sources.len() == 1 && out == batch.bytes() {
                    kept_bytes += size_bytes as u64;
                    out.clear();
                    self.pace.spend(&reactor, size_bytes).await;
                    continue;
                }
                self.pace.spend(&reactor, size_bytes + out.len() - start).await;
                let log = match &mut log {
                    Some(log) => log,
                    None => log.insert(self.begin(first.base_offset, kept_bytes).await?),
                };
                if out.len() >= self.window_bytes {
                    log.write(&reactor, std::mem::take(&mut out)).await?;
                }
            }
        }
        let aborted = self.filter.transactions.take_retained();
        let Some(mut log) = log else { return Ok(None) };
        log.write(&reactor, out).await?;
        log.sync(&reactor).await?;
        for (extension, bytes) in INDEX_EXTENSIONS.into_iter().zip(segment.seal_in_memory()) {
            self.write_beside(first.base_offset, extension, bytes).await?;
        }
        if !aborted.is_empty() {
            let bytes = aborted.iter().flat_map(transaction_index::AbortedTransaction::encode).collect();
            self.write_beside(first.base_offset, transaction_index::EXTENSION, bytes).await?;
        }
        reactor.disk().sync_dir(&dir).map_err(CleanError::Unwritable)?;
        let bases = sources.iter().map(|source| source.base_offset).collect();
        Ok(Some(CleanedSegment { segment, sources: bases, end_offset: last.end_offset, aborted }))
    }

    /// The file of a cleaned segment, with what stays of the old one's start as it is.
    async fn begin(&mut self, base_offset: i64, kept_bytes: u64) -> Result<CleanedFile, CleanError> {
        let mut log = CleanedFile::create(&self.reactor, &self.dir, base_offset, LOG_EXTENSION)?;
        let old = file_path(&self.dir, base_offset, LOG_EXTENSION, "");
        let old = File::open(&self.reactor.disk(), &old, OpenMode::READ)?;
        while log.position() < kept_bytes {
            let left = usize::try_from(kept_bytes - log.position()).unwrap_or(usize::MAX);
            let window = vec![0; self.window_bytes.min(left)];
            let (result, mut window) = self.reactor.read(&old, log.position(), window).await;
            match result? as usize {
                0 => return Err(CleanError::Unreadable(io::ErrorKind::UnexpectedEof.into())),
                count => window.truncate(count),
            }
            self.pace.spend(&self.reactor, 2 * window.len()).await;
            log.write(&self.reactor, window).await?;
        }
        Ok(log)
    }

    async fn write_beside(&self, base_offset: i64, extension: &str, bytes: Vec<u8>) -> Result<(), CleanError> {
        let mut file = CleanedFile::create(&self.reactor, &self.dir, base_offset, extension)?;
        file.write(&self.reactor, bytes).await?;
        file.sync(&self.reactor).await
    }
}
