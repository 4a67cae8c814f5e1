//! Which offset is the newest of each key, in a bounded table: what decides which records compaction keeps.
//!
//! A key is known by 128 bits of SipHash under random keys, so nobody who does not know these can make two keys meet. An
//! entry is 24 bytes, as in Kafka's map; the table never grows. When it is full, cleaning goes as far as it reaches.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Hash, then the offset plus 1; all zero is free.
type Slot = [u64; 3];

/// Fewer slots than this are not worth a table.
const SLOTS_MIN: usize = 1 << 10;

/// The newest offset per key of the dirty part of one log.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    len: usize,
    len_max: usize,
    hash_keys: (u64, u64),
    /// Up to here (exclusive) every record of the dirty part is in.
    pub end_offset: i64,
}

impl OffsetMap {
    /// An empty map of at most `bytes_max`, of which `load_factor` is used, for about `wanted` keys.
    pub fn new(bytes_max: usize, load_factor: f64, wanted: u64, hash_keys: (u64, u64)) -> Self {
        let slots_max = (bytes_max / size_of::<Slot>()).max(SLOTS_MIN);
        let slots = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(SLOTS_MIN, slots_max);
        // One slot stays free, so that every search ends.
        let len_max = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        Self { slots: vec![[0; 3]; slots], len: 0, len_max, hash_keys, end_offset: 0 }
    }

    /// Notes that `key` has a record at `offset`, which is above all offsets it has so far. False: there is no room.
    #[must_use]
    pub fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        if self.slots[at][2] == 0 {
            if self.len == self.len_max {
                return false;
            }
            self.len += 1;
        }
        self.slots[at] = [hash.0, hash.1, offset as u64 + 1];
        true
    }

    /// The newest offset of `key`, if it is in.
    pub fn offset_of(&self, key: &[u8]) -> Option<i64> {
        match self.slots[self.find(self.hash(key))][2] {
            0 => None,
            offset => Some(offset as i64 - 1),
        }
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let mut hasher = SipHasher13::new_with_keys(self.hash_keys.0, self.hash_keys.1);
        hasher.write(key);
        hasher.finish128().as_u64()
    }

    /// The slot of a hash, or the free one where it belongs.
    fn find(&self, hash: (u64, u64)) -> usize {
        let mut at = ((u128::from(hash.0) * self.slots.len() as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot[2] == 0 || (slot[0], slot[1]) == hash {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_until_it_is_full() {
        let mut map = OffsetMap::new(24 << 10, 0.9, u64::MAX, (1, 2));
        assert_eq!(map.slots.len(), 1024);
        for offset in 0..921_i64 {
            assert!(map.put(&offset.to_be_bytes(), offset));
        }
        assert!(!map.put(b"one more", 1_000), "nine tenths are used");
        for offset in 0..921_i64 {
            assert!(map.put(&offset.to_be_bytes(), 2_000 + offset), "it is in already");
        }
        for offset in 0..921_i64 {
            assert_eq!(map.offset_of(&offset.to_be_bytes()), Some(2_000 + offset));
        }
        assert_eq!(map.offset_of(b"one more"), None);
        assert_eq!(map.offset_of(b""), None);
    }

    #[test]
    fn it_is_as_large_as_needed_and_never_larger_than_allowed() {
        assert_eq!(OffsetMap::new(1 << 20, 0.9, 5_000, (1, 2)).slots.len(), 5_000);
        assert_eq!(OffsetMap::new(0, 0.9, 5_000, (1, 2)).slots.len(), SLOTS_MIN);
        let mut full = OffsetMap::new(0, 1.0, 0, (1, 2));
        let taken = (0..2 * SLOTS_MIN as i64).filter(|key| full.put(&key.to_be_bytes(), *key)).count();
        assert_eq!(taken, SLOTS_MIN - 1);
        assert_eq!(full.offset_of(b"not in"), None, "the search ends");
    }
}
