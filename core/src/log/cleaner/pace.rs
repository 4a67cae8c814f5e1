//! How fast work in the background may read and write: `log.cleaner.io.max.bytes.per.second` and
//! `ringlog.scrub.bytes.per.second`.

use crate::reactor::{Instant, Reactor};

/// Pauses shorter than this are saved up.
const PAUSE_NS_MIN: u64 = 1_000_000;

/// Bytes of the past and when they are paid for.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: f64,
    paid_until: Instant,
}

impl Pace {
    /// Infinity, or what comes near it, is no bound.
    pub fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1.0), paid_until: Instant(0) }
    }

    /// Waits as long as it takes until `bytes` more are allowed.
    pub async fn spend(&mut self, reactor: &Reactor, bytes: usize) {
        let now = reactor.now();
        let due = self.due(now, bytes);
        if due.0 > now.0 + PAUSE_NS_MIN {
            reactor.sleep_until(due).await;
        }
    }

    fn due(&mut self, now: Instant, bytes: usize) -> Instant {
        let cost_ns = bytes as f64 / self.bytes_per_second * 1e9;
        self.paid_until = Instant(self.paid_until.0.max(now.0).saturating_add(cost_ns as u64));
        self.paid_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        let mut pace = Pace::new(1e6);
        assert_eq!(pace.due(Instant(5_000), 1_000), Instant(1_005_000));
        assert_eq!(pace.due(Instant(6_000), 2_000), Instant(3_005_000), "what came before is paid first");
        assert_eq!(pace.due(Instant(9_000_000), 1_000), Instant(10_000_000), "nothing is saved up for later");
        assert_eq!(Pace::new(f64::MAX).due(Instant(7), usize::MAX), Instant(7));
    }
}
