//! That a write or a sync has failed somewhere in the log directory: told to the stores of all shards, and to the next
//! start.
//!
//! The stores share a device. Where it has a cache that it flushes, the flush that fails is the only one to say so: what
//! another shard wrote meanwhile may be gone too, and its own flush goes well.
//!
//! The kernel marks clean what a failed sync did not write. A process that starts again on the same kernel reads it, syncs
//! it with success, and has nothing on the device: it must write it again. The note of that is not synced. When the
//! kernel goes, the page cache goes with it. Where the note cannot be made, no sync is begun that the process would not
//! outlive, and one that has failed is noted as soon as the disk lets it.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::recovery::COMMIT_LOG_FOLDER;
use crate::reactor::{Disk, File, OpenMode, remove_file_if_there};

const SYNC_FAILED_FILE: &str = "sync-failed";

/// Notes that the page cache may hold as clean what is not on the device. Taken first where a failure may be the end.
pub(crate) fn note_failed_sync(disk: &Rc<dyn Disk>, log_dir: &Path) -> io::Result<()> {
    File::open(disk, &log_dir.join(COMMIT_LOG_FOLDER).join(SYNC_FAILED_FILE), OpenMode::REWRITE).map(drop)
}

/// Whether that was noted.
pub(crate) fn has_failed_sync(disk: &Rc<dyn Disk>, log_dir: &Path) -> bool {
    disk.exists(&log_dir.join(COMMIT_LOG_FOLDER).join(SYNC_FAILED_FILE))
}

/// All of it is on the device now.
pub(crate) fn forget_failed_sync(disk: &Rc<dyn Disk>, log_dir: &Path) -> io::Result<()> {
    remove_file_if_there(&**disk, &log_dir.join(COMMIT_LOG_FOLDER).join(SYNC_FAILED_FILE))
}

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
