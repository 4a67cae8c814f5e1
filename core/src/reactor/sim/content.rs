//! The bytes of one simulated file, twice: as processes see them, and as they would be after a power cut.
//!
//! Invariants:
//! - `live` is what every read sees, also after a process was killed. `durable` is what is certain to survive a power cut.
//! - What lies between them is `pending`, in order. At a power cut each 512-byte sector goes back to one of the states it
//!   had since it was last durable, independently of its neighbours, and the length goes back to one of the lengths the
//!   file had: torn, reordered and partly lost.
//! - A sector never shows a later write without an earlier one to the same sector: the page cache writes whole sectors.

use std::collections::BTreeMap;

use super::clock::Clockwork;

/// What a device writes whole or not at all.
pub const SECTOR_BYTES: u64 = 512;
/// What a file system allocates and the page cache holds.
pub const PAGE_BYTES: u64 = 4_096;

#[derive(Debug)]
enum Pending {
    Write {
        position: u64,
        bytes: Vec<u8>,
    },
    SetLen(u64),
    /// The sectors of this range became durable: earlier entries say nothing about them any more.
    Durable {
        from: u64,
        to: u64,
    },
    /// The length became durable: earlier entries say nothing about it any more.
    LengthDurable,
}

/// The bytes of one file. Positions and lengths in bytes.
#[derive(Debug, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    /// May be longer than `durable_len`: a sector is made durable whole.
    durable: Vec<u8>,
    durable_len: u64,
    pending: Vec<Pending>,
    /// Entries ever taken out of `pending`, so that a mark stays valid.
    retired: u64,
    /// Per page: on the device's books. A hole of a sparse file is not.
    allocated: Vec<bool>,
    /// Per page: in the page cache.
    resident: Vec<bool>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    /// Copies what is there, returns the bytes copied.
    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> usize {
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(self.live.len());
        let count = buffer.len().min(self.live.len() - from);
        buffer[..count].copy_from_slice(&self.live[from..from + count]);
        count
    }

    /// Whether all pages of the range, as far as the file goes, are in the page cache.
    pub(super) fn is_resident(&self, position: u64, len: u64) -> bool {
        let end = position.saturating_add(len).min(self.len());
        position >= end || pages(position, end).all(|page| self.resident.get(page).copied().unwrap_or(false))
    }

    /// Brings the pages of the range into the page cache.
    pub(super) fn load(&mut self, position: u64, len: u64) {
        let end = position.saturating_add(len).min(self.len());
        mark_pages(&mut self.resident, position, end);
    }

    /// Drops all pages from the page cache; what was not written back is kept by the caller's model (`live`).
    pub(super) fn evict(&mut self) {
        self.resident.clear();
    }

    /// Drops the pages of a range that was written past the page cache.
    pub(super) fn drop_pages(&mut self, from: u64, to: u64) {
        let range = pages(from, to);
        let count = self.resident.len();
        self.resident[range.start.min(count)..range.end.min(count)].fill(false);
    }

    /// Pages that a write to this range would newly allocate.
    pub(super) fn missing_pages(&self, position: u64, len: u64) -> u64 {
        let end = position + len;
        if len == 0 {
            return 0;
        }
        pages(position, end).filter(|&page| !self.allocated.get(page).copied().unwrap_or(false)).count() as u64
    }

    pub(super) fn allocated_pages(&self) -> u64 {
        self.allocated.iter().filter(|&&page| page).count() as u64
    }

    /// Writes through the page cache. Nothing becomes durable.
    pub(super) fn write(&mut self, position: u64, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let (from, end) = (to_index(position), to_index(position) + bytes.len());
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[from..end].copy_from_slice(&bytes);
        mark_pages(&mut self.allocated, position, end as u64);
        mark_pages(&mut self.resident, position, end as u64);
        self.pending.push(Pending::Write { position, bytes });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.live.resize(to_index(len), 0);
        let whole_pages = to_index(len.div_ceil(PAGE_BYTES));
        self.allocated.truncate(whole_pages);
        self.resident.truncate(whole_pages);
        self.pending.push(Pending::SetLen(len));
    }

    /// A write of `from..to` completed with RWF_DSYNC: its sectors and the length it needs survive.
    pub(super) fn make_durable(&mut self, from: u64, to: u64) {
        if self.pending.iter().any(|entry| matches!(entry, Pending::SetLen(_))) {
            self.settle_lengths();
        }
        self.durable_len = self.durable_len.max(to);
        self.copy_sectors(from, to);
        if !self.pending.is_empty() {
            self.pending.push(Pending::Durable { from, to });
        }
    }

    /// Makes the cuts and extensions so far durable, as the inode's metadata is written as one.
    fn settle_lengths(&mut self) {
        for index in 0..self.pending.len() {
            if let Pending::SetLen(len) = self.pending[index] {
                self.durable.truncate(to_index(len));
                self.pending[index] = Pending::Durable { from: len, to: u64::MAX };
            }
        }
        // The sectors at the cuts were voided above; they survive as they are now.
        let cuts: Vec<u64> = self
            .pending
            .iter()
            .filter_map(|entry| match entry {
                Pending::Durable { from, to: u64::MAX } => Some(*from),
                _ => None,
            })
            .collect();
        for cut in cuts {
            if cut % SECTOR_BYTES != 0 {
                self.copy_sectors(cut, cut + 1);
            }
        }
        self.durable_len = self.len();
        self.pending.push(Pending::LengthDurable);
    }

    fn copy_sectors(&mut self, from: u64, to: u64) {
        let start = to_index(from / SECTOR_BYTES * SECTOR_BYTES);
        let end = to_index(to.div_ceil(SECTOR_BYTES) * SECTOR_BYTES).min(self.live.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.live[start..end]);
        }
    }

    /// Names what was written so far: a sync that starts now covers it.
    pub(super) fn mark(&self) -> u64 {
        self.retired + self.pending.len() as u64
    }

    /// Makes durable what was written before the mark (fdatasync).
    pub(super) fn sync(&mut self, mark: u64) {
        let upto = to_index(mark.saturating_sub(self.retired)).min(self.pending.len());
        self.fold(upto, upto, |versions| versions);
    }

    /// A failed sync, as real kernels do it: an unknown part was written, and what was not is forgotten (its pages are
    /// marked clean), so that a later sync succeeds without writing it. Reads still see it until a power cut.
    pub(super) fn fail_sync(&mut self, clock: &Clockwork) {
        self.lose(clock);
    }

    /// The power cut: `live` becomes what survived.
    pub(super) fn cut_power(&mut self, clock: &Clockwork) {
        self.lose(clock);
        self.durable.resize(to_index(self.durable_len), 0);
        self.live.clone_from(&self.durable);
        let whole_pages = to_index(self.len().div_ceil(PAGE_BYTES));
        self.allocated.truncate(whole_pages);
        self.resident.clear();
    }

    /// Flips one bit in every copy.
    pub(super) fn flip_bit(&mut self, position: u64, bit: u8) {
        for copy in [&mut self.live, &mut self.durable] {
            if let Some(byte) = copy.get_mut(to_index(position)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Settles all that is pending, each sector and the length at a state of the seed's choice. The extremes (all lost,
    /// all kept) are as likely as mixtures, or long lists would never show them.
    fn lose(&mut self, clock: &Clockwork) {
        let count = self.pending.len();
        if count == 0 {
            return;
        }
        let kept_per_mille = [0, 1_000, 500, 900][to_index(clock.below(4))];
        let lengths_upto = match clock.below(3) {
            0 => 0,
            1 => count,
            _ => to_index(clock.below(count as u64 + 1)),
        };
        self.fold(count, lengths_upto, |versions| {
            let some = to_index(clock.below(versions as u64 + 1));
            if clock.chance(kept_per_mille) {
                versions
            } else if kept_per_mille == 0 {
                0
            } else {
                some
            }
        });
    }

    /// Moves the first `upto` pending entries into `durable`. Of each sector's versions among them the first
    /// `choose(count)` are applied, of the lengths those of the first `lengths_upto` entries.
    fn fold(&mut self, upto: usize, lengths_upto: usize, mut choose: impl FnMut(usize) -> usize) {
        let pending = std::mem::take(&mut self.pending);
        let mut versions: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut len = self.durable_len;
        // Blocks freed by a cut that did not survive: what was written after it went to other blocks.
        let mut lost_from = u64::MAX;
        for (index, entry) in pending.iter().enumerate() {
            match entry {
                Pending::Write { position, bytes } if index < upto => {
                    let end = position + bytes.len() as u64;
                    for sector in (position / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).filter(|&s| s < lost_from) {
                        versions.entry(sector).or_default().push(index);
                    }
                    if index < lengths_upto {
                        len = len.max(end);
                    }
                }
                Pending::SetLen(new_len) if index < lengths_upto => {
                    len = *new_len;
                    self.durable.truncate(to_index(*new_len));
                    versions.split_off(&new_len.div_ceil(SECTOR_BYTES));
                    if new_len % SECTOR_BYTES != 0 {
                        versions.entry(new_len / SECTOR_BYTES).or_default().push(index);
                    }
                }
                Pending::SetLen(new_len) if index < upto => {
                    lost_from = lost_from.min(new_len.div_ceil(SECTOR_BYTES));
                }
                Pending::Durable { from, to } => {
                    let mut behind = versions.split_off(&(from / SECTOR_BYTES));
                    versions.append(&mut behind.split_off(&to.div_ceil(SECTOR_BYTES)));
                }
                Pending::LengthDurable => len = self.durable_len,
                Pending::Write { .. } | Pending::SetLen(_) => {}
            }
        }
        for (sector, list) in versions {
            for &index in &list[..choose(list.len())] {
                self.apply(sector, &pending[index]);
            }
        }
        self.durable_len = len;
        self.retired += upto as u64;
        self.pending = pending;
        self.pending.drain(..upto);
        if self.pending.iter().all(|entry| matches!(entry, Pending::Durable { .. } | Pending::LengthDurable)) {
            self.retired += self.pending.len() as u64;
            self.pending.clear();
        }
    }

    /// Applies the part of one entry that lies in one sector.
    fn apply(&mut self, sector: u64, entry: &Pending) {
        let (sector_start, sector_end) = (to_index(sector * SECTOR_BYTES), to_index((sector + 1) * SECTOR_BYTES));
        match entry {
            Pending::Write { position, bytes } => {
                let start = to_index(*position).max(sector_start);
                let end = (to_index(*position) + bytes.len()).min(sector_end);
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                let offset = to_index(*position);
                self.durable[start..end].copy_from_slice(&bytes[start - offset..end - offset]);
            }
            Pending::SetLen(len) => {
                let end = sector_end.min(self.durable.len());
                if to_index(*len) < end {
                    self.durable[to_index(*len)..end].fill(0);
                }
            }
            Pending::Durable { .. } | Pending::LengthDurable => {}
        }
    }
}

fn to_index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn pages(from: u64, to: u64) -> std::ops::Range<usize> {
    to_index(from / PAGE_BYTES)..to_index(to.div_ceil(PAGE_BYTES))
}

fn mark_pages(map: &mut Vec<bool>, from: u64, to: u64) {
    if from < to {
        let range = pages(from, to);
        if map.len() < range.end {
            map.resize(range.end, false);
        }
        map[range].fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(content: &mut Content) -> Vec<u8> {
        let mut bytes = vec![0; to_index(content.len())];
        let read = content.read(0, &mut bytes);
        assert_eq!(read, bytes.len());
        bytes
    }

    /// All outcomes of power cuts after `prepare`, over many seeds.
    fn outcomes(prepare: impl Fn(&mut Content)) -> std::collections::BTreeSet<Vec<u8>> {
        (0..300)
            .map(|seed| {
                let mut content = Content::default();
                prepare(&mut content);
                content.cut_power(&Clockwork::new(seed));
                bytes_of(&mut content)
            })
            .collect()
    }

    #[test]
    fn what_was_synced_survives_and_only_that() {
        let seen = outcomes(|content| {
            content.write(0, vec![1; 1_000]);
            content.sync(content.mark());
            content.write(1_000, vec![2; 10]);
        });
        assert!(seen.iter().all(|bytes| bytes.len() >= 1_000 && bytes[..1_000] == [1; 1_000]));
        assert!(seen.iter().any(|bytes| bytes.len() == 1_000) && seen.iter().any(|bytes| bytes[1_000..] == [2; 10]));
    }

    #[test]
    fn unsynced_sectors_are_torn_and_reordered() {
        let seen = outcomes(|content| {
            content.set_len(1_024);
            content.sync(content.mark());
            content.write(0, vec![1; 1_024]);
        });
        let halves = |first, second| [vec![first; 512], vec![second; 512]].concat();
        assert_eq!(seen, [halves(0, 0), halves(0, 1), halves(1, 0), halves(1, 1)].into());
    }

    #[test]
    fn a_durable_write_keeps_its_sectors_among_pending_ones() {
        let seen = outcomes(|content| {
            content.write(0, vec![1; 2_048]);
            content.write(512, vec![2; 512]);
            content.make_durable(512, 1_024);
            content.write(0, vec![3; 512]);
        });
        assert!(seen.iter().all(|bytes| bytes.len() >= 1_024 && bytes[512..1_024] == [2; 512]));
        assert!(seen.iter().any(|bytes| bytes[0] == 0) && seen.iter().any(|bytes| bytes[0] == 3));
        assert!(seen.iter().any(|bytes| bytes[0] == 1), "an older version of a sector may survive too");
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_started_and_does_not_undo_later_durable_writes() {
        let seen = outcomes(|content| {
            content.write(0, vec![1; 1_024]);
            let mark = content.mark();
            content.write(0, vec![2; 512]);
            content.make_durable(0, 512);
            content.write(512, vec![3; 512]);
            content.sync(mark);
        });
        assert!(seen.iter().all(|bytes| bytes[..512] == [2; 512]));
        let second: std::collections::BTreeSet<u8> = seen.iter().map(|bytes| bytes[512]).collect();
        assert_eq!(second, [1, 3].into());
    }

    #[test]
    fn a_cut_may_be_lost_but_never_mixes_old_blocks_into_the_new_length() {
        let seen = outcomes(|content| {
            content.write(0, vec![1; 2_048]);
            content.sync(content.mark());
            content.set_len(512);
            content.write(512, vec![2; 1_024]);
        });
        for bytes in &seen {
            let old = bytes.len() == 2_048 && bytes.iter().all(|&byte| byte == 1);
            let new = bytes.len() <= 1_536 && bytes[512..].iter().all(|&byte| byte != 1);
            assert!(old || new, "{:?}", (bytes.len(), &bytes[512..]));
        }
        assert!(seen.iter().any(|bytes| bytes.len() == 2_048) && seen.iter().any(|bytes| bytes.len() == 512));
    }

    #[test]
    fn a_cut_before_a_durable_write_is_durable_with_it() {
        let seen = outcomes(|content| {
            content.write(0, vec![1; 3_000]);
            content.sync(content.mark());
            content.set_len(700);
            content.write(700, vec![2; 100]);
            content.make_durable(700, 800);
        });
        let expected = [vec![1; 700], vec![2; 100]].concat();
        assert_eq!(seen, [expected].into());
    }

    #[test]
    fn after_a_failed_sync_a_good_one_promises_nothing_about_what_was_written_before() {
        let seen: std::collections::BTreeSet<Vec<u8>> = (0..100)
            .map(|seed| {
                let clock = Clockwork::new(seed);
                let mut content = Content::default();
                content.write(0, vec![1; 512]);
                content.fail_sync(&clock);
                assert_eq!(bytes_of(&mut content), [1; 512], "reads still see it");
                content.sync(content.mark());
                content.cut_power(&clock);
                bytes_of(&mut content)
            })
            .collect();
        assert!(seen.contains(&Vec::new()) && seen.contains(&vec![1; 512]));
    }

    #[test]
    fn holes_are_neither_allocated_nor_resident() {
        let mut content = Content::default();
        content.set_len(3 * PAGE_BYTES);
        assert_eq!((content.allocated_pages(), content.missing_pages(0, 3 * PAGE_BYTES)), (0, 3));
        content.write(PAGE_BYTES, vec![1; 10]);
        assert_eq!((content.allocated_pages(), content.missing_pages(0, 3 * PAGE_BYTES)), (1, 2));
        assert!(content.is_resident(PAGE_BYTES, 100) && !content.is_resident(0, 1));
        content.load(0, PAGE_BYTES);
        assert!(content.is_resident(0, PAGE_BYTES) && content.is_resident(4 * PAGE_BYTES, 1));
    }
}
