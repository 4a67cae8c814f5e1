//! Where another thread asks a shard, and what the whole broker is doing.
//!
//! The shard looks at one flag in each turn. Whoever asks sets it and wakes the shard, which answers before it sleeps
//! again. A question that a shard cannot take is dropped: the asker hears that nobody answers.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringlog_core::reactor::Wake;

use super::ShardSnapshot;

/// Questions that wait at one door.
const ASKS_MAX: usize = 16;

/// A question.
pub struct Ask {
    /// Whether each partition and each committed offset is wanted.
    pub with_partitions: bool,
    /// Gets the answer, on the shard's thread.
    pub reply: Box<dyn FnOnce(ShardSnapshot) + Send>,
}

/// The door of one shard.
#[derive(Default)]
pub struct Door {
    /// Connections that were dealt to the shard and have not ended.
    pub connections: AtomicUsize,
    has_asks: AtomicBool,
    state: Mutex<DoorState>,
}

#[derive(Default)]
struct DoorState {
    asks: Vec<Ask>,
    waker: Option<Arc<dyn Wake>>,
}

impl Door {
    /// Asks. The reply is dropped when too many wait already.
    pub fn ask(&self, ask: Ask) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asks.len() >= ASKS_MAX {
            return;
        }
        state.asks.push(ask);
        // Release: with the Acquire of `has_asks`; what was asked is behind the lock anyway. A waker that is set later finds the asks.
        self.has_asks.store(true, Ordering::Release);
        if let Some(waker) = &state.waker {
            waker.wake();
        }
    }

    /// From now on askers wake the shard.
    pub fn set_waker(&self, waker: Arc<dyn Wake>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(waker);
    }

    /// Whether somebody asks: one load, in every turn.
    pub fn has_asks(&self) -> bool {
        self.has_asks.load(Ordering::Acquire)
    }

    /// Takes what was asked.
    pub fn take(&self) -> Vec<Ask> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_asks.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.asks)
    }
}

/// What the broker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It opens its directory and recovers.
    Starting,
    /// It serves clients.
    Ready,
    /// It was asked to stop.
    Stopping,
}

/// All of a broker's doors; clones are the same.
#[derive(Clone)]
pub struct Doors(Arc<Inner>);

struct Inner {
    phase: AtomicU8,
    shards: Vec<Door>,
}

impl Doors {
    /// Of `shards_count` shards that start.
    pub fn new(shards_count: usize) -> Self {
        let shards = (0..shards_count).map(|_| Door::default()).collect();
        Self(Arc::new(Inner { phase: AtomicU8::new(Phase::Starting as u8), shards }))
    }

    /// By shard.
    pub fn shards(&self) -> &[Door] {
        &self.0.shards
    }

    /// What the broker is doing.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Starting as u8 => Phase::Starting,
            phase if phase == Phase::Ready as u8 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    /// Clients are served from now on, unless the broker was asked to stop meanwhile.
    pub fn set_ready(&self) {
        let (starting, ready) = (Phase::Starting as u8, Phase::Ready as u8);
        // Not exchanged is the case in which it stops.
        let _ = self.0.phase.compare_exchange(starting, ready, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The broker was asked to stop.
    pub fn set_stopping(&self) {
        self.0.phase.store(Phase::Stopping as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn ask(door: &Door) -> Receiver<ShardSnapshot> {
        let (sender, receiver) = channel();
        let reply = Box::new(move |snapshot| sender.send(snapshot).unwrap());
        door.ask(Ask { with_partitions: false, reply });
        receiver
    }

    #[test]
    fn a_broker_that_stops_is_not_ready_again() {
        let doors = Doors::new(1);
        assert_eq!(doors.phase(), Phase::Starting);
        doors.set_ready();
        assert_eq!(doors.phase(), Phase::Ready);
        doors.set_stopping();
        doors.set_ready();
        assert_eq!(doors.phase(), Phase::Stopping);
    }

    #[test]
    fn each_question_is_answered_once_and_too_many_are_dropped() {
        let door = Door::default();
        assert!(!door.has_asks());
        let askers: Vec<_> = (0..=ASKS_MAX).map(|_| ask(&door)).collect();
        assert!(door.has_asks());
        for taken in door.take() {
            (taken.reply)(ShardSnapshot { cpu_ns: 7, ..ShardSnapshot::default() });
        }
        assert!(!door.has_asks());
        let answered = askers.iter().filter(|asker| asker.recv().is_ok_and(|snapshot| snapshot.cpu_ns == 7)).count();
        assert_eq!(answered, ASKS_MAX);
    }
}
