//! The clean stop of a store.

use std::io;

use super::super::LogKey;
use super::super::checkpoints::ClosedLog;
use super::super::descriptors::{FileId, FileKind};
use super::super::error::StoreError;
use super::super::failure::note_failed_sync;
use super::{LogState, LogStore};

impl LogStore {
    /// Stops: everything is written, sealed and synced. What the logs' ends are is written down when all
    /// shards have stopped. Nothing is under way any more ([`stop`](crate::reactor::Reactor::stop)), and nothing may follow.
    pub fn close(&mut self) -> Result<Vec<ClosedLog>, StoreError> {
        self.take_direct_writes();
        self.take_checkpoint();
        if self.reactor.unseen_failures() > 0 {
            self.fail(&io::Error::other("what was under way at the stop has failed"));
        }
        if let Some(kind) = self.sync.commit_log.failure() {
            return Err(StoreError::CommitLog(format!("it has failed, the next start recovers: {kind}")));
        }
        // Until the clean stop is finished, which removes it.
        note_failed_sync(self.files.disk(), &self.log_dir)
            .map_err(|source| StoreError::Io { path: self.log_dir.clone(), source })?;
        self.sync.direct_writes.close();
        self.stop_cleaning();
        for key in std::mem::take(&mut self.dirty) {
            self.write_and_ack(key);
        }
        self.write_all_tails();
        let mut closed = Vec::with_capacity(self.logs.len());
        for (index, stored) in self.logs.iter_mut().enumerate() {
            let Some(stored) = stored else { continue };
            if let LogState::Unopened(point) = &stored.state
                && !stored.from_clean_stop
                && point.end_offset > 0
            {
                let (key, now_ms) = (LogKey(index as u32), self.reactor.wall_clock_ms());
                let log = stored.open(key, &self.log_dir, now_ms, 0, &mut self.files)?;
                if let Some(error) = log.write_tail(&mut self.files).error {
                    return Err(log.io_error(error));
                }
            }
            if let LogState::Open(log) = &mut stored.state {
                if let Some(reason) = &log.stopped {
                    return Err(StoreError::Io { path: log.dir.clone(), source: io::Error::other(reason.clone()) });
                }
                if !log.tail.is_empty() {
                    return Err(log.io_error(io::ErrorKind::StorageFull.into()));
                }
                let (dir, key, files) = (&log.dir, log.key, &mut self.files);
                let file = |base_offset| files.file(dir, FileId { log: key, base_offset, kind: FileKind::Log }, true);
                log.direct.write_rest(file).map_err(|error| log.io_error(error))?;
                log.seal(&mut self.files).map_err(|error| log.io_error(error))?;
            }
            closed.push(stored.closed());
        }
        let disk = self.files.disk();
        disk.sync_all(&self.log_dir).map_err(|source| StoreError::Io { path: self.log_dir.clone(), source })?;
        Ok(closed)
    }
}
