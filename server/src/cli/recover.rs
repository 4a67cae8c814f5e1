//! `ringlog recover`: makes a data directory clean after a crash, without serving it.

use std::rc::Rc;

use ringlog_core::log::{StoreError, is_clean, mark_in_use, recover_log_dir};
use ringlog_core::reactor::{Disk, FsDisk};

use super::format::wall_clock_ms;
use crate::config::{Properties, RecoverOptions};
use crate::metadata::{
    DataDirectory, DirectoryError, LoadedLog, MetadataLog, MetadataLogError, OpenTransactions, TakeoverError,
    check_takeover, log_specs,
};

/// Why a directory cannot be made clean.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    /// It is locked, or not a data directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The metadata log cannot be read.
    #[error(transparent)]
    Metadata(#[from] MetadataLogError),
    /// Apache Kafka left it in a state that only Kafka can bring back.
    #[error("{0}: {remedy}", remedy = .0.remedy())]
    Takeover(#[from] TakeoverError),
    /// A partition or a commit log cannot be brought back.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the directory clean. Says what was done.
pub(super) fn recover(options: &RecoverOptions) -> Result<String, RecoverError> {
    let disk: Rc<dyn Disk> = Rc::new(FsDisk);
    let shown = options.dir.display();
    if !disk.exists(&options.dir) {
        return Err(DirectoryError::NotFormatted(options.dir.clone()).into());
    }
    let directory = DataDirectory::lock(&disk, &options.dir)?;
    let identity = directory.stored_identity()?;
    if is_clean(&disk, directory.path()) {
        directory.unlock();
        return Ok(format!("{shown} was stopped cleanly: nothing to do"));
    }
    let found = MetadataLog::find(&disk, directory.path())?;
    check_takeover(&directory, &found, &identity, OpenTransactions::Accept)?;
    mark_in_use(&disk, directory.path())?;
    let LoadedLog { image, .. } = found.open()?;
    let broker_epoch = image.broker(identity.node_id).map_or(-1, |broker| broker.broker_epoch);
    // Without the broker's own keys: they only decide where a segment ends.
    let specs = log_specs(&image, identity.node_id, &Properties::default());
    let recovered = recover_log_dir(&disk, directory.path(), &specs, wall_clock_ms(), broker_epoch)?;
    directory.unlock();
    Ok(format!(
        "{shown} is clean now: {} partitions, {} batches brought from commit logs, {} bytes of batches cut that were \
         not whole or never acked",
        specs.len(),
        recovered.replayed_entries,
        recovered.cut_bytes,
    ))
}
