//! What a record says about itself, so that a reader can tell where it came from, whether any is missing, and how old it
//! is.
//!
//! The stamp stands at the front of the first record's value of each batch, big-endian: run u32, producer u32, sequence
//! u64, planned ns u64, sent ns u64, CRC-32C of these u32. Every value ends in a CRC-32C (u32) of the key and of what
//! stands between the stamp and that CRC, if it is long enough.

use std::time::Duration;

use ringlog_core::record::{BatchView, Crc32c, crc32c};

/// Bytes of a stamp.
pub const STAMP_BYTES: usize = 36;
/// Bytes of the seal at the end of a value.
pub const SEAL_BYTES: usize = 4;

/// Where a batch came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Of the run: what an earlier one left in the topic is told apart.
    pub run: u32,
    /// The connection.
    pub producer: u32,
    /// The number of the batch among those of this producer for this partition.
    pub sequence: u64,
    /// When it should have left, since the start of the run.
    pub planned: Duration,
    /// When it left.
    pub sent: Duration,
}

impl Stamp {
    /// Writes it over the first bytes of `value`.
    pub fn write(&self, value: &mut [u8]) {
        let (planned, sent) = (self.planned.as_nanos() as u64, self.sent.as_nanos() as u64);
        value[..4].copy_from_slice(&self.run.to_be_bytes());
        value[4..8].copy_from_slice(&self.producer.to_be_bytes());
        value[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        value[16..24].copy_from_slice(&planned.to_be_bytes());
        value[24..32].copy_from_slice(&sent.to_be_bytes());
        let crc = crc32c(&value[..32]);
        value[32..STAMP_BYTES].copy_from_slice(&crc.to_be_bytes());
    }

    /// The stamp of an uncompressed batch, if it has one.
    pub fn of(batch: &BatchView<'_>) -> Option<Self> {
        Self::read(batch.records().next()?.ok()?.value?)
    }

    /// The stamp at the front of `value`, if there is one and it is whole.
    pub fn read(value: &[u8]) -> Option<Self> {
        let stamp: &[u8; STAMP_BYTES] = value.first_chunk()?;
        let long = |at: usize| u64::from_be_bytes(*stamp[at..].first_chunk().expect("inside the stamp"));
        let short = |at: usize| u32::from_be_bytes(*stamp[at..].first_chunk().expect("inside the stamp"));
        (crc32c(&stamp[..32]) == short(32)).then(|| Self {
            run: short(0),
            producer: short(4),
            sequence: long(8),
            planned: Duration::from_nanos(long(16)),
            sent: Duration::from_nanos(long(24)),
        })
    }
}

/// Puts the seal at the end of a value whose first `from` bytes are a stamp.
pub fn seal(key: Option<&[u8]>, value: &mut [u8], from: usize) {
    if value.len() >= from + SEAL_BYTES {
        let end = value.len() - SEAL_BYTES;
        let crc = seal_of(key, &value[from..end]);
        value[end..].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Whether the seal of a value is right, or it is too short to have one.
pub fn is_sealed(key: Option<&[u8]>, value: &[u8], from: usize) -> bool {
    if value.len() < from + SEAL_BYTES {
        return true;
    }
    let (body, seal) = value[from..].split_at(value.len() - from - SEAL_BYTES);
    seal == seal_of(key, body).to_be_bytes()
}

fn seal_of(key: Option<&[u8]>, body: &[u8]) -> u32 {
    let mut crc = Crc32c::new();
    crc.update(key.unwrap_or_default());
    crc.update(body);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_no_bit_of_it_may_be_wrong() {
        let (planned, sent) = (Duration::from_nanos(7), Duration::from_secs(3_600));
        let stamp = Stamp { run: 1, producer: 2, sequence: u64::MAX, planned, sent };
        let mut value = vec![0xaa; 50];
        stamp.write(&mut value);
        assert_eq!(Stamp::read(&value), Some(stamp));
        assert_eq!(Stamp::read(&value[..STAMP_BYTES - 1]), None);
        for bit in 0..STAMP_BYTES * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Stamp::read(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_seal_covers_key_and_value() {
        let mut value = vec![7; 60];
        seal(Some(b"key"), &mut value, STAMP_BYTES);
        assert!(is_sealed(Some(b"key"), &value, STAMP_BYTES));
        assert!(!is_sealed(Some(b"kez"), &value, STAMP_BYTES));
        value[0] ^= 1;
        assert!(is_sealed(Some(b"key"), &value, STAMP_BYTES), "the stamp changes after the seal");
        value[40] ^= 1;
        assert!(!is_sealed(Some(b"key"), &value, STAMP_BYTES));
        assert!(is_sealed(None, b"abc", 0), "too short for a seal");
    }
}
