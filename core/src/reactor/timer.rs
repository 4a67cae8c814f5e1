//! Timers: a heap by instant, with lazy deletion. A timer that was dropped never wakes anyone and never ends a sleep.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

use slab::Slab;

use super::Instant;

/// Stale entries are swept when they outnumber the live ones and are at least this many.
const STALE_MIN: usize = 64;

/// Names a running timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerKey {
    slot: usize,
    sequence: u64,
}

#[derive(Debug)]
struct Timer {
    sequence: u64,
    waker: Waker,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// (when, order of creation, slot): equal instants fire in the order of creation.
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    live: Slab<Timer>,
    next_sequence: u64,
}

impl Timers {
    pub(super) fn insert(&mut self, when: Instant, waker: Waker) -> TimerKey {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let slot = self.live.insert(Timer { sequence, waker });
        self.heap.push(Reverse((when, sequence, slot)));
        TimerKey { slot, sequence }
    }

    /// Replaces the waker of a timer that has not fired; false when it has.
    pub(super) fn update(&mut self, key: TimerKey, waker: &Waker) -> bool {
        match self.live.get_mut(key.slot) {
            Some(timer) if timer.sequence == key.sequence => {
                timer.waker.clone_from(waker);
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove(&mut self, key: TimerKey) {
        if self.live.get(key.slot).is_some_and(|timer| timer.sequence == key.sequence) {
            self.live.remove(key.slot);
        }
        if self.heap.len() >= STALE_MIN && self.heap.len() > 2 * self.live.len() {
            let live = &self.live;
            self.heap.retain(|Reverse((_, sequence, slot))| is_live(live, *sequence, *slot));
        }
    }

    /// When the next live timer is due.
    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((when, sequence, slot))) = self.heap.peek() {
            if is_live(&self.live, *sequence, *slot) {
                return Some(*when);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes one timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, slot)) = self.heap.pop()?;
        Some(self.live.remove(slot).waker)
    }
}

fn is_live(live: &Slab<Timer>, sequence: u64, slot: usize) -> bool {
    live.get(slot).is_some_and(|timer| timer.sequence == sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_timers_neither_fire_nor_pile_up() {
        let mut timers = Timers::default();
        let keep = timers.insert(Instant(5_000), Waker::noop().clone());
        for when in 0..10_000 {
            let key = timers.insert(Instant(when), Waker::noop().clone());
            timers.remove(key);
            assert!(timers.heap.len() <= STALE_MIN + 1);
        }
        assert_eq!(timers.next(), Some(Instant(5_000)));
        assert!(timers.pop_due(Instant(4_999)).is_none());
        assert!(timers.pop_due(Instant(5_000)).is_some());
        assert!(!timers.update(keep, Waker::noop()));
        assert_eq!(timers.next(), None);
    }
}
