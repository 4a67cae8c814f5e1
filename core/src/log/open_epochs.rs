//! The leader epochs of a log that is being opened: what the file says, as far as its batches agree, and what it lacks.
//!
//! Epochs only rise along a log, so the file is right up to its newest entry that names the first batch of its epoch: had
//! anything before been written again since, that batch would be of a later epoch. And where an epoch begins is found by
//! halving. So neither costs a walk through the log, and what is old is not read.

use std::io;

use super::descriptors::Descriptors;
use super::error::StoreError;
use super::header::BatchHeader;
use super::leader_epoch_cache::{EpochEntry, LEADER_EPOCH_FILE, LeaderEpochCache};
use super::log::Log;
use crate::reactor::read_file;

impl Log {
    /// Takes in the epochs of all batches. Its segments are known, the last one is loaded.
    pub fn load_leader_epochs(&mut self, files: &mut Descriptors) -> Result<(), StoreError> {
        let path = self.dir.join(LEADER_EPOCH_FILE);
        let mut known = match read_file(files.disk(), &path) {
            Ok(bytes) => LeaderEpochCache::decode(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "leader epochs are made again");
                LeaderEpochCache::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LeaderEpochCache::default(),
            Err(error) => return Err(self.io_error(error)),
        };
        self.written_epoch = known.latest();
        self.complete_leader_epochs(&mut known, files).map_err(|error| self.io_error(error))?;
        self.leader_epochs = known;
        Ok(())
    }

    fn complete_leader_epochs(&mut self, known: &mut LeaderEpochCache, files: &mut Descriptors) -> io::Result<()> {
        known.truncate_from_end(self.log_end_offset);
        while let Some(entry) = known.latest()
            && !self.begins_with(entry, files)?
        {
            known.truncate_from_end(entry.start_offset);
        }
        let mut from = known.latest().map_or(self.log_start_offset, |entry| entry.start_offset);
        while let Some(header) = self.first_above(known.latest().map(|entry| entry.leader_epoch), from, files)? {
            from = header.base_offset.max(self.log_start_offset);
            known.assign(header.leader_epoch, from);
        }
        Ok(())
    }

    /// Whether an epoch begins with a batch of its own.
    fn begins_with(&mut self, entry: EpochEntry, files: &mut Descriptors) -> io::Result<bool> {
        let Some(header) = self.batch_from(entry.start_offset, files)? else { return Ok(false) };
        Ok(match header.base_offset.max(self.log_start_offset) {
            start if start == entry.start_offset => header.leader_epoch == entry.leader_epoch,
            // Compaction takes the first batch of an epoch away, and the epoch stays.
            start => start > entry.start_offset && header.leader_epoch >= entry.leader_epoch,
        })
    }

    /// The first batch from `from` on that is of a later epoch.
    fn first_above(
        &mut self,
        leader_epoch: Option<i32>,
        from: i64,
        files: &mut Descriptors,
    ) -> io::Result<Option<BatchHeader>> {
        let is_above = |header: &BatchHeader| header.leader_epoch > leader_epoch.unwrap_or(-1);
        let last = self.log_end_offset - 1;
        let mut first = match self.batch_from(last, files)? {
            Some(header) if last >= from && is_above(&header) => header,
            _ => return Ok(None),
        };
        let mut low = from;
        let mut high = first.base_offset;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.batch_from(middle, files)? {
                Some(header) if is_above(&header) => (first, high) = (header, header.base_offset.min(middle)),
                Some(header) => low = header.last_offset() + 1,
                None => high = middle,
            }
        }
        Ok(Some(first))
    }

    /// The batch that holds `offset`, or the first one behind it.
    fn batch_from(&mut self, offset: i64, files: &mut Descriptors) -> io::Result<Option<BatchHeader>> {
        for index in self.segment_index(offset)..self.segments.len() {
            self.segments[index].load(self.key, &self.dir, files)?;
            if let Some(header) = self.find_batch(index, offset, files)? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}
