//! The appends of a queue: in which order they are tried, and when their times end. Each step takes the logarithm of their
//! number.
//!
//! Invariant: `logs`, `firsts` and `ends` name exactly what `appends` holds; of each log the first one is in `firsts`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ringlog_core::log::LogKey;
use ringlog_core::reactor::Instant;

use super::QueuedAppend;

/// Counts appends as they come.
pub(super) type Ticket = u64;

#[derive(Default)]
pub(super) struct Waiting {
    appends: BTreeMap<Ticket, QueuedAppend>,
    logs: BTreeSet<(LogKey, Ticket)>,
    firsts: BTreeSet<Ticket>,
    ends: BTreeSet<(Instant, Ticket)>,
    next_ticket: Ticket,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    pub fn push(&mut self, append: QueuedAppend) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if self.first_of(append.key).is_none() {
            self.firsts.insert(ticket);
        }
        self.logs.insert((append.key, ticket));
        self.ends.insert((append.until, ticket));
        self.appends.insert(ticket, append);
    }

    pub fn remove(&mut self, ticket: Ticket) -> Option<QueuedAppend> {
        let append = self.appends.remove(&ticket)?;
        self.logs.remove(&(append.key, ticket));
        self.ends.remove(&(append.until, ticket));
        if self.firsts.remove(&ticket) {
            self.firsts.extend(self.first_of(append.key));
        }
        Some(append)
    }

    /// The tickets of all that wait.
    pub fn tickets(&self) -> Range<Ticket> {
        self.appends.first_key_value().map_or(self.next_ticket, |(first, _)| *first)..self.next_ticket
    }

    /// Of those that are the first of their log, the one that came first.
    pub fn first_in(&self, tickets: Range<Ticket>) -> Option<(Ticket, &QueuedAppend)> {
        let ticket = *self.firsts.range(tickets).next()?;
        Some((ticket, &self.appends[&ticket]))
    }

    fn first_of(&self, key: LogKey) -> Option<Ticket> {
        self.logs.range((key, 0)..).next().filter(|(of, _)| *of == key).map(|(_, ticket)| *ticket)
    }

    /// Takes those of a log out, in their order.
    pub fn take_log(&mut self, key: LogKey) -> Vec<QueuedAppend> {
        std::iter::from_fn(|| self.first_of(key).and_then(|ticket| self.remove(ticket))).collect()
    }

    /// Takes those out whose time is over, in the order in which it ended.
    pub fn take_ended(&mut self, now: Instant) -> Vec<QueuedAppend> {
        let next = |waiting: &Self| waiting.ends.first().filter(|(until, _)| *until <= now).map(|(_, ticket)| *ticket);
        std::iter::from_fn(|| next(self).and_then(|ticket| self.remove(ticket))).collect()
    }

    /// When the next time ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(until, _)| *until)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.appends.len()
    }
}
