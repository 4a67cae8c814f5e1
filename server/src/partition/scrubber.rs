//! Looks at all logs of the shard for bytes that have changed on the disk, slowly, from time to time.
//!
//! Invariants:
//! - There is one timer, and only while some log holds data. Where no pace is set it ends when it is due; the next append
//!   begins it again, so that appends never ask how the look is set up.
//! - A log whose damage was found goes on: its damaged batches are refused, the others are served.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::log::{LogKey, Pace, Scrubbed};
use ringlog_core::reactor::Reactor;

use super::Partitions;
use crate::metadata::ShardScrubber;
use crate::meters::ScrubCounts;

/// The first pass comes this long after the start, or after one interval, whichever is sooner.
const FIRST_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How the look is set up now; asked before each log, since it can be changed while the broker runs.
pub type ScrubberSource = Box<dyn Fn() -> ShardScrubber>;

/// The timer of one shard.
pub(super) struct Scrubber {
    source: ScrubberSource,
    is_armed: Cell<bool>,
    counts: Cell<ScrubCounts>,
}

impl Scrubber {
    pub fn new(source: ScrubberSource) -> Self {
        Self { source, is_armed: Cell::new(false), counts: Cell::default() }
    }
}

impl Partitions {
    /// What was looked at.
    pub fn scrub_counts(&self) -> ScrubCounts {
        ScrubCounts { damaged_logs: self.0.store.borrow().damaged_count(), ..self.0.scrubber.counts.get() }
    }

    /// There is data to look at.
    pub(super) fn arm_scrubber(&self) {
        if self.0.scrubber.is_armed.replace(true) {
            return;
        }
        let (reactor, inner) = (self.0.reactor.clone(), Rc::downgrade(&self.0));
        let mut pause = (self.0.scrubber.source)().interval.min(FIRST_AFTER_MAX);
        self.0.reactor.spawn(async move {
            loop {
                reactor.sleep(pause).await;
                let Some(inner) = inner.upgrade() else { return };
                let partitions = Self(inner);
                let began = reactor.now();
                let is_off = (partitions.0.scrubber.source)().bytes_per_second == 0.0;
                if is_off || !partitions.scrub_all(&reactor).await {
                    return partitions.0.scrubber.is_armed.set(false);
                }
                let taken = Duration::from_nanos(reactor.now().0 - began.0);
                pause = (partitions.0.scrubber.source)().interval.saturating_sub(taken);
            }
        });
    }

    /// Looks at every log. Whether there is any with data.
    async fn scrub_all(&self, reactor: &Reactor) -> bool {
        let (mut index, mut is_any) = (0, false);
        while index < self.logs_count() {
            let key = LogKey(index as u32);
            let ShardScrubber { bytes_per_second, .. } = (self.0.scrubber.source)();
            let scrub = self.0.store.borrow().begin_scrub(key);
            if let Some(scrub) = scrub
                && bytes_per_second > 0.0
            {
                is_any = true;
                match scrub.run(&mut Pace::new(bytes_per_second)).await {
                    Ok(scrubbed) => self.note_scrubbed(key, &scrubbed),
                    Err(error) => tracing::warn!(%error, "a log cannot be looked through"),
                }
            }
            index += 1;
            reactor.yield_now().await;
        }
        let counts = self.0.scrubber.counts.get();
        self.0.scrubber.counts.set(ScrubCounts { passes: counts.passes + 1, ..counts });
        is_any
    }

    fn note_scrubbed(&self, key: LogKey, scrubbed: &Scrubbed) {
        let counts = self.0.scrubber.counts.get();
        self.0.scrubber.counts.set(ScrubCounts { bytes: counts.bytes + scrubbed.bytes, ..counts });
        let mut store = self.0.store.borrow_mut();
        let Some(spec) = store.note_damages(key, &scrubbed.damages) else { return };
        for damage in &scrubbed.damages {
            tracing::error!(
                topic = %spec.topic_name,
                partition = spec.partition_index,
                segment = damage.segment,
                position = damage.position,
                from_offset = damage.offsets.start,
                end_offset = damage.offsets.end,
                reason = %damage.reason,
                "a segment is damaged: these offsets are refused"
            );
        }
    }
}
