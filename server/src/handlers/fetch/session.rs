//! Fetch sessions (KIP-227) of one shard: the partitions that a reader fetches, kept so that its requests name only what
//! changes and the answers only what is new.
//!
//! A session belongs to the shard of the connection that made it. A reader that comes back on another shard is told
//! FETCH_SESSION_ID_NOT_FOUND and begins anew.
//!
//! Invariants:
//! - Sessions and their memory are bounded: one that finds no room is not made, and its reader names all partitions in
//!   every request. One that outgrows its room is closed.
//! - A session answers one fetch at a time: its partitions are away with the fetch until that is answered.

use ahash::AHashMap;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::reactor::Instant;

use super::targets::Targets;

/// The session id of those that have none.
pub const NO_SESSION: i32 = 0;
/// The epoch of the first fetch of a session, which names all partitions.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a fetch that wants no session, and ends the one that it names.
pub const FINAL_EPOCH: i32 = -1;
/// A session may be evicted when it was not used for this long, or after this long for a larger one:
/// `min.incremental.fetch.session.eviction.ms` of Kafka.
const EVICTABLE_AFTER_NS: u64 = 120_000_000_000;
/// Between two looks for something to evict that found nothing.
const LOOK_AGAIN_AFTER_NS: u64 = 1_000_000_000;

/// The sessions.
#[derive(Debug)]
pub struct FetchSessions {
    slots_max: usize,
    bytes_max: usize,
    sessions: AHashMap<i32, Session>,
    bytes: usize,
    look_again_at: Instant,
}

#[derive(Debug)]
struct Session {
    /// Of the next fetch.
    epoch: i32,
    by_id: bool,
    /// `None` while a fetch has them.
    targets: Option<Targets>,
    partitions_count: usize,
    bytes: usize,
    created_at: Instant,
    used_at: Instant,
}

impl FetchSessions {
    /// No sessions yet, and never more than these bounds.
    pub fn new(slots_max: usize, bytes_max: usize) -> Self {
        Self { slots_max, bytes_max, sessions: AHashMap::new(), bytes: 0, look_again_at: Instant(0) }
    }

    /// Begins a fetch in a session: takes its partitions, until [`put_back`](Self::put_back).
    pub fn take(&mut self, id: i32, epoch: i32, by_id: bool, now: Instant) -> Result<Targets, ErrorCode> {
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let targets = session.targets.take().ok_or(ErrorCode::INVALID_FETCH_SESSION_EPOCH)?;
        session.epoch = next_epoch(epoch);
        session.used_at = now;
        Ok(targets)
    }

    /// Makes a session for `targets`, which are [put back](Self::put_back) later. `NO_SESSION` without room.
    pub fn create(&mut self, targets: &Targets, now: Instant, mut random: impl FnMut() -> u64) -> i32 {
        let (partitions_count, bytes) = (targets.len(), targets.size_bytes());
        if bytes > self.bytes_max {
            return NO_SESSION;
        }
        while self.sessions.len() >= self.slots_max || self.bytes + bytes > self.bytes_max {
            let Some(evicted) = self.evictable(partitions_count, now) else { return NO_SESSION };
            self.remove(evicted);
        }
        let id = loop {
            let id = (random() >> 33) as i32;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let epoch = next_epoch(INITIAL_EPOCH);
        let by_id = targets.by_id();
        let session = Session { epoch, by_id, targets: None, partitions_count, bytes, created_at: now, used_at: now };
        self.sessions.insert(id, session);
        self.bytes += bytes;
        id
    }

    /// Counts what a session has become. `NO_SESSION` if it is gone, or closed now because it has no room.
    pub fn resize(&mut self, id: i32, targets: &Targets) -> i32 {
        let Some(session) = self.sessions.get_mut(&id) else { return NO_SESSION };
        let bytes = targets.size_bytes();
        self.bytes = self.bytes - session.bytes + bytes;
        session.bytes = bytes;
        session.partitions_count = targets.len();
        if self.bytes > self.bytes_max {
            self.remove(id);
            return NO_SESSION;
        }
        id
    }

    /// Ends a fetch in a session.
    pub fn put_back(&mut self, id: i32, targets: Targets) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.targets = Some(targets);
        }
    }

    /// Ends a session, if it is there.
    pub fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.bytes -= session.bytes;
        }
    }

    /// What makes room for a new session, as Kafka chooses: the one that was not used for longest, if that is long ago;
    /// else the smallest that is old, if it is smaller.
    fn evictable(&mut self, partitions_count: usize, now: Instant) -> Option<i32> {
        if now < self.look_again_at {
            return None;
        }
        let is_long_ago = |since: Instant| now.0 - since.0 > EVICTABLE_AFTER_NS;
        let unused = self.sessions.iter().min_by_key(|(id, session)| (session.used_at, **id));
        let unused = unused.filter(|(_, session)| is_long_ago(session.used_at));
        let smallest = || {
            let old = self.sessions.iter().filter(|(_, session)| is_long_ago(session.created_at));
            let smallest = old.min_by_key(|(id, session)| (session.partitions_count, **id));
            smallest.filter(|(_, session)| session.partitions_count < partitions_count)
        };
        let found = unused.or_else(smallest).map(|(id, _)| *id);
        if found.is_none() {
            self.look_again_at = Instant(now.0 + LOOK_AGAIN_AFTER_NS);
        }
        found
    }
}

/// Epochs go on from 1 after the highest.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn sessions(slots_max: usize) -> (FetchSessions, impl FnMut() -> u64) {
        let mut id = 0;
        let random = move || {
            id += 1 << 33;
            id
        };
        (FetchSessions::new(slots_max, 1 << 20), random)
    }

    /// Makes a session whose partitions are back.
    fn create(sessions: &mut FetchSessions, partitions: i32, second: u64, random: &mut impl FnMut() -> u64) -> i32 {
        let targets = Targets::of(partitions);
        let id = sessions.create(&targets, Instant(second * SECOND), random);
        sessions.put_back(id, targets);
        id
    }

    #[test]
    fn each_fetch_has_the_next_epoch() {
        let (mut sessions, mut random) = sessions(5);
        let id = create(&mut sessions, 3, 0, &mut random);
        let mut take = |epoch| {
            let taken = sessions.take(id, epoch, true, Instant(0));
            taken.map(|targets| sessions.put_back(id, targets))
        };
        assert_eq!(take(0), Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(1), Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        assert_eq!(take(2), Ok(()));
        let by_name = sessions.take(id, 3, false, Instant(0)).map(|_| ());
        assert_eq!(by_name, Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
        let other = sessions.take(id + 1, 1, true, Instant(0)).map(|_| ());
        assert_eq!(other, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
        assert_eq!((next_epoch(i32::MAX - 1), next_epoch(i32::MAX)), (i32::MAX, 1));
    }

    #[test]
    fn a_session_answers_one_fetch_at_a_time() {
        let (mut sessions, mut random) = sessions(5);
        let id = create(&mut sessions, 3, 0, &mut random);
        let targets = sessions.take(id, 1, true, Instant(0)).unwrap();
        let second = sessions.take(id, 2, true, Instant(0)).map(|_| ());
        assert_eq!(second, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        sessions.remove(id);
        assert_eq!(sessions.resize(id, &targets), NO_SESSION);
        sessions.put_back(id, targets);
        assert!(sessions.sessions.is_empty());
    }

    #[test]
    fn the_longest_unused_makes_room_then_the_smallest_that_is_old() {
        let (mut sessions, mut random) = sessions(2);
        let small = create(&mut sessions, 2, 0, &mut random);
        let large = create(&mut sessions, 5, 0, &mut random);
        assert_eq!(create(&mut sessions, 9, 60, &mut random), NO_SESSION, "none is old");
        for (id, second) in [(large, 150), (small, 140)] {
            let targets = sessions.take(id, 1, true, Instant(second * SECOND)).unwrap();
            sessions.put_back(id, targets);
        }
        assert_eq!(create(&mut sessions, 2, 180, &mut random), NO_SESSION, "the smallest is not smaller");
        assert_eq!(create(&mut sessions, 3, 180, &mut random), NO_SESSION, "it looked just before");
        let third = create(&mut sessions, 3, 182, &mut random);
        assert!(third != NO_SESSION && !sessions.sessions.contains_key(&small));
        let fourth = create(&mut sessions, 1, 280, &mut random);
        assert!(fourth != NO_SESSION && !sessions.sessions.contains_key(&large), "unused for two minutes");
    }

    #[test]
    fn what_has_no_room_is_not_made_or_closed() {
        let (_, mut random) = sessions(0);
        assert_eq!(FetchSessions::new(0, 1 << 20).create(&Targets::of(1), Instant(0), &mut random), NO_SESSION);
        let (small, large) = (Targets::of(2), Targets::of(500));
        let mut sessions = FetchSessions::new(9, small.size_bytes() + large.size_bytes() - 1);
        let first = sessions.create(&large, Instant(0), &mut random);
        assert!(first != NO_SESSION);
        assert_eq!(sessions.create(&small, Instant(0), &mut random), NO_SESSION);
        assert_eq!(sessions.resize(first, &Targets::of(1)), first);
        let second = sessions.create(&small, Instant(2 * SECOND), &mut random);
        assert!(second != NO_SESSION);
        assert_eq!(sessions.resize(second, &Targets::of(2000)), NO_SESSION);
        assert_eq!(sessions.bytes, Targets::of(1).size_bytes());
        let long_ago = Instant(1000 * SECOND);
        assert_eq!(sessions.create(&Targets::of(2000), long_ago, &mut random), NO_SESSION);
        assert!(sessions.sessions.contains_key(&first), "nothing is evicted for what has no room at all");
    }
}
