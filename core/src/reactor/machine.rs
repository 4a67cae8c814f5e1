//! Time and randomness of the machine, for both real drivers.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Instant;

#[derive(Debug)]
pub(super) struct Machine {
    origin: std::time::Instant,
    key: RandomState,
    counter: u64,
}

impl Machine {
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the driver is where time comes from")]
        let origin = std::time::Instant::now();
        Self { origin, key: RandomState::new(), counter: 0 }
    }

    pub(super) fn now(&self) -> Instant {
        Instant(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long it is until `when`; nothing when that is over.
    pub(super) fn until(&self, when: Instant) -> Duration {
        Duration::from_nanos(when.0.saturating_sub(self.now().0))
    }

    pub(super) fn wall_clock_ms(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "the driver is where time comes from")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// A keyed hash of a counter, with a key from the system.
    pub(super) fn random_u64(&mut self) -> u64 {
        self.counter += 1;
        self.key.hash_one(self.counter)
    }
}
