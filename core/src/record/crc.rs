//! CRC-32C (Castagnoli), the checksum of record batches and of producer snapshots.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// CRC-32C of bytes that come in pieces.
pub struct Crc32c(Digest);

impl Crc32c {
    /// Of no bytes so far.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all pieces.
    pub fn finish(&self) -> u32 {
        self.0.finalize() as u32
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// The CRC-32C of two parts, from that of each and the length of the second.
pub fn crc32c_join(first: u32, second: u32, second_len: usize) -> u32 {
    crc_fast::checksum_combine(CrcAlgorithm::Crc32Iscsi, u64::from(first), u64::from(second), second_len as u64) as u32
}

/// Joins the CRC-32C of two parts into that of both, for second parts of one length.
///
/// A CRC is linear, so what the first part adds is the sum of what each of its checksum's bits adds.
#[derive(Debug, Clone)]
pub struct Crc32cJoin([u32; 32]);

impl Crc32cJoin {
    /// For second parts of `len` bytes.
    pub fn new(len: usize) -> Self {
        let shifted = |bit: usize| crc_fast::checksum_combine(CrcAlgorithm::Crc32Iscsi, 1 << bit, 0, len as u64) as u32;
        Self(std::array::from_fn(shifted))
    }

    /// The checksum of both parts, from the checksum of each.
    #[inline]
    pub fn join(&self, first: u32, second: u32) -> u32 {
        self.0.iter().enumerate().fold(second, |crc, (bit, shifted)| {
            // All ones where the bit is set: no branch.
            crc ^ (shifted & (first >> bit & 1).wrapping_neg())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, as RFC 3720 defines it.
    fn reference(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    #[test]
    fn known_answers() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[]), 0);
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_and_in_pieces() {
        let bytes: Vec<u8> = (0..600u32).map(|i| (i * 31 + i / 7) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(crc32c(&bytes[..len]), reference(&bytes[..len]), "{len} bytes");
            let mut pieces = Crc32c::new();
            pieces.update(&bytes[..len / 3]);
            pieces.update(&bytes[len / 3..len]);
            assert_eq!(pieces.finish(), reference(&bytes[..len]));
        }
    }

    #[test]
    fn joined_checksums_are_those_of_the_whole() {
        let bytes: Vec<u8> = (0..9_000u32).map(|i| (i * 37 + i / 11) as u8).collect();
        for len in [0, 1, 7, 64, 4_096, 8_999] {
            let (first, second) = bytes.split_at(bytes.len() - len);
            assert_eq!(Crc32cJoin::new(len).join(crc32c(first), crc32c(second)), crc32c(&bytes), "{len} bytes");
        }
    }
}
