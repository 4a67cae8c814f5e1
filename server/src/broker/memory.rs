//! How the broker's memory (`--memory`) is divided: each shard gets the same share, and bounds within it.

use ringlog_core::log::StoreConfig;

use super::RunError;

/// A shard does not work with less.
const SHARD_BYTES_MIN: u64 = 64 << 20;
/// A shard takes no more unless it is told to.
const SHARD_BYTES_BY_DEFAULT: u64 = 512 << 20;
/// An offset map that knows 46 million keys.
const CLEANER_BYTES_MAX: u64 = 1 << 30;
/// Buffers for receiving: `IoConfig::default()`.
const RECEIVE_BYTES: u64 = 8 << 20;

/// The bounds of one shard, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMemory {
    /// Requests being received or handled, and answers.
    pub requests_max: usize,
    /// Warm memory for large frames.
    pub frame_pool_max: usize,
    /// Records that the segments do not have yet.
    pub dirty_max: usize,
    /// What the commit log gathers.
    pub staging_max: usize,
    /// Partitions in fetch sessions.
    pub fetch_sessions_max: usize,
    /// The offset map of a log that is compacted.
    pub cleaner_max: usize,
}

impl ShardMemory {
    /// The bounds under `memory` for all shards together; without it, under a quarter of `machine_bytes`.
    pub fn new(memory: Option<u64>, machine_bytes: u64, shards_count: usize) -> Result<Self, RunError> {
        let shards = shards_count as u64;
        let share = match memory {
            Some(memory) if memory / shards < SHARD_BYTES_MIN => {
                let needed = SHARD_BYTES_MIN * shards;
                return Err(RunError::Memory { memory, shards_count, needed });
            }
            Some(memory) => memory / shards,
            None => (machine_bytes / 4 / shards).clamp(SHARD_BYTES_MIN, SHARD_BYTES_BY_DEFAULT),
        };
        let eighth = |bytes_max: u64| (share / 8).min(bytes_max);
        let (frame_pool, dirty, staging) = (eighth(16 << 20), eighth(16 << 20), eighth(32 << 20));
        let (fetch_sessions, cleaner) = (share / 32, (share / 16).min(CLEANER_BYTES_MAX));
        let requests = share - frame_pool - dirty - staging - fetch_sessions - cleaner - RECEIVE_BYTES;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self {
            requests_max: bytes(requests),
            frame_pool_max: bytes(frame_pool),
            dirty_max: bytes(dirty),
            staging_max: bytes(staging),
            fetch_sessions_max: bytes(fetch_sessions),
            cleaner_max: bytes(cleaner),
        })
    }

    /// The bounds of the shard's store.
    pub fn store(&self) -> StoreConfig {
        let mut store = StoreConfig { dirty_bytes_max: self.dirty_max, ..StoreConfig::default() };
        store.commit_log.staging_bytes_max = self.staging_max;
        store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn sum(memory: &ShardMemory) -> u64 {
        let ShardMemory { requests_max, frame_pool_max, dirty_max, staging_max, fetch_sessions_max, cleaner_max } =
            memory;
        let parts = [requests_max, frame_pool_max, dirty_max, staging_max, fetch_sessions_max, cleaner_max];
        parts.into_iter().sum::<usize>() as u64 + RECEIVE_BYTES
    }

    #[test]
    fn the_parts_are_the_share() {
        for (memory, shards) in [(64 * MIB, 1), (128 * MIB, 2), (1000 * MIB, 2), (64 << 30, 16)] {
            let bounds = ShardMemory::new(Some(memory), 0, shards).unwrap();
            assert_eq!(sum(&bounds), memory / shards as u64, "{memory}");
            assert!(bounds.requests_max as u64 >= memory / shards as u64 * 2 / 5);
        }
        assert!(ShardMemory::new(Some(127 * MIB), 0, 2).unwrap_err().to_string().contains("ringlog.memory"));
    }

    #[test]
    fn by_default_a_quarter_of_a_small_machine_and_no_more_than_needed_of_a_large_one() {
        assert_eq!(sum(&ShardMemory::new(None, 2048 * MIB, 2).unwrap()), 256 * MIB);
        assert_eq!(sum(&ShardMemory::new(None, 256 << 30, 2).unwrap()), SHARD_BYTES_BY_DEFAULT);
        assert_eq!(sum(&ShardMemory::new(None, 100 * MIB, 2).unwrap()), SHARD_BYTES_MIN);
    }

    #[test]
    fn the_smallest_store_can_be_opened() {
        let store = ShardMemory::new(Some(64 * MIB), 0, 1).unwrap().store();
        assert!(store.commit_log.entry_bytes_max + store.commit_log.chunk_bytes < store.commit_log.staging_bytes_max);
    }
}
