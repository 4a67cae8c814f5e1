//! Kafka's default partitioner for records with a key: murmur2 of the key, its sign bit off, modulo the partitions.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// The partition of a key, of `partitions_count`.
pub fn partition_of(key: &[u8], partitions_count: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions_count
}

/// The 32-bit hash MurmurHash2 with the seed of Kafka's clients.
pub fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `org.apache.kafka.common.utils.Utils` of Kafka 4.3.1: key, murmur2, partition of 7.
    const GOLDEN: [(&str, u32, usize); 11] = [
        ("", 0x106e_08d9, 2),
        ("a", 0xa2d0_b27c, 5),
        ("ab", 0x12d8_262a, 0),
        ("abc", 0x1c94_221b, 4),
        ("abcd", 0xb11a_b5f4, 5),
        ("key-000000", 0xd4dc_42ce, 0),
        ("key-123456", 0x6b86_d722, 2),
        ("21", 0xc5f2_f8ec, 3),
        ("foobar", 0xd0e4_7bbe, 0),
        ("a-little-bit-long-string", 0xc53b_1da0, 1),
        ("ä€\0x", 0x3591_765a, 2),
    ];

    #[test]
    fn agrees_with_the_java_client() {
        for (key, hash, partition) in GOLDEN {
            assert_eq!((murmur2(key.as_bytes()), partition_of(key.as_bytes(), 7)), (hash, partition), "{key}");
        }
        let every_byte: Vec<u8> = (0..=255).collect();
        assert_eq!((murmur2(&every_byte), partition_of(&every_byte, 1_000)), (0x8bde_9476, 374));
    }
}
