//! How much was used lately: windows as in Kafka's `Rate`, on a fixed grid of time, shared by all shards without a lock.
//!
//! Invariant: each slot holds the number of its window and the amount in it, in one word, so that an addition and the
//! beginning of a window cannot be torn apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringlog_core::reactor::Instant;

const AMOUNT_BITS: u32 = 40;
/// An amount beyond this counts as this: a TiB, or eighteen minutes in nanoseconds, per window.
const AMOUNT_MAX: u64 = (1 << AMOUNT_BITS) - 1;
/// Windows are told apart by this many bits of their number.
const NUMBER_MASK: u64 = (1 << (u64::BITS - AMOUNT_BITS)) - 1;

/// `quota.window.num` and `quota.window.size.seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaWindows {
    /// How many count, with the one that is not over.
    pub count: u32,
    /// How long each is.
    pub size: Duration,
}

/// The amounts of the last windows.
#[derive(Debug)]
pub struct Rate {
    slots: Box<[AtomicU64]>,
    window_ns: u64,
}

impl QuotaWindows {
    /// What a rate may amount to in all windows that are over: the largest that can be used at once.
    pub fn amount(&self, per_second: f64) -> f64 {
        per_second * self.size.as_secs_f64() * f64::from(self.count.saturating_sub(1).max(1))
    }
}

impl Rate {
    /// Nothing was used.
    pub fn new(windows: QuotaWindows) -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(windows.count as usize).collect();
        Self { slots, window_ns: windows.size.as_nanos() as u64 }
    }

    /// Adds what is used now.
    pub fn record(&self, now: Instant, amount: u64) {
        let number = now.0 / self.window_ns;
        let slot = &self.slots[(number % self.slots.len() as u64) as usize];
        let add = |held: u64| {
            let before = if held >> AMOUNT_BITS == number & NUMBER_MASK { held & AMOUNT_MAX } else { 0 };
            Some((number & NUMBER_MASK) << AMOUNT_BITS | before.saturating_add(amount).min(AMOUNT_MAX))
        };
        // Relaxed: the word is all there is to see.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// What was used in the windows that count.
    pub fn total(&self, now: Instant) -> u64 {
        let number = now.0 / self.window_ns;
        let oldest = number.saturating_sub(self.slots.len() as u64 - 1);
        let held = (oldest..=number).map(|number| {
            let held = self.slots[(number % self.slots.len() as u64) as usize].load(Ordering::Relaxed);
            if held >> AMOUNT_BITS == number & NUMBER_MASK { held & AMOUNT_MAX } else { 0 }
        });
        held.sum()
    }

    /// How long nothing may be used, so that `total` is within `per_second`: what the total takes at that rate, less the
    /// time that the windows span. Windows before the first use count as empty ones.
    pub fn delay(&self, now: Instant, total: u64, per_second: f64) -> Duration {
        let full_windows = self.slots.len() as u64 - 1;
        let span_ns = full_windows * self.window_ns + now.0 % self.window_ns;
        let taken_ns = total as f64 / per_second * 1e9;
        Duration::from_nanos((taken_ns - span_ns as f64).max(0.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WINDOWS: QuotaWindows = QuotaWindows { count: 11, size: Duration::from_secs(1) };

    fn at(seconds: f64) -> Instant {
        Instant((seconds * SECOND as f64) as u64)
    }

    #[test]
    fn the_last_windows_count() {
        let rate = Rate::new(WINDOWS);
        rate.record(at(100.0), 5);
        rate.record(at(100.9), 6);
        rate.record(at(103.0), 7);
        assert_eq!(rate.total(at(103.5)), 18);
        assert_eq!(rate.total(at(110.9)), 18);
        assert_eq!(rate.total(at(111.0)), 7, "eleven windows, the first is over");
        rate.record(at(111.0), 1);
        assert_eq!(rate.total(at(111.0)), 8, "in the slot of the first");
        assert_eq!(rate.total(at(200.0)), 0);
        rate.record(at(200.0), u64::MAX);
        assert_eq!(rate.total(at(200.0)), AMOUNT_MAX);
    }

    #[test]
    fn a_delay_is_what_the_total_takes_less_the_windows() {
        let rate = Rate::new(WINDOWS);
        // As Kafka: 10 s and a half of windows; 1,200 at 100 per second take 12 s.
        assert_eq!(rate.delay(at(50.5), 1200, 100.0), Duration::from_millis(1500));
        assert_eq!(rate.delay(at(50.5), 1050, 100.0), Duration::ZERO);
        let single = Rate::new(QuotaWindows { count: 1, ..WINDOWS });
        assert_eq!(single.delay(at(50.5), 100, 100.0), Duration::from_millis(500));
        assert_eq!(WINDOWS.amount(3.0), 30.0);
    }
}
