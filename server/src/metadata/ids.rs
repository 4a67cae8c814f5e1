//! Kafka's text form of a UUID: URL-safe base64 of the 16 bytes without padding, 22 characters.

use uuid::Uuid;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The topic id of `__cluster_metadata`.
pub const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// The text of an id.
///
/// ```
/// # use ringlog_server::metadata::{METADATA_TOPIC_ID, id_to_text, id_from_text};
/// assert_eq!(id_to_text(METADATA_TOPIC_ID), "AAAAAAAAAAAAAAAAAAAAAQ");
/// assert_eq!(id_from_text("AAAAAAAAAAAAAAAAAAAAAQ"), Some(METADATA_TOPIC_ID));
/// ```
pub fn id_to_text(id: Uuid) -> String {
    // 128 bits and 4 zero bits behind them make 22 characters of 6 bits.
    let bits = id.as_u128();
    (0..22)
        .map(|i| match i {
            21 => (bits << 4) as usize & 63,
            _ => (bits >> (122 - 6 * i)) as usize & 63,
        })
        .map(|six| char::from(ALPHABET[six]))
        .collect()
}

/// The id of a text; padding is accepted, as Kafka does.
pub fn id_from_text(text: &str) -> Option<Uuid> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (i, byte) in text.iter().enumerate() {
        let six = ALPHABET.iter().position(|known| known == byte)? as u128;
        bits = if i == 21 { bits << 2 | six >> 4 } else { bits << 6 | six };
    }
    Some(Uuid::from_u128(bits))
}

/// A random id that Kafka could have made: version 4, never a reserved one, and its text does not start with a dash,
/// which command lines would take for an option.
pub fn random_id(mut random: impl FnMut() -> u64) -> Uuid {
    loop {
        let bits = u128::from(random()) << 64 | u128::from(random());
        let bits = bits & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let id = Uuid::from_u128(bits);
        if !id_to_text(id).starts_with('-') {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_kafka() {
        let id = Uuid::from_u128(0xa1a2_e7a8_86f9_4421_ab45_c871_542d_b5e9);
        assert_eq!(id_to_text(id), "oaLnqIb5RCGrRchxVC216Q");
        assert_eq!(id_from_text("oaLnqIb5RCGrRchxVC216Q"), Some(id));
        assert_eq!(id_from_text("oaLnqIb5RCGrRchxVC216Q=="), Some(id));
        assert_eq!(id_to_text(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(id_from_text("oaLnqIb5RCGrRchxVC216"), None);
        assert_eq!(id_from_text("oaLnqIb5RCGrRchxVC216*"), None);
    }

    #[test]
    fn random_ids_are_of_version_4() {
        let mut state = 0u64;
        for _ in 0..1000 {
            let id = random_id(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state ^ state >> 31
            });
            assert_eq!(id.get_version_num(), 4);
            assert_eq!(id_from_text(&id_to_text(id)), Some(id));
        }
    }
}
