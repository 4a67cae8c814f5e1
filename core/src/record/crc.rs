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
}
