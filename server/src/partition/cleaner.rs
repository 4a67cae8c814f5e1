//! Compacts the logs of the shard, the dirtiest first, one at a time, from time to time.
//!
//! Invariants:
//! - There is a timer only while some log may become worth it: an idle broker sleeps.
//! - The shard serves between any two pieces of the work.

use std::cell::Cell;
use std::io;

use ringlog_core::log::{CleanError, CleanerConfig, Cleaning, Dirtiness, LogKey, StoreError};
use ringlog_core::reactor::Reactor;

use super::Partitions;
use crate::metadata::ShardCleaner;

/// How compaction is set up now; asked before each round, since it can be changed while the broker runs.
pub type CleanerSource = Box<dyn Fn() -> ShardCleaner>;

/// The timer of one shard.
pub(super) struct Cleaner {
    source: CleanerSource,
    is_armed: Cell<bool>,
}

impl Cleaner {
    pub fn new(source: CleanerSource) -> Self {
        Self { source, is_armed: Cell::new(false) }
    }
}

/// How a look at all logs goes on.
enum Next {
    /// There may be more to do at once.
    Again,
    /// There may be something to do later.
    Later,
    /// Not before something is appended.
    Nothing,
}

impl Partitions {
    /// Looks after the next pause, if there is a log to look at.
    pub(super) fn arm_cleaner(&self) {
        if self.0.cleaner.is_armed.get() || !self.0.store.borrow().has_logs_to_clean() {
            return;
        }
        self.0.cleaner.is_armed.set(true);
        let (reactor, inner) = (self.0.reactor.clone(), std::rc::Rc::downgrade(&self.0));
        let backoff = (self.0.cleaner.source)().backoff;
        self.0.reactor.spawn(async move {
            loop {
                reactor.sleep(backoff).await;
                let Some(inner) = inner.upgrade() else { return };
                let partitions = Self(inner);
                loop {
                    match partitions.clean_dirtiest(&reactor).await {
                        Next::Again => {}
                        Next::Later => break,
                        Next::Nothing => return partitions.0.cleaner.is_armed.set(false),
                    }
                }
            }
        });
    }

    async fn clean_dirtiest(&self, reactor: &Reactor) -> Next {
        let ShardCleaner { is_enabled, config, .. } = (self.0.cleaner.source)();
        if !is_enabled {
            return Next::Nothing;
        }
        let (mut dirtiest, mut is_any_later) = (None, false);
        let keys = self.0.store.borrow().logs_to_clean();
        for key in keys {
            let dirtiness = self.0.store.borrow_mut().dirtiness(key);
            match dirtiness {
                Ok(Dirtiness::Due(ratio)) if dirtiest.is_none_or(|(most, _)| ratio > most) => {
                    dirtiest = Some((ratio, key));
                }
                Ok(Dirtiness::Due(_) | Dirtiness::Clean) => {}
                Ok(Dirtiness::Later) => is_any_later = true,
                Err(error) => tracing::error!(%error, "a log cannot be looked at for compaction"),
            }
            reactor.yield_now().await;
        }
        // The background sync may have been asked for.
        self.schedule_flush();
        match dirtiest {
            None if is_any_later => Next::Later,
            None => Next::Nothing,
            Some((_, key)) => match self.clean(key, &config, reactor).await {
                Ok(true) => Next::Again,
                Ok(false) => Next::Later,
                Err(error) => {
                    tracing::error!(%error, "a log cannot be compacted");
                    Next::Later
                }
            },
        }
    }

    /// A round over one log. Whether it came to its end.
    async fn clean(&self, key: LogKey, config: &CleanerConfig, reactor: &Reactor) -> Result<bool, StoreError> {
        let begun = self.0.store.borrow_mut().begin_cleaning(key, config)?;
        let Some(mut cleaning) = begun else { return Ok(true) };
        let result = self.clean_segments(&mut cleaning, reactor).await;
        let is_whole = result.is_ok();
        self.0.store.borrow_mut().end_cleaning(cleaning, result);
        self.schedule_flush();
        Ok(is_whole)
    }

    async fn clean_segments(&self, cleaning: &mut Cleaning, reactor: &Reactor) -> Result<(), CleanError> {
        while let Some(segment) = cleaning.next_segment().await? {
            let swapped = self.0.store.borrow_mut().swap_in(cleaning.key(), segment);
            let swapped = swapped.map_err(|error| CleanError::Unwritable(io::Error::other(error)))?;
            let Some(retired) = swapped else {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its segments are gone").into());
            };
            self.0.removals.remove_later(retired);
            reactor.yield_now().await;
        }
        Ok(())
    }
}
