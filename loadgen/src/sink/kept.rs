//! What a sink that keeps records has: whole batches in memory, by topic and partition.

use std::collections::HashMap;

use ringlog_core::record::{BatchView, patch_base_offset_and_epoch};

/// Bytes of all batches at most; what comes later is refused.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// All batches.
#[derive(Debug, Default)]
pub(super) struct Kept {
    partitions: HashMap<(String, i32), Vec<Vec<u8>>>,
    size_bytes: usize,
}

impl Kept {
    /// Appends a batch; false if there is no room.
    pub(super) fn append(&mut self, topic: &str, partition: i32, base_offset: i64, batch: &[u8]) -> bool {
        if self.size_bytes + batch.len() > KEPT_BYTES_MAX {
            return false;
        }
        self.size_bytes += batch.len();
        let mut batch = batch.to_vec();
        patch_base_offset_and_epoch(&mut batch, base_offset, 0);
        self.partitions.entry((topic.to_owned(), partition)).or_default().push(batch);
        true
    }

    /// Whole batches from the one that holds `offset` on: at least one, if there is one.
    pub(super) fn read(&self, topic: &str, partition: i32, offset: i64, bytes_max: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(batches) = self.partitions.get(&(topic.to_owned(), partition)) else { return bytes };
        let first = batches.partition_point(|batch| next_offset(batch) <= offset);
        for batch in &batches[first..] {
            if !bytes.is_empty() && bytes.len() + batch.len() > bytes_max {
                break;
            }
            bytes.extend_from_slice(batch);
        }
        bytes
    }
}

fn next_offset(batch: &[u8]) -> i64 {
    BatchView::parse(batch).map_or(0, |batch| batch.next_offset())
}
