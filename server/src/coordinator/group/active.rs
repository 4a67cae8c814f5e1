//! A coordinator that is loaded: the records that it has to write, and the answers that wait for them.
//!
//! Invariants:
//! - Appends are numbered in the order of their records.
//! - An answer goes when the append of its records, or of the last ones before it, is acked.
//! - What waits is bounded (`WAITING_MAX`): more is refused, not queued.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ringlog_core::record::{BatchBuilder, NewRecord};

use super::planted::{PlantedBug, is_planted};
use super::{Coordinator, GroupReply, NewGroupRecord, Output, Token};

/// A batch is closed when it has this many bytes.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Requests of one coordinator that are not answered yet, parked members included.
const WAITING_MAX: usize = 200_000;

/// Gets the coordinator's answer, once.
pub type ReplyTo = Box<dyn FnOnce(GroupReply)>;

/// Answers that may go.
pub(super) type Due = Vec<(ReplyTo, GroupReply)>;

pub(super) struct Active {
    pub coordinator: Coordinator,
    next_token: u64,
    /// Not answered by the state machine yet.
    open: BTreeMap<Token, ReplyTo>,
    /// Closed batches that no append has begun with.
    closed: VecDeque<Bytes>,
    /// The records behind them.
    batch: BatchBuilder,
    /// Appends begun, and acked.
    appends: u64,
    acked: u64,
    /// Answers that wait for the append of this number.
    waiting: VecDeque<(u64, ReplyTo, GroupReply)>,
}

impl Active {
    pub fn new(coordinator: Coordinator) -> Self {
        Self {
            coordinator,
            next_token: 0,
            open: BTreeMap::new(),
            closed: VecDeque::new(),
            batch: BatchBuilder::new(),
            appends: 0,
            acked: 0,
            waiting: VecDeque::new(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.open.len() + self.waiting.len() >= WAITING_MAX
    }

    /// Whether an append can be begun.
    pub fn has_records(&self) -> bool {
        self.batch.count() > 0 || !self.closed.is_empty()
    }

    pub fn open(&mut self, reply: ReplyTo) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.open.insert(token, reply);
        token
    }

    /// Takes records for the batch of this turn; returns the answers that need not wait.
    pub fn take_output(&mut self, output: Output, timestamp: i64) -> Due {
        for NewGroupRecord { key, value } in output.records {
            if self.batch.count() > 0 && self.batch.size_bytes() + key.len() > BATCH_BYTES_MAX {
                self.closed.push_back(self.batch.build().into());
            }
            self.batch.push(NewRecord { timestamp, key: Some(&key), value: value.as_deref(), headers: &[] });
        }
        let pending = self.closed.len() as u64 + u64::from(self.batch.count() > 0);
        let wanted = self.appends + pending;
        let mut due = Due::new();
        for (token, reply) in output.replies {
            let reply_to = self.open.remove(&token).expect("a request is answered once");
            if wanted > self.acked && !is_planted(PlantedBug::AnsweredBeforeDurable) {
                self.waiting.push_back((wanted, reply_to, reply));
            } else {
                due.push((reply_to, reply));
            }
        }
        due
    }

    /// The next append to begin, and its number.
    pub fn begin_append(&mut self) -> Option<(u64, Bytes)> {
        if !self.has_records() {
            return None;
        }
        let batch = self.closed.pop_front().unwrap_or_else(|| self.batch.build().into());
        self.appends += 1;
        Some((self.appends, batch))
    }

    /// All up to this append is acked: returns the answers that waited for it.
    pub fn take_acked(&mut self, append: u64) -> Due {
        self.acked = append;
        let mut due = Due::new();
        while let Some((_, reply_to, reply)) = self.waiting.pop_front_if(|(wanted, ..)| *wanted <= append) {
            due.push((reply_to, reply));
        }
        due
    }

    /// Those who wait for an answer.
    pub fn into_unanswered(self) -> impl Iterator<Item = ReplyTo> {
        self.waiting.into_iter().map(|(_, reply_to, _)| reply_to).chain(self.open.into_values())
    }
}
