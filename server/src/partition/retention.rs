//! Looks for segments that are too old or too much, from time to time.
//!
//! Invariants:
//! - There is a timer only while some log of the shard holds data that is bounded: an idle broker without such data
//!   sleeps.
//! - One log per turn: the shard serves between two.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::log::LogKey;
use ringlog_core::reactor::Reactor;

use super::Partitions;

/// The timer of one shard.
#[derive(Debug)]
pub(super) struct Retention {
    interval: Duration,
    is_armed: Cell<bool>,
}

impl Retention {
    pub fn new(interval: Duration) -> Self {
        Self { interval, is_armed: Cell::new(false) }
    }
}

impl Partitions {
    /// There may be something to do after the next interval.
    pub(super) fn arm_retention(&self) {
        if self.0.retention.is_armed.replace(true) {
            return;
        }
        let (reactor, interval, inner) = (self.0.reactor.clone(), self.0.retention.interval, Rc::downgrade(&self.0));
        self.0.reactor.spawn(async move {
            loop {
                reactor.sleep(interval).await;
                let Some(inner) = inner.upgrade() else { return };
                let partitions = Self(inner);
                if !partitions.retire_all(&reactor).await {
                    partitions.0.retention.is_armed.set(false);
                    return;
                }
            }
        });
    }

    /// Looks at every log. Whether there is any that may have more to retire later.
    async fn retire_all(&self, reactor: &Reactor) -> bool {
        let (mut index, mut is_any_bounded) = (0, false);
        while index < self.logs_count() {
            is_any_bounded |= self.retire_one(LogKey(index as u32));
            index += 1;
            reactor.yield_now().await;
        }
        // The background sync may have been asked for.
        self.schedule_flush();
        is_any_bounded
    }

    /// Looks at a log whose start has become durable: what is below it can go.
    pub(super) fn retire_soon(&self, key: LogKey) {
        let inner = Rc::downgrade(&self.0);
        self.0.reactor.spawn(async move {
            let Some(inner) = inner.upgrade() else { return };
            let partitions = Self(inner);
            partitions.retire_one(key);
            partitions.schedule_flush();
        });
    }

    /// Whether there may be more to retire later.
    fn retire_one(&self, key: LogKey) -> bool {
        match self.retire(key) {
            Ok(retired) => {
                let is_bounded = retired.is_bounded;
                self.0.removals.remove_later(retired);
                is_bounded
            }
            Err(error) => {
                tracing::error!(%error, "old segments cannot be deleted");
                false
            }
        }
    }
}
