//! That a write or a sync has failed somewhere in the log directory, told to the stores of all shards.
//!
//! They share its device. Where the device has a cache that it flushes, the flush that fails is the only one to say so:
//! what another shard wrote meanwhile may be gone too, and its own flush goes well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, by whoever meets the failure; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct LogDirFailure(Arc<AtomicBool>);

impl LogDirFailure {
    /// Something has failed.
    pub fn report(&self) {
        // Relaxed: it says nothing of other memory, and to see it a moment later is no harm that an order would prevent.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether something has.
    pub fn is_reported(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
