//! The store's part of compaction: which log is worth a round, and the moments in which a round meets the log.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::super::LogKey;
use super::super::append::is_disk_full;
use super::super::error::StoreError;
use super::super::log::CleanerState;
use super::super::store::{LogState, LogStore, Retired, StoredLog, open_log, opened, unsynced};
use super::filter::Filter;
use super::offset_map::OffsetMap;
use super::pace::Pace;
use super::plan::Dirt;
use super::swap::remove_cleaned;
use super::transactions::CleanedTransactions;
use super::{CleanError, CleanedSegment, CleanerConfig, Cleaning, RECORD_BYTES_MIN, Work};

/// What a look at a log says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dirtiness {
    /// Nothing to do until more is appended.
    Clean,
    /// Something to do later: when time has passed, a transaction has ended, or segments are synced.
    Later,
    /// Worth a round; this part of it is dirty, 0 to 1.
    Due(f64),
}

impl LogStore {
    /// Whether [`LogStore::logs_to_clean`] has any.
    pub fn has_logs_to_clean(&self) -> bool {
        !self.to_clean.is_empty()
    }

    /// Logs that may be worth a round. A log leaves the list when a look finds it clean.
    pub fn logs_to_clean(&self) -> Vec<LogKey> {
        self.to_clean.iter().copied().collect()
    }

    /// Looks at a log. One that was not used yet is not kept open for it.
    pub fn dirtiness(&mut self, key: LogKey) -> Result<Dirtiness, StoreError> {
        let unused = self.stored(key).and_then(StoredLog::unused);
        let dirtiness = self.look(key);
        match (&dirtiness, unused) {
            (Ok(Dirtiness::Due(_) | Dirtiness::Later), _) => {}
            (_, unused) => {
                self.to_clean.remove(&key);
                if let Some(point) = unused
                    && matches!(self.stored(key).map(|stored| &stored.state), Some(LogState::Open(_)))
                {
                    self.put_back(key, point);
                }
            }
        }
        dirtiness
    }

    fn look(&mut self, key: LogKey) -> Result<Dirtiness, StoreError> {
        Ok(match self.dirt(key)? {
            None => Dirtiness::Clean,
            Some((dirt, true)) => Dirtiness::Due(dirt.ratio()),
            Some((dirt, false)) if dirt.waits => Dirtiness::Later,
            Some(_) => Dirtiness::Clean,
        })
    }

    /// What can be cleaned, and whether it is worth it; `None` for a log that is not to be cleaned.
    fn dirt(&mut self, key: LogKey) -> Result<Option<(Dirt, bool)>, StoreError> {
        if self.log_dir_failure.is_reported() {
            return Ok(None);
        }
        let now_ms = self.reactor.wall_clock_ms();
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((beside, log)) = opened else { return Ok(None) };
        if !log.config.is_compacted || log.stopped.is_some() || log.cleaner != CleanerState::Idle {
            return Ok(None);
        }
        let stable_offset = log.producers.first_open_transaction().unwrap_or(i64::MAX).min(*beside.acked_end_offset);
        let unsynced = unsynced(&self.syncing, log);
        let dirt = log.dirt(stable_offset, |base| !unsynced.contains(&base), now_ms, &mut self.files);
        let dirt = dirt.map_err(|error| log.io_error(error))?;
        self.rolled |= dirt.waits_for_sync;
        let is_due = dirt.is_due(&log.config);
        Ok(Some((dirt, is_due)))
    }

    /// Begins a round over a log that is due. `None`: it is not any more.
    pub fn begin_cleaning(&mut self, key: LogKey, config: &CleanerConfig) -> Result<Option<Cleaning>, StoreError> {
        let Some((dirt, true)) = self.dirt(key)? else { return Ok(None) };
        let now_ms = self.reactor.wall_clock_ms();
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((_, log)) = opened else { return Ok(None) };
        let (Some(first), Some(last)) = (dirt.sources.first(), dirt.sources.last()) else { return Ok(None) };
        remove_cleaned(&**self.files.disk(), &log.dir).map_err(|error| log.io_error(error))?;
        log.cleaner = CleanerState::Running;
        let hash_keys = (self.reactor.random_u64(), self.reactor.random_u64());
        let keys_expected = dirt.dirty_bytes / RECORD_BYTES_MIN;
        let aborted = |from| log.aborted.overlapping(from, last.end_offset);
        Ok(Some(Cleaning {
            key,
            reactor: self.reactor.clone(),
            dir: log.dir.clone(),
            log: Rc::clone(&log.config),
            window_bytes: (config.io_buffer_bytes / 2).max(1),
            first_dirty_offset: dirt.first_dirty_offset,
            filter: Filter {
                map: OffsetMap::new(config.dedupe_buffer_bytes, config.load_factor, keys_expected, hash_keys),
                transactions: CleanedTransactions::new(aborted(first.base_offset)),
                last_records: log.producers.last_records(),
                now_ms,
                delete_retention_ms: log.config.delete_retention_ms,
            },
            transactions: Some(CleanedTransactions::new(aborted(dirt.first_dirty_offset))),
            groups: VecDeque::new(),
            pace: Pace::new(config.io_bytes_per_second),
            work: Work::new(&self.reactor),
            sources: dirt.sources,
        }))
    }

    /// Puts a cleaned segment into its place, and returns the files that are to be removed after a delay. `None`: the log
    /// is not there any more, and the round is at its end.
    pub fn swap_in(&mut self, key: LogKey, cleaned: CleanedSegment) -> Result<Option<Retired>, StoreError> {
        let Some(log) = opened(&mut self.logs, key) else { return Ok(None) };
        // After a failed sync nobody knows whether the segment is on the device.
        if log.cleaner != CleanerState::Running || log.stopped.is_some() || self.log_dir_failure.is_reported() {
            return Ok(None);
        }
        match log.swap_in(cleaned, &mut self.files) {
            Ok(files) => {
                let delay_ms = log.config.file_delete_delay_ms;
                Ok(files.map(|files| Retired { files, delay_ms, is_bounded: false }))
            }
            Err(error) => {
                // Which of its names are durable is not known: the next start finds out.
                log.stop(&error);
                let store_error = StoreError::Io { path: log.dir.clone(), source: io::Error::from(error.kind()) };
                self.fail(&error);
                Err(store_error)
            }
        }
    }

    /// Ends a round. One that failed is tried again later if the disk was full, else not before the log was opened anew.
    pub fn end_cleaning(&mut self, cleaning: Cleaning, result: Result<(), CleanError>) {
        let Some(log) = opened(&mut self.logs, cleaning.key) else { return };
        if log.cleaner != CleanerState::Running {
            return;
        }
        log.cleaner = CleanerState::Idle;
        self.to_clean.insert(cleaning.key);
        let Err(error) = result else {
            log.cleaned_offset = cleaning.filter.map.end_offset;
            log.cleaned_moved = true;
            self.rolled = true;
            return;
        };
        tracing::error!(folder = %log.dir.display(), %error, "a log cannot be compacted");
        if let Err(error) = remove_cleaned(&**self.files.disk(), &log.dir) {
            tracing::warn!(folder = %log.dir.display(), %error, "what compaction has left is removed later");
        }
        match error {
            CleanError::Unwritable(error) if is_disk_full(&error) => {}
            CleanError::Unwritable(error) => {
                log.cleaner = CleanerState::Failed;
                self.fail(&error);
            }
            CleanError::Unreadable(_) => log.cleaner = CleanerState::Failed,
        }
    }

    /// No round that is under way goes on.
    pub(in super::super) fn stop_cleaning(&mut self) {
        for stored in self.logs.iter_mut().flatten() {
            if let LogState::Open(log) = &mut stored.state {
                log.cleaner = CleanerState::Idle;
            }
        }
    }
}
