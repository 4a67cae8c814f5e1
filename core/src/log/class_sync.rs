//! Class sync: batches are acked from the commit log and reach their segments behind the ack.
//!
//! What was pushed waits here for the commit log's prefix to become durable. The bytes stay in each log's tail, shared with
//! the commit log's memory, until a write of them is worth it.
//!
//! Invariants:
//! - Acks of all logs come in the order of the commit log, never ahead of its durable prefix.
//! - `tails` has every log of the class with a tail, by the first entry that is not in its segment: the commit log is not
//!   released beyond the first of these. What was carried over the start is as old as the first entry of all.
//! - `tail_bytes` is the memory of all tails of the class, without what late writes are under way with; beyond the bound
//!   the oldest are written first.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::append::Staged;
use super::commit_log::{CommitLog, CommitLogError, EntryHeader, EntryKind, Lsn};
use super::direct::{DirectWrites, Group};
use super::error::{AppendError, StoreError};
use super::late_writes::LateWrites;
use super::log::Log;
use super::{LogKey, LogSpec, StoreConfig};
use crate::buffer::staging::StagingPool;
use crate::reactor::{Reactor, Signal};

/// An append that waits for the commit log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    lsn: Lsn,
    pub key: LogKey,
    /// End of its offsets, exclusive.
    pub end_offset: i64,
}

/// Tails that the commit log needs written: those that begin below an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DueTails {
    /// Where the next turn goes on.
    pub from: Bound<(Lsn, LogKey)>,
    /// Exclusive.
    pub end: Lsn,
}

/// The commit log and what waits for it.
pub(crate) struct SyncClass {
    pub commit_log: CommitLog,
    waiting: VecDeque<Waiting>,
    /// Logs with a tail, by the entry of its first batch.
    pub tails: BTreeSet<(Lsn, LogKey)>,
    /// Logs that got a batch in this turn.
    pub of_turn: Vec<LogKey>,
    /// Memory of all tails.
    pub tail_bytes: usize,
    /// What is left of those that are written over several turns.
    pub due_tails: Option<DueTails>,
    pub late_writes: LateWrites,
    /// Memory of what goes past the log.
    pub direct_memory: StagingPool,
    /// From this size on batches do.
    pub direct_bytes_min: usize,
    /// Beyond this size they must.
    commit_log_bytes_max: usize,
    pub direct_writes: DirectWrites,
    /// Logs whose next direct write is to be started at the end of the turn.
    pub direct_due: Vec<LogKey>,
    /// Logs with a group that was written and is to be announced, in that order.
    pub announcing: VecDeque<LogKey>,
    /// The commit log had no memory or no file, for an append of this turn or for a group that waits to be announced: until
    /// the end of the turn nothing takes what comes back, and that writes what holds memory.
    pub is_short: bool,
    /// The same of `direct_memory`, for appends that need it. That comes back only at the end of a turn.
    pub is_direct_short: bool,
    /// Given when memory of the commit log comes back that was refused.
    memory_returned: Rc<Signal>,
}

impl SyncClass {
    pub fn open(reactor: &Reactor, dir: &Path, shard_id: u16, config: &StoreConfig) -> Result<Self, StoreError> {
        let commit_log = CommitLog::open(reactor.clone(), dir, shard_id, config.commit_log.clone())
            .map_err(|error| StoreError::CommitLog(error.to_string()))?;
        let memory_returned = reactor.signal();
        commit_log.set_on_memory(memory_returned.waker());
        Ok(Self {
            commit_log,
            waiting: VecDeque::new(),
            tails: BTreeSet::new(),
            of_turn: Vec::new(),
            tail_bytes: 0,
            due_tails: None,
            late_writes: LateWrites::new(config),
            direct_memory: config.direct.pool(),
            direct_bytes_min: config.direct.batch_bytes_min,
            commit_log_bytes_max: config.commit_log.entry_bytes_max,
            direct_writes: DirectWrites::new(),
            direct_due: Vec::new(),
            announcing: VecDeque::new(),
            is_short: false,
            is_direct_short: false,
            memory_returned: Rc::new(memory_returned),
        })
    }

    /// A tail has changed: what it was before is its [`Tail::mark`].
    pub fn note_tail(&mut self, key: LogKey, before: Option<(Lsn, usize)>, after: Option<(Lsn, usize)>) {
        let (lsn_before, lsn_after) = (before.map(|mark| mark.0), after.map(|mark| mark.0));
        if lsn_before != lsn_after {
            lsn_before.map(|lsn| self.tails.remove(&(lsn, key)));
            lsn_after.map(|lsn| self.tails.insert((lsn, key)));
        }
        let bytes = |mark: Option<(Lsn, usize)>| mark.map_or(0, |mark| mark.1);
        self.tail_bytes = self.tail_bytes - bytes(before) + bytes(after);
    }

    /// The oldest tail from there on: the entry that it begins with, and its log.
    pub fn next_tail(&self, from: Bound<(Lsn, LogKey)>) -> Option<(Lsn, LogKey)> {
        self.tails.range((from, Bound::Unbounded)).next().copied()
    }

    /// The first entry that is not in a segment; without one, the next that will be pushed.
    pub fn first_unwritten(&self) -> Lsn {
        self.tails.first().map_or(self.commit_log.next_lsn(), |(lsn, _)| *lsn)
    }

    /// Copies a batch into the commit log. The bytes returned are that copy.
    pub fn push(&mut self, key: LogKey, spec: &LogSpec, staged: &Staged) -> Result<(Lsn, Bytes), CommitLogError> {
        let end_offset = staged.header.last_offset() + 1;
        let entry = EntryHeader {
            kind: EntryKind::Batch,
            topic_id: spec.topic_id,
            partition_index: spec.partition_index,
            leader_epoch: staged.header.leader_epoch,
            base_offset: staged.header.base_offset,
            end_offset,
        };
        let (lsn, stored) = self.commit_log.push(&entry, &[&staged.head, &staged.body])?;
        assert!(self.waiting.back().is_none_or(|last| last.lsn < lsn), "entries are numbered in order");
        self.waiting.push_back(Waiting { lsn, key, end_offset });
        Ok((lsn, stored))
    }

    /// Whether a batch goes past the commit log. Not while a late write is under way, if it can be helped.
    pub fn goes_direct(&self, log: &Log, size_bytes: usize) -> bool {
        let is_large =
            size_bytes >= self.direct_bytes_min && (!log.tail.is_under_way() || size_bytes > self.commit_log_bytes_max);
        is_large || !log.direct.is_empty()
    }

    /// Whether an append of a batch would come before one that was refused.
    pub fn is_short_for(&self, log: &Log, size_bytes: usize) -> bool {
        self.is_short || (self.is_direct_short && self.goes_direct(log, size_bytes))
    }

    /// Tells the commit log of a group that was synced in its segment; acked when that is durable.
    pub fn announce(&mut self, key: LogKey, spec: &LogSpec, group: &Group) -> Result<(), CommitLogError> {
        let entry = EntryHeader {
            kind: EntryKind::InSegment,
            topic_id: spec.topic_id,
            partition_index: spec.partition_index,
            leader_epoch: group.leader_epoch,
            base_offset: group.base_offset,
            end_offset: group.end_offset,
        };
        let (lsn, _) = self.commit_log.push(&entry, &[&group.range().encode()])?;
        assert!(self.waiting.back().is_none_or(|last| last.lsn < lsn), "entries are numbered in order");
        self.waiting.push_back(Waiting { lsn, key, end_offset: group.end_offset });
        Ok(())
    }

    /// The next append that is durable now.
    pub fn next_durable(&mut self) -> Option<Waiting> {
        let durable = self.commit_log.durable_lsn();
        self.waiting.pop_front_if(|waiting| waiting.lsn < durable)
    }

    /// Appends that will never be acked, once the commit log has failed.
    pub fn take_failed(&mut self) -> Option<(Vec<Waiting>, AppendError)> {
        let kind = self.commit_log.failure().filter(|_| !self.waiting.is_empty())?;
        Some((self.waiting.drain(..).collect(), AppendError::MaybeAppended(format!("commit log: {kind}"))))
    }

    /// Calls once when memory that was refused comes back. One call waits at a time.
    pub fn call_on_memory(&self, reactor: &Reactor, call: Rc<dyn Fn()>) {
        // A task that waits holds the other one.
        if Rc::strong_count(&self.memory_returned) == 1 {
            let memory_returned = Rc::clone(&self.memory_returned);
            reactor.spawn(async move {
                memory_returned.given().await;
                drop(memory_returned);
                call();
            });
        }
    }

    /// What the appender is told.
    pub fn push_error(&mut self, error: CommitLogError) -> AppendError {
        match error {
            CommitLogError::Full | CommitLogError::Memory => {
                self.is_short = true;
                AppendError::Busy
            }
            CommitLogError::NoSpace => AppendError::DiskFull,
            CommitLogError::Failed(_) => AppendError::Stopped(error.to_string()),
            CommitLogError::TooLarge { len, max } => {
                AppendError::TooLarge { size_bytes: len as u32, segment_bytes: max as u32 }
            }
        }
    }
}
