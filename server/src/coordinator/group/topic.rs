//! The topic `__consumer_offsets` and the partition of a group.

use crate::config::GroupSettings;
use crate::metadata::NewTopic;

/// Its name.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The topic as it is created when the first client asks for a coordinator.
pub fn offsets_topic(settings: &GroupSettings) -> NewTopic {
    let config = |key: &str, value: String| (key.to_owned(), Some(value));
    NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        num_partitions: settings.offsets_topic_partitions,
        replication_factor: settings.offsets_topic_replication_factor,
        configs: vec![
            config("cleanup.policy", "compact".to_owned()),
            config("compression.type", "producer".to_owned()),
            config("segment.bytes", settings.offsets_topic_segment_bytes.to_string()),
        ],
        ..NewTopic::default()
    }
}

/// The partition that a group lives on, among `partitions_count`: Java's hash of the name, made positive.
pub fn partition_of(group_id: &str, partitions_count: usize) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % i32::try_from(partitions_count).expect("a topic has fewer than 2^31 partitions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_live_where_kafka_puts_them() {
        // From Java: Utils.abs("...".hashCode()) % 50.
        for (group_id, partition) in
            [("", 0), ("a", 47), ("group", 47), ("my-group", 12), ("ключ", 32), ("\u{1F600}", 49)]
        {
            assert_eq!(partition_of(group_id, 50), partition, "{group_id}");
        }
        // A name whose hash is the smallest integer.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
