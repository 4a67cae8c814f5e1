//! At which offset each leader epoch began (KIP-101), and the `leader-epoch-checkpoint` file that keeps it.
//!
//! File: `0`, the number of entries, and one `<epoch> <start offset>` per line.
//! Invariant: epochs rise strictly, start offsets rise strictly.

use super::checkpoint::{CheckpointError, Lines, write_lines};

/// Kafka's name of the file in the partition's folder.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// One leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochEntry {
    /// The epoch.
    pub leader_epoch: i32,
    /// Offset of its first record.
    pub start_offset: i64,
}

/// How many entries there were before an [`assign`](LeaderEpochCache::assign) that only added one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderEpochMark(usize);

/// The leader epochs of one log, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochCache {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochCache {
    /// Notes that the record at `start_offset` was written in `leader_epoch`. The usual case, an append by the current
    /// or by a newer leader, is undone by [`restore`](Self::restore). Entries that disagree (a log rewritten from an
    /// earlier offset, or by an earlier leader) go. An epoch below 0 is none. Tells by
    /// [`is_changed`](Self::is_changed) whether the file is to be written.
    pub fn assign(&mut self, leader_epoch: i32, start_offset: i64) -> LeaderEpochMark {
        if leader_epoch < 0 || start_offset < 0 || !self.is_news(leader_epoch, start_offset) {
            return LeaderEpochMark(self.entries.len());
        }
        self.entries.retain(|entry| entry.leader_epoch < leader_epoch && entry.start_offset < start_offset);
        let mark = LeaderEpochMark(self.entries.len());
        if self.entries.capacity() == 0 {
            // Most of very many logs never see another one.
            self.entries.reserve_exact(1);
        }
        self.entries.push(EpochEntry { leader_epoch, start_offset });
        mark
    }

    fn is_news(&self, leader_epoch: i32, start_offset: i64) -> bool {
        self.entries.last().is_none_or(|last| last.leader_epoch != leader_epoch || start_offset < last.start_offset)
    }

    /// Takes an append back that failed.
    pub fn restore(&mut self, mark: LeaderEpochMark) {
        self.entries.truncate(mark.0);
    }

    /// Whether there is more now than at `mark`, so that the file is to be written.
    pub fn is_changed(&self, mark: LeaderEpochMark) -> bool {
        self.entries.len() > mark.0
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// All of them, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The epoch that the record at `offset` was written in, if it is known.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let behind = self.entries.partition_point(|entry| entry.start_offset <= offset);
        behind.checked_sub(1).map(|at| self.entries[at].leader_epoch)
    }

    /// Answers OffsetForLeaderEpoch: the largest epoch up to `leader_epoch`, and the end (exclusive) of its records.
    /// `None` when nothing is known of that epoch: it is newer than any, or negative.
    ///
    /// With epochs 1 from offset 10 and 4 from 25, and the log's end at 30: epoch 4 ends at 30, 1 to 3 give (1, 25),
    /// 0 gives (0, 10), 5 gives `None`.
    pub fn end_offset_for(&self, leader_epoch: i32, log_end_offset: i64) -> Option<(i32, i64)> {
        let latest = self.latest().filter(|_| leader_epoch >= 0)?;
        if latest.leader_epoch == leader_epoch {
            return Some((leader_epoch, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.leader_epoch <= leader_epoch);
        let end_offset = self.entries.get(higher)?.start_offset;
        let floor = higher.checked_sub(1).map_or(leader_epoch, |at| self.entries[at].leader_epoch);
        Some((floor, end_offset))
    }

    /// Forgets epochs that began at or behind the log's new end.
    pub fn truncate_from_end(&mut self, log_end_offset: i64) {
        self.entries.retain(|entry| entry.start_offset < log_end_offset);
    }

    /// Forgets epochs whose records are all below the log's new start; the one that holds it begins there now.
    pub fn truncate_from_start(&mut self, log_start_offset: i64) {
        let behind = self.entries.partition_point(|entry| entry.start_offset <= log_start_offset);
        if let Some(at) = behind.checked_sub(1) {
            self.entries.drain(..at);
            self.entries[0].start_offset = log_start_offset;
        }
    }

    /// The text of the file.
    pub fn encode(&self) -> String {
        let lines = self.entries.iter().map(|entry| format!("{} {}", entry.leader_epoch, entry.start_offset));
        write_lines(lines)
    }

    /// Reads the file. An empty one holds no entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut lines = Lines::new(bytes)?;
        let mut entries: Vec<EpochEntry> = Vec::new();
        while let Some(line) = lines.next()? {
            let [leader_epoch, start_offset] = line.fields()?;
            let entry =
                EpochEntry { leader_epoch: line.number(leader_epoch)?, start_offset: line.number(start_offset)? };
            let rises = entries
                .last()
                .is_none_or(|last| last.leader_epoch < entry.leader_epoch && last.start_offset < entry.start_offset);
            if !rises || entry.leader_epoch < 0 || entry.start_offset < 0 {
                return Err(line.error());
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cache(entries: &[(i32, i64)]) -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for (leader_epoch, start_offset) in entries {
            cache.assign(*leader_epoch, *start_offset);
        }
        cache
    }

    fn pairs(cache: &LeaderEpochCache) -> Vec<(i32, i64)> {
        cache.entries().iter().map(|entry| (entry.leader_epoch, entry.start_offset)).collect()
    }

    #[test]
    fn look_ups() {
        let cache = cache(&[(1, 10), (1, 15), (4, 25)]);
        assert_eq!(pairs(&cache), [(1, 10), (4, 25)]);
        let ends =
            [(-1, None), (0, Some((0, 10))), (1, Some((1, 25))), (3, Some((1, 25))), (4, Some((4, 30))), (5, None)];
        for (leader_epoch, end) in ends {
            assert_eq!(cache.end_offset_for(leader_epoch, 30), end, "{leader_epoch}");
        }
        assert_eq!(
            [9, 10, 24, 25, 99].map(|at| cache.epoch_for_offset(at)),
            [None, Some(1), Some(1), Some(4), Some(4)]
        );
        assert_eq!(LeaderEpochCache::default().end_offset_for(0, 30), None);
    }

    #[test]
    fn a_rewritten_log_takes_its_epochs_along() {
        let mut rewritten = cache(&[(1, 10), (4, 25), (5, 40)]);
        rewritten.assign(6, 20);
        assert_eq!(pairs(&rewritten), [(1, 10), (6, 20)]);
        rewritten.assign(3, 50);
        assert_eq!(pairs(&rewritten), [(1, 10), (3, 50)]);
    }

    #[test]
    fn an_append_that_failed_is_taken_back() {
        let mut cache = cache(&[(1, 10)]);
        let before = cache.clone();
        let mark = cache.assign(2, 20);
        assert!(cache.is_changed(mark));
        cache.restore(mark);
        assert_eq!(cache, before);
        let mark = cache.assign(1, 20);
        assert!(!cache.is_changed(mark));
        cache.restore(mark);
        assert_eq!(cache, before);
    }

    #[test]
    fn truncation() {
        let full = cache(&[(1, 10), (4, 25), (5, 40)]);
        let ends = |at| {
            let mut cache = full.clone();
            cache.truncate_from_end(at);
            pairs(&cache)
        };
        assert_eq!(ends(40), [(1, 10), (4, 25)]);
        assert_eq!(ends(41), pairs(&full));
        let starts = |at| {
            let mut cache = full.clone();
            cache.truncate_from_start(at);
            pairs(&cache)
        };
        assert_eq!(starts(5), pairs(&full));
        assert_eq!(starts(30), [(4, 30), (5, 40)]);
        assert_eq!(starts(40), [(5, 40)]);
        assert_eq!(starts(99), [(5, 99)]);
    }

    #[test]
    fn the_file_is_kafkas() {
        let text = "0\n2\n1 10\n4 25\n";
        assert_eq!(cache(&[(1, 10), (4, 25)]).encode(), text);
        assert_eq!(pairs(&LeaderEpochCache::decode(text.as_bytes()).unwrap()), [(1, 10), (4, 25)]);
        assert_eq!(LeaderEpochCache::decode(b"").unwrap(), LeaderEpochCache::default());
        for bad in [
            "1\n0\n",
            "0\n2\n1 10\n",
            "0\n1\n1 10\n2 20\n",
            "0\n1\n1 x\n",
            "0\n1\n-1 0\n",
            "0\n2\n1 9\n1 10\n",
            "0\n",
            "0\n1\n1 2 3\n",
        ] {
            assert!(LeaderEpochCache::decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn entries_always_rise_and_go_round(steps in proptest::collection::vec((0..8i32, 0..60i64), 0..20)) {
            let cache = cache(&steps);
            prop_assert!(cache.entries().is_sorted_by(|a, b| a.leader_epoch < b.leader_epoch && a.start_offset < b.start_offset));
            prop_assert_eq!(LeaderEpochCache::decode(cache.encode().as_bytes()).unwrap(), cache);
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in "[01 \n-]{0,30}") {
            let _ = LeaderEpochCache::decode(text.as_bytes());
        }
    }
}
