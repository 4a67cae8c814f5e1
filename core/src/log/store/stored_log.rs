//! One log of a store: known by its ends until its first use, open from then on.
//!
//! Invariant: what is carried of a log lies behind its synced point, and is gone from here when the log is open.

use std::path::Path;
use std::sync::Arc;

use super::super::carried::CarriedPart;
use super::super::checkpoints::ClosedLog;
use super::super::class_sync::SyncClass;
use super::super::descriptors::Descriptors;
use super::super::error::StoreError;
use super::super::log::{Log, make_way};
use super::super::refused::Refused;
use super::super::scrub::Damage;
use super::super::synced_points::SyncedPoint;
use super::super::{Durability, LogConfig, LogKey, LogSpec};
use super::Retired;
use crate::reactor::Reactor;

/// Bytes that were carried of one log and wait in its tail, and of all tails beyond which none are left to wait: logs may be
/// opened faster than tails are written.
const CARRIED_TAIL_BYTES_MAX: usize = 4 << 20;
const CARRIED_TAILS_BYTES_MAX: usize = 64 << 20;

/// A log that was not used yet, or one that is open.
#[derive(Debug)]
pub(in crate::log) enum LogState {
    /// Its end is where it was synced, or where what is carried ends: the log is brought there when it is first used.
    Unopened(SyncedPoint),
    Open(Box<Log>),
}

#[derive(Debug)]
pub(in crate::log) struct StoredLog {
    pub(in crate::log) spec: LogSpec,
    pub(in crate::log) state: LogState,
    /// While it is not open: what it lacks, which comes behind its synced point.
    pub(super) carried: Option<Box<CarriedPart>>,
    pub(super) from_clean_stop: bool,
    /// A synced point was known of it at the start.
    pub(super) is_noted: bool,
    pub(super) acked_end_offset: i64,
    /// It has a batch of this turn: it is in `LogStore::dirty`, or among the logs of the turn of class sync.
    pub(super) dirty: bool,
    /// The class that it is to have: nothing is appended until it has it.
    pub(super) next_class: Option<Durability>,
    /// Batches that are refused, by their offsets.
    pub(in crate::log) damaged: Vec<Damage>,
    /// Appends were refused because the disk had no room to open the log.
    pub(super) refused: Option<Box<Refused>>,
    /// An append was refused because the log could not be opened: the next one must not take its place.
    pub(super) is_unopenable: bool,
}

impl StoredLog {
    /// Opens it: this is its first use. What was carried of it is in its tail, as far as `tail_bytes_max` allows.
    pub(super) fn open(
        &mut self,
        key: LogKey,
        log_dir: &Path,
        now_ms: i64,
        tail_bytes_max: usize,
        files: &mut Descriptors,
    ) -> Result<&mut Log, StoreError> {
        let LogState::Unopened(point) = &self.state else { unreachable!("only a log that is not open is opened") };
        let mut log = match &self.carried {
            Some(part) => {
                if !self.is_noted {
                    // As recovery does with what it writes itself.
                    make_way(files.disk(), log_dir, &self.spec, false)?;
                }
                Log::open_carried(key, &self.spec, point, part, tail_bytes_max, log_dir, now_ms, files)?
            }
            None => Log::open_at(key, &self.spec, point, self.from_clean_stop, log_dir, now_ms, files)?,
        };
        if let Some(refused) = self.refused.take() {
            log.producers.refused_before(*refused);
        }
        (self.state, self.carried) = (LogState::Open(Box::new(log)), None);
        let LogState::Open(log) = &mut self.state else { unreachable!("opened in the line before") };
        Ok(log)
    }

    /// The point of a log that can be closed again after a look at it: nothing is written by opening it.
    pub(in crate::log) fn unused(&self) -> Option<SyncedPoint> {
        match &self.state {
            LogState::Unopened(point) if self.carried.is_none() => Some(*point),
            _ => None,
        }
    }

    /// Up to where a log that is not open is in its segments.
    pub(in crate::log) fn segments_end_offset(&self, point: &SyncedPoint) -> i64 {
        self.carried.as_ref().map_or(point.end_offset, |part| part.base_offset)
    }

    /// What is carried of a log of which nothing is in a segment.
    fn carried_alone(&self) -> Option<&CarriedPart> {
        let LogState::Unopened(point) = &self.state else { return None };
        self.carried.as_deref().filter(|part| part.base_offset == point.log_start_offset)
    }

    /// Of a log that is not open, as far as it needs no look at the disk.
    pub(super) fn size_bytes_unopened(&self) -> Option<u64> {
        match &self.state {
            LogState::Unopened(point) if point.log_start_offset == point.end_offset => Some(0),
            _ => self.carried_alone().map(|part| part.size_bytes),
        }
    }

    /// The answer of [`LogStore::retire`] for a log that needs not be opened for it: one without records, or with young
    /// ones that are all to be in its first segment.
    pub(super) fn nothing_to_retire(&self, now_ms: i64) -> Option<Retired> {
        if self.size_bytes_unopened()? == 0 {
            return Some(Retired::default());
        }
        let LogConfig { is_deleted, retention_ms, retention_bytes, .. } = *self.spec.config;
        let age_ms = now_ms.saturating_sub(self.carried_alone()?.max_timestamp);
        let is_bounded = is_deleted && (retention_ms >= 0 || retention_bytes >= 0);
        let is_young = !is_deleted || retention_ms < 0 || age_ms <= retention_ms;
        is_young.then_some(Retired { is_bounded, ..Retired::default() })
    }

    pub(super) fn log_end_offset(&self) -> i64 {
        match &self.state {
            LogState::Unopened(point) => point.end_offset,
            LogState::Open(log) => log.log_end_offset,
        }
    }

    pub(super) fn closed(&self) -> ClosedLog {
        let (log_start_offset, cleaned_offset) = match &self.state {
            LogState::Unopened(point) => (point.log_start_offset, point.cleaned_offset),
            LogState::Open(log) => (log.log_start_offset, log.cleaned_offset),
        };
        ClosedLog {
            cleaned_offset,
            topic_id: self.spec.topic_id,
            durability: self.spec.durability,
            topic_name: Arc::clone(&self.spec.topic_name),
            partition_index: self.spec.partition_index,
            log_start_offset,
            log_end_offset: self.log_end_offset(),
        }
    }
}

/// The log of this key, if it is there. Free of `self` so that the store's other fields stay usable, as the next ones.
pub(in crate::log) fn stored_mut(logs: &mut [Option<StoredLog>], key: LogKey) -> Option<&mut StoredLog> {
    logs.get_mut(key.0 as usize)?.as_mut()
}

/// The same, if it is open too.
pub(in crate::log) fn opened(logs: &mut [Option<StoredLog>], key: LogKey) -> Option<&mut Log> {
    match &mut stored_mut(logs, key)?.state {
        LogState::Open(log) => Some(log),
        LogState::Unopened(_) => None,
    }
}

/// What of a stored log may be changed while its log is borrowed.
pub(in crate::log) struct Beside<'a> {
    pub(in crate::log) acked_end_offset: &'a mut i64,
    pub(super) dirty: &'a mut bool,
    pub(super) is_unopenable: &'a bool,
    pub(super) is_changing_class: bool,
    pub(super) damaged: &'a [Damage],
    pub(super) spec: &'a LogSpec,
}

/// The log, opened when this is its first use.
pub(in crate::log) fn open_log<'a>(
    logs: &'a mut [Option<StoredLog>],
    files: &mut Descriptors,
    sync: &mut SyncClass,
    reactor: &Reactor,
    log_dir: &Path,
    key: LogKey,
) -> Result<Option<(Beside<'a>, &'a mut Log)>, StoreError> {
    let Some(stored) = stored_mut(logs, key) else { return Ok(None) };
    if let LogState::Unopened(_) = stored.state {
        let is_much = sync.tail_bytes >= CARRIED_TAILS_BYTES_MAX;
        let tail_bytes_max = if is_much { 0 } else { CARRIED_TAIL_BYTES_MAX };
        let log = stored.open(key, log_dir, reactor.wall_clock_ms(), tail_bytes_max, files)?;
        sync.note_tail(key, None, log.tail.mark());
    }
    let StoredLog { state, acked_end_offset, dirty, is_unopenable, spec, next_class, damaged, .. } = stored;
    let is_changing_class = next_class.is_some();
    let LogState::Open(log) = state else { unreachable!("opened above") };
    Ok(Some((Beside { acked_end_offset, dirty, is_unopenable, is_changing_class, damaged, spec }, log)))
}
