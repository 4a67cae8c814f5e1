//! Reads: batches, offsets by timestamp or leader epoch, where readers of committed data stop, a log's producers.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use super::super::error::{ReadError, StoreError};
use super::super::producer_state::ProducerInfo;
use super::super::{AbortedTransaction, LogKey};
use super::{LogStore, open_log};
use crate::reactor::Pieces;

/// A read that waits for the device.
pub type ColdRead = Pin<Box<dyn Future<Output = Result<Pieces, ReadError>>>>;

/// What a read gives.
pub enum ReadResult {
    /// Whole batches, in order; empty at the bound.
    Ready(Pieces),
    /// Not in memory: the future yields the same.
    Cold(ColdRead),
}

impl fmt::Debug for ReadResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(pieces) => formatter.debug_tuple("Ready").field(&pieces.len()).finish(),
            Self::Cold(_) => formatter.write_str("Cold"),
        }
    }
}

/// Where readers of committed data stop, and what they skip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// End of what is decided (exclusive): below it no transaction is open. At most the acked end.
    pub last_stable_offset: i64,
    /// Aborted transactions with records below it, by their first offset.
    pub aborted: Vec<AbortedTransaction>,
}

impl LogStore {
    /// Whole batches from the one that holds `from` on, up to `bound` (exclusive) and `max_bytes`; with
    /// `at_least_one_batch`, the first one whatever its size. Empty at the bound.
    pub fn read(
        &mut self,
        key: LogKey,
        from: i64,
        bound: i64,
        max_bytes: usize,
        at_least_one_batch: bool,
    ) -> Result<ReadResult, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        assert!(bound <= *stored.acked_end_offset, "readers never see what is not acked");
        if let Some(damage) = stored.damaged.iter().find(|damage| damage.offsets.contains(&from)) {
            return Err(ReadError::Damaged { segment: damage.segment, position: damage.position });
        }
        let damage = stored.damaged.iter().find(|damage| damage.offsets.start > from);
        let bound = damage.map_or(bound, |damage| bound.min(damage.offsets.start));
        let plan = log.plan_read(from, bound, max_bytes, at_least_one_batch, &mut self.files)?;
        match plan.run_cached(&mut self.window) {
            Ok(outcome) => {
                log.note_read(from, outcome.next);
                Ok(ReadResult::Ready(outcome.pieces))
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(ReadResult::Cold(Box::pin(plan.run_cold(self.reactor.clone()))))
            }
            Err(error) => Err(error),
        }
    }

    /// Offset and timestamp of the first record below `bound` that is at least as late as `timestamp_ms`.
    pub fn offset_for_timestamp(
        &mut self,
        key: LogKey,
        timestamp_ms: i64,
        bound: i64,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let bound = bound.min(*stored.acked_end_offset);
        log.offset_for_timestamp(timestamp_ms, bound, &mut self.files)
    }

    /// The offset and the value of the log's largest timestamp, of what was acked.
    pub fn max_timestamp(&mut self, key: LogKey) -> Result<Option<(i64, i64)>, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let bound = *stored.acked_end_offset;
        match log.max_timestamp(&mut self.files)? {
            Some((timestamp, _)) => log.offset_for_timestamp(timestamp, bound, &mut self.files),
            None => Ok(None),
        }
    }

    /// What readers of committed data need to know, who read from `from` on.
    pub fn committed(&mut self, key: LogKey, from: i64) -> Result<Committed, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let acked = *stored.acked_end_offset;
        let last_stable_offset = log.producers.first_open_transaction().map_or(acked, |first| first.min(acked));
        Ok(Committed { last_stable_offset, aborted: log.aborted.overlapping(from, last_stable_offset) })
    }

    /// The largest leader epoch up to `leader_epoch` and the end of its records, as in OffsetForLeaderEpoch. An epoch
    /// without records is none.
    pub fn end_offset_for_epoch(&mut self, key: LogKey, leader_epoch: i32) -> Result<Option<(i32, i64)>, StoreError> {
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((beside, log)) = opened else { return Ok(None) };
        let end_offset = *beside.acked_end_offset;
        let behind_latest =
            || Some((log.leader_epochs.latest().filter(|l| l.leader_epoch < leader_epoch)?.leader_epoch, end_offset));
        Ok(log.leader_epochs.end_offset_for(leader_epoch, end_offset).or_else(behind_latest))
    }

    /// The producers that the log remembers.
    pub fn producers(&mut self, key: LogKey) -> Result<Vec<ProducerInfo>, StoreError> {
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        Ok(opened.map_or_else(Vec::new, |(_, log)| log.producers.producers()))
    }
}
