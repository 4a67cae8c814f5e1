//! The `partition.metadata` file: which topic a partition's folder belongs to.
//!
//! Two lines, `version: 0` and `topic_id: <id>`, the second without a newline as Kafka writes it. Kafka takes a folder
//! without this file out of use, so it is durable before the first segment is made.

use uuid::Uuid;

/// Kafka's name of the file in the partition's folder.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// URL-safe base64, which Kafka writes ids in.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// 21 letters of 6 bits and one of 2.
const ID_LETTERS: usize = 22;

/// A file that does not name a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartitionMetadataError {
    /// Not two lines of the known form.
    #[error("partition.metadata is malformed")]
    Malformed,
    /// Another version than 0.
    #[error("partition.metadata of an unknown version")]
    Version,
    /// Not an id, or the id of no topic.
    #[error("partition.metadata without a topic id")]
    TopicId,
}

/// The content of the file.
pub fn encode_partition_metadata(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {}", encode_id(topic_id))
}

/// The topic id in the file.
pub fn decode_partition_metadata(bytes: &[u8]) -> Result<Uuid, PartitionMetadataError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PartitionMetadataError::Malformed)?;
    let mut lines = text.lines();
    let mut field = |name| {
        let (key, value) = lines.next()?.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    };
    if field("version").ok_or(PartitionMetadataError::Malformed)? != "0" {
        return Err(PartitionMetadataError::Version);
    }
    let topic_id = field("topic_id").ok_or(PartitionMetadataError::Malformed)?;
    if lines.next().is_some() {
        return Err(PartitionMetadataError::Malformed);
    }
    decode_id(topic_id).filter(|id| !id.is_nil()).ok_or(PartitionMetadataError::TopicId)
}

fn encode_id(id: Uuid) -> String {
    let bits = id.as_u128();
    let letter = |at: usize| if at + 1 < ID_LETTERS { bits >> (122 - 6 * at) } else { bits << 4 };
    (0..ID_LETTERS).map(|at| char::from(LETTERS[(letter(at) & 63) as usize])).collect()
}

fn decode_id(text: &str) -> Option<Uuid> {
    let text = text.trim_end_matches('=');
    if text.len() != ID_LETTERS {
        return None;
    }
    let mut bits = 0u128;
    for (at, letter) in text.bytes().enumerate() {
        let value = LETTERS.iter().position(|known| *known == letter)? as u128;
        bits = if at + 1 < ID_LETTERS { bits << 6 | value } else { bits << 2 | value >> 4 };
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_file_is_kafkas() {
        let metadata = encode_partition_metadata(Uuid::from_u128(1));
        assert_eq!(metadata, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(metadata.len(), 43);
        let id = Uuid::from_u128(0xfb_ff00_1122_3344_5566_7788_99aa_bbcc << 8 | 0xdd);
        assert_eq!(decode_partition_metadata(encode_partition_metadata(id).as_bytes()), Ok(id));
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = encode_partition_metadata(Uuid::from_u128(77));
        assert_eq!(decode_partition_metadata(format!("{good}\n").as_bytes()), Ok(Uuid::from_u128(77)));
        for len in 0..good.len() {
            assert!(decode_partition_metadata(&good.as_bytes()[..len]).is_err(), "{len}");
        }
        let nil = encode_partition_metadata(Uuid::nil());
        assert_eq!(decode_partition_metadata(nil.as_bytes()), Err(PartitionMetadataError::TopicId));
        for bad in [
            "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
            "topic_id: AAAAAAAAAAAAAAAAAAAAAQ",
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAA!Q",
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\nmore",
        ] {
            assert!(decode_partition_metadata(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn goes_round(id in 1u128..) {
            let id = Uuid::from_u128(id);
            prop_assert_eq!(decode_partition_metadata(encode_partition_metadata(id).as_bytes()), Ok(id));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode_partition_metadata(&bytes);
        }
    }
}
