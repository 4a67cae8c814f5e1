//! Looks for segments that are too old or too much, from time to time, and removes what was found after its delay.
//!
//! Invariants:
//! - There is a timer only while some log of the shard holds data that is bounded: an idle broker without such data
//!   sleeps.
//! - One log per turn: the shard serves between two.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::log::{LogKey, Retired};
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
            is_any_bounded |= self.retire_one(reactor, LogKey(index as u32));
            index += 1;
            reactor.yield_now().await;
        }
        // The background sync may have been asked for.
        self.schedule_flush();
        is_any_bounded
    }

    /// Looks at a log whose start has become durable: what is below it can go.
    pub(super) fn retire_soon(&self, key: LogKey) {
        let (reactor, inner) = (self.0.reactor.clone(), Rc::downgrade(&self.0));
        self.0.reactor.spawn(async move {
            let Some(inner) = inner.upgrade() else { return };
            let partitions = Self(inner);
            partitions.retire_one(&reactor, key);
            partitions.schedule_flush();
        });
    }

    /// Whether there may be more to retire later.
    fn retire_one(&self, reactor: &Reactor, key: LogKey) -> bool {
        match self.retire(key) {
            Ok(Retired { files, delay_ms, is_bounded }) => {
                if !files.is_empty() {
                    reactor.spawn(remove_later(reactor.clone(), files, delay_ms));
                }
                is_bounded
            }
            Err(error) => {
                tracing::error!(%error, "old segments cannot be deleted");
                false
            }
        }
    }
}

/// A stop before the end leaves the files: the next use of the log removes them.
pub(super) async fn remove_later(reactor: Reactor, files: Vec<PathBuf>, delay_ms: i64) {
    reactor.sleep(Duration::from_millis(u64::try_from(delay_ms).unwrap_or_default())).await;
    for path in files {
        remove(&reactor, &path).await;
    }
}

/// Removes the folder of a partition that was deleted, file by file. A stop before the end leaves the rest to the next
/// start.
pub(super) async fn remove_folder(reactor: Reactor, folder: PathBuf) {
    let disk = reactor.disk();
    for entry in disk.list_dir(&folder).unwrap_or_default() {
        remove(&reactor, &folder.join(entry.name)).await;
    }
    if let Err(error) = disk.remove_dir_all(&folder) {
        tracing::warn!(folder = %folder.display(), %error, "the folder of a deleted partition cannot be removed");
    }
}

/// Large files take their time, in which the shard serves.
async fn remove(reactor: &Reactor, path: &Path) {
    match reactor.remove_file(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "what was deleted cannot be removed");
        }
        _ => {}
    }
}
