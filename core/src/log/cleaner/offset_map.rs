//! Which offset is the newest of each key, in a bounded table: what decides which records compaction keeps.
//!
//! A key is known by 96 bits of SipHash under random keys, so nobody who does not know these can make two keys meet, and
//! of ten million keys two meet in one round of 10^15. An entry is 16 bytes (Kafka's: 24); the table never grows. When it
//! is full, cleaning goes as far as it reaches.
//!
//! Invariant: entries lie in the order of their hashes, each at its place or behind it without a free one in between. So a
//! search for what is not there ends as soon as one for what is.

use std::hash::Hasher;
use std::io;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::filter::damaged;
use crate::record::{RawRecord, RawRecords};

/// 64 bits of the hash; 32 more of it above the offset, which counts from 1 at the first one. All zero is free.
type Slot = [u64; 2];

/// Fewer slots than this are not worth a table.
const SLOTS_MIN: usize = 1 << 10;
/// An entry is not further behind its place: what is put in where the table is that crowded finds no room.
const RUN_MAX: usize = 4 << 10;
const OFFSET_BITS: u32 = 32;
/// Entries in a line of the processor's cache. Where nine tenths of the table are used most are not further than two
/// lines behind their place.
const LINE_SLOTS: usize = 64 / size_of::<Slot>();
/// Memory that is given back at a time: some 300 us of the kernel's work.
const RELEASE_SLOTS: usize = (4 << 20) / size_of::<Slot>();
/// Records that are looked up together, and about how many bytes of them.
const TOGETHER_MAX: usize = 64;
const TOGETHER_BYTES: usize = 16 << 10;

/// What a key is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyHash {
    high: u64,
    low: u32,
}

/// A record, and what its key is known by if it has one.
pub(crate) type Hashed<'a> = (RawRecord<'a>, Option<KeyHash>);

/// The newest offset per key of the dirty part of one log.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    /// `RUN_MAX` more than there are places.
    slots: Vec<Slot>,
    len: usize,
    len_max: usize,
    hash_keys: (u64, u64),
    /// That of the first record that was put in.
    first_offset: i64,
    /// Up to here (exclusive) every record of the dirty part is in.
    pub end_offset: i64,
}

impl OffsetMap {
    /// An empty map of at most `bytes_max`, of which `load_factor` is used, for about `wanted` keys.
    pub fn new(bytes_max: usize, load_factor: f64, wanted: u64, hash_keys: (u64, u64)) -> Self {
        let places_max = (bytes_max / size_of::<Slot>()).saturating_sub(RUN_MAX).max(SLOTS_MIN);
        let places = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(SLOTS_MIN, places_max);
        let len_max = ((places as f64 * load_factor) as usize).clamp(1, places);
        Self { slots: vec![[0; 2]; places + RUN_MAX], len: 0, len_max, hash_keys, first_offset: 0, end_offset: 0 }
    }

    /// Gives a piece of its memory back, of a table that is not used any more. Whether there is more.
    pub fn release(&mut self) -> bool {
        self.slots.truncate(self.slots.len().saturating_sub(RELEASE_SLOTS));
        self.slots.shrink_to_fit();
        !self.slots.is_empty()
    }

    fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = SipHasher13::new_with_keys(self.hash_keys.0, self.hash_keys.1);
        hasher.write(key);
        let (high, low) = hasher.finish128().as_u64();
        KeyHash { high, low: low as u32 }
    }

    /// Takes some records into `hashed`, each with what its key is known by, and loads the places of all of them: so the
    /// processor waits for them at once, and not for one after the other. Returns their bytes; `None`: there are no more.
    pub fn take_hashed<'a>(
        &self,
        records: &mut RawRecords<'a>,
        hashed: &mut Vec<Hashed<'a>>,
    ) -> io::Result<Option<usize>> {
        hashed.clear();
        let mut bytes = 0;
        while bytes < TOGETHER_BYTES && hashed.len() < TOGETHER_MAX {
            let Some(record) = records.next().transpose().map_err(damaged)? else { break };
            bytes += record.bytes.len();
            hashed.push((record, record.view.key.map(|key| self.hash(key))));
        }
        let places = hashed.iter().filter_map(|(_, hash)| Some(self.place((*hash)?)));
        let lines = places.flat_map(|place| [place, place + LINE_SLOTS, place + 2 * LINE_SLOTS]);
        std::hint::black_box(lines.fold(0, |all, at| all ^ self.slots[at][1]));
        Ok((!hashed.is_empty()).then_some(bytes))
    }

    /// Notes that a key has a record at `offset`, which is above all offsets so far. False: there is no room.
    #[must_use]
    pub fn put(&mut self, hash: KeyHash, offset: i64) -> bool {
        if self.len == 0 {
            self.first_offset = offset;
        }
        let Some(number) = u32::try_from(offset - self.first_offset).ok().and_then(|number| number.checked_add(1))
        else {
            return false;
        };
        let slot = [hash.high, u64::from(hash.low) << OFFSET_BITS | u64::from(number)];
        let at = match self.find(hash) {
            Ok(at) => at,
            Err(at) => {
                let crowded = self.place(hash) + RUN_MAX;
                let free = self.slots[at..crowded].iter().position(|slot| is_free(*slot));
                let Some(free) = free.filter(|_| self.len < self.len_max) else { return false };
                self.slots.copy_within(at..at + free, at + 1);
                self.len += 1;
                at
            }
        };
        self.slots[at] = slot;
        true
    }

    /// The newest offset of a key, if it is in.
    pub fn offset_of(&self, hash: KeyHash) -> Option<i64> {
        let at = self.find(hash).ok()?;
        Some(self.first_offset + i64::from(self.slots[at][1] as u32) - 1)
    }

    fn place(&self, hash: KeyHash) -> usize {
        let places = self.slots.len() - RUN_MAX;
        ((u128::from(hash.high) * places as u128) >> 64) as usize
    }

    /// The slot of a hash, or where it belongs.
    fn find(&self, hash: KeyHash) -> Result<usize, usize> {
        let mut at = self.place(hash);
        loop {
            let Some(slot) = self.slots.get(at).filter(|slot| !is_free(**slot)) else { return Err(at) };
            let there = KeyHash { high: slot[0], low: (slot[1] >> OFFSET_BITS) as u32 };
            if there >= hash {
                return if there == hash { Ok(at) } else { Err(at) };
            }
            at += 1;
        }
    }
}

fn is_free(slot: Slot) -> bool {
    slot[1] as u32 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(bytes_max: usize, load_factor: f64, wanted: u64) -> OffsetMap {
        OffsetMap::new(bytes_max, load_factor, wanted, (1, 2))
    }

    impl OffsetMap {
        fn put_key(&mut self, key: &[u8], offset: i64) -> bool {
            self.put(self.hash(key), offset)
        }

        fn offset_of_key(&self, key: &[u8]) -> Option<i64> {
            self.offset_of(self.hash(key))
        }
    }

    #[test]
    fn the_newest_offset_of_each_key_until_it_is_full() {
        let mut map = map(16 << 10, 0.9, u64::MAX);
        assert_eq!(map.slots.len(), SLOTS_MIN + RUN_MAX);
        for offset in 0..921_i64 {
            assert!(map.put_key(&offset.to_be_bytes(), 500 + offset));
        }
        assert!(!map.put_key(b"one more", 2_000), "nine tenths are used");
        for offset in 0..921_i64 {
            assert_eq!(map.offset_of_key(&offset.to_be_bytes()), Some(500 + offset));
            assert!(map.put_key(&offset.to_be_bytes(), 2_000 + offset), "it is in already");
        }
        for offset in 0..921_i64 {
            assert_eq!(map.offset_of_key(&offset.to_be_bytes()), Some(2_000 + offset));
        }
        assert_eq!(map.offset_of_key(b"one more"), None);
        assert_eq!(map.offset_of_key(b""), None);
        assert!(map.slots.iter().filter(|slot| !is_free(**slot)).is_sorted());
    }

    #[test]
    fn it_is_as_large_as_needed_and_never_larger_than_allowed() {
        let places = |bytes_max, wanted| map(bytes_max, 0.9, wanted).slots.len() - RUN_MAX;
        assert_eq!(places(1 << 20, 5_000), 5_000);
        assert_eq!(places(1 << 20, u64::MAX), (1 << 16) - RUN_MAX);
        assert_eq!(places(0, 5_000), SLOTS_MIN);
        let mut full = map(0, 1.0, 0);
        let taken = (0..2 * SLOTS_MIN as i64).filter(|key| full.put_key(&key.to_be_bytes(), 500 + key)).count();
        assert_eq!(taken, SLOTS_MIN);
        assert_eq!(full.offset_of_key(b"not in"), None, "the search ends");
    }

    #[test]
    fn offsets_beyond_its_reach_find_no_room() {
        let mut map = map(0, 0.9, 0);
        let last = 500 + i64::from(u32::MAX) - 1;
        assert!(map.put_key(b"a", 500) && map.put_key(b"b", last));
        assert_eq!((map.offset_of_key(b"a"), map.offset_of_key(b"b")), (Some(500), Some(last)));
        assert!(!map.put_key(b"c", last + 1));
    }

    /// Every key that is put in has the same place.
    #[test]
    fn a_crowded_place_finds_no_room_and_every_search_ends() {
        let mut map = map(1 << 20, 1.0, u64::MAX);
        let hash = |number: usize| KeyHash { high: u64::MAX, low: (2 * RUN_MAX - number) as u32 };
        let taken = (0..2 * RUN_MAX).filter(|number| map.put(hash(*number), 500 + *number as i64)).count();
        assert_eq!(taken, RUN_MAX);
        assert_eq!(map.offset_of(hash(RUN_MAX - 1)), Some(500 + RUN_MAX as i64 - 1));
        assert_eq!((map.offset_of(hash(RUN_MAX)), map.offset_of(KeyHash { high: u64::MAX - 1, low: 7 })), (None, None));
    }
}
