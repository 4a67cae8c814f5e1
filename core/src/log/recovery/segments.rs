//! Segments in a recovery: what is appended again, what is checked, and their sync. Blocking.

use std::io;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::super::commit_log::{Lsn, SegmentRange};
use super::super::descriptors::{Descriptors, FileId, FileKind, segment_path};
use super::super::error::StoreError;
use super::super::header::BatchHeader;
use super::super::leader_epoch_cache::LEADER_EPOCH_FILE;
use super::super::log::Log;
use super::super::partition_metadata::PARTITION_METADATA_FILE;
use crate::reactor::{Disk, File, OpenMode};
use crate::record::crc32c;

/// Checks the bytes of the last group that went past the commit log.
pub(super) fn check_range(disk: &Rc<dyn Disk>, dir: &Path, range: &SegmentRange) -> Result<(), StoreError> {
    let path = segment_path(dir, range.segment_base_offset, FileKind::Log);
    let mut bytes = vec![0; usize::try_from(range.size_bytes).unwrap_or(0)];
    let read = File::open(disk, &path, OpenMode::READ).and_then(|file| file.read_at(range.position, &mut bytes));
    match read {
        Ok(read) if read == bytes.len() && crc32c(&bytes) == range.crc => Ok(()),
        Ok(_) => {
            let reason = format!("not what was synced at byte {}", range.position);
            Err(StoreError::Corrupt { path, offset: range.segment_base_offset, reason })
        }
        Err(source) => Err(StoreError::Io { path, source }),
    }
}

impl Log {
    /// Appends a batch of the commit log: it was checked when it was first appended.
    pub fn replay(
        &mut self,
        header: &BatchHeader,
        payload: Bytes,
        lsn: Option<Lsn>,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> io::Result<()> {
        if self.must_roll(header, now_ms) {
            if let Some(error) = self.write_tail(files).error {
                return Err(error);
            }
            self.roll(now_ms, files)?;
        }
        self.append(header, payload, Bytes::new(), lsn, false);
        Ok(())
    }

    /// Writes what the next opening would have to walk for. A file that would be empty is not made.
    pub(super) fn settle(&mut self, files: &mut Descriptors) -> io::Result<()> {
        self.ready_folder(files)?;
        let (key, dir) = (self.key, self.dir.clone());
        if self.active().has_pending_entries() {
            self.active().write_indexes(key, &dir, files)?;
        }
        Ok(())
    }

    /// Syncs the segments that were written or kept, the small files and the folder.
    pub(super) fn sync(&mut self, files: &mut Descriptors) -> io::Result<()> {
        for base_offset in std::mem::take(&mut self.unsynced) {
            for kind in FileKind::ALL {
                match files.file(&self.dir, FileId { log: self.key, base_offset, kind }, false) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    file => file?.sync()?,
                }
            }
        }
        for name in [PARTITION_METADATA_FILE, LEADER_EPOCH_FILE] {
            match File::open(files.disk(), &self.dir.join(name), OpenMode::READ) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => file?.sync()?,
            }
        }
        files.disk().sync_dir(&self.dir)
    }
}
