//! The aborted transactions of a log that is being opened: what its `.txnindex` files say, and where one is damaged, what
//! the batches of its segment say, as Kafka's `LogSegment.recover` finds it.
//!
//! A file that is missing cannot be told from that of a segment in which nothing was aborted, and is not looked for.

use std::io;

use super::descriptors::{Descriptors, FileKind};
use super::log::{Log, offset_of_file};
use super::open::replay_batches;
use super::scan::BatchScan;
use super::transaction_index::{AbortedTransaction, EXTENSION, TransactionIndex};
use crate::reactor::{read_file, remove_file_if_there, replace_file};

impl Log {
    /// Takes in the aborted transactions of all segments; `names` are those in the folder. A damaged file is made again.
    pub fn load_aborted(&mut self, names: &[String], files: &mut Descriptors) -> io::Result<()> {
        let mut bases: Vec<i64> = names.iter().filter_map(|name| offset_of_file(name, EXTENSION)).collect();
        bases.sort_unstable();
        self.aborted = TransactionIndex::default();
        for base_offset in bases {
            let path = self.dir.join(format!("{base_offset:020}{EXTENSION}"));
            let bytes = read_file(files.disk(), &path)?;
            let index = self.segment_index(base_offset);
            let end_offset = self.segments.get(index + 1).map_or(i64::MAX, |next| next.base_offset);
            if self.aborted.extend(&bytes, base_offset..end_offset) {
                continue;
            }
            tracing::warn!(path = %path.display(), "an index is made again");
            let aborted = self.find_aborted(index, files)?;
            let bytes: Vec<u8> = aborted.iter().flat_map(AbortedTransaction::encode).collect();
            let written = match aborted.is_empty() {
                true => remove_file_if_there(&**files.disk(), &path),
                false => replace_file(files.disk(), &path, &bytes),
            };
            if let Err(error) = written {
                tracing::warn!(path = %path.display(), %error, "the index could not be written");
            }
            self.aborted.push(aborted);
        }
        Ok(())
    }

    /// The transactions that end in segment `index` with a marker that aborts them. Producers are known from the newest
    /// snapshot at or in front of its base, and the batches behind that.
    fn find_aborted(&self, index: usize, files: &mut Descriptors) -> io::Result<Vec<AbortedTransaction>> {
        let base_offset = self.segments[index].base_offset;
        let mut snapshots = self.snapshots_found.clone();
        snapshots.retain(|offset| (self.segments[0].base_offset..=base_offset).contains(offset));
        let (mut producers, from) = self.newest_snapshot(snapshots, files.disk())?;
        let mut aborted = Vec::new();
        for segment in &self.segments[self.segment_index(from)..=index] {
            let file = files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false)?;
            let size = file.len()?;
            replay_batches(
                &mut producers,
                BatchScan::new(file, 0, size),
                from,
                |producers, header, end, first_offset| {
                    if end.is_abort && header.base_offset >= base_offset {
                        let last_offset = header.last_offset();
                        let last_stable_offset = producers.first_open_transaction().unwrap_or(last_offset + 1);
                        let producer_id = end.producer_id;
                        aborted.push(AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset });
                    }
                },
            )?;
        }
        Ok(aborted)
    }
}
