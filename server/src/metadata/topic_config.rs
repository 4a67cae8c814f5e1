//! The keys of a topic's configuration and what values they take (Kafka 4.3's, and one of our own).

/// Our own key: `sync` or `page-cache`. A topic config record of an unknown name does Kafka no harm.
pub const DURABILITY: &str = "ringlog.durability";

enum Values {
    Int(i64, i64),
    Double(f64, f64),
    Bool,
    OneOf(&'static [&'static str]),
    ListOf(&'static [&'static str]),
    Text,
}

use Values::{Bool, Double, Int, ListOf, OneOf, Text};

const INT_MAX: i64 = i32::MAX as i64;
const LONG_MAX: i64 = i64::MAX;

const KEYS: &[(&str, Values)] = &[
    ("cleanup.policy", ListOf(&["compact", "delete"])),
    ("compression.gzip.level", Int(-1, 9)),
    ("compression.lz4.level", Int(1, 17)),
    ("compression.type", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])),
    ("compression.zstd.level", Int(-131_072, 22)),
    ("delete.retention.ms", Int(0, LONG_MAX)),
    ("file.delete.delay.ms", Int(0, LONG_MAX)),
    ("flush.messages", Int(1, LONG_MAX)),
    ("flush.ms", Int(0, LONG_MAX)),
    ("follower.replication.throttled.replicas", Text),
    ("index.interval.bytes", Int(0, INT_MAX)),
    ("internal.segment.bytes", Int(1, INT_MAX)),
    ("leader.replication.throttled.replicas", Text),
    ("local.retention.bytes", Int(-2, LONG_MAX)),
    ("local.retention.ms", Int(-2, LONG_MAX)),
    ("max.compaction.lag.ms", Int(1, LONG_MAX)),
    ("max.message.bytes", Int(0, INT_MAX)),
    ("message.timestamp.after.max.ms", Int(0, LONG_MAX)),
    ("message.timestamp.before.max.ms", Int(0, LONG_MAX)),
    ("message.timestamp.type", OneOf(&["CreateTime", "LogAppendTime"])),
    ("min.cleanable.dirty.ratio", Double(0.0, 1.0)),
    ("min.compaction.lag.ms", Int(0, LONG_MAX)),
    ("min.insync.replicas", Int(1, INT_MAX)),
    ("preallocate", Bool),
    ("remote.log.copy.disable", Bool),
    ("remote.log.delete.on.disable", Bool),
    ("remote.storage.enable", Bool),
    ("retention.bytes", Int(i64::MIN, LONG_MAX)),
    ("retention.ms", Int(-1, LONG_MAX)),
    (DURABILITY, OneOf(&["sync", "page-cache"])),
    ("segment.bytes", Int(1 << 20, INT_MAX)),
    ("segment.index.bytes", Int(4, INT_MAX)),
    ("segment.jitter.ms", Int(0, LONG_MAX)),
    ("segment.ms", Int(1, LONG_MAX)),
    ("unclean.leader.election.enable", Bool),
];

/// Why a topic cannot have this configuration; the text is for the client.
pub fn check_topic_config(key: &str, value: Option<&str>) -> Result<(), String> {
    let Some((_, values)) = KEYS.iter().find(|(known, _)| *known == key) else {
        return Err(format!("Unknown topic config name: {key}"));
    };
    let Some(value) = value else {
        return Err(format!("Null value not supported for topic configs: {key}"));
    };
    let value = value.trim();
    let is_allowed = match values {
        Int(min, max) => value.parse().is_ok_and(|number: i64| (*min..=*max).contains(&number)),
        Double(min, max) => value.parse().is_ok_and(|number: f64| (*min..=*max).contains(&number)),
        Bool => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
        OneOf(names) => names.contains(&value),
        ListOf(names) => value.is_empty() || value.split(',').all(|part| names.contains(&part.trim())),
        Text => true,
    };
    if !is_allowed {
        return Err(format!("Invalid value {value} for configuration {key}"));
    }
    match (key, value) {
        ("remote.storage.enable", value) if value.eq_ignore_ascii_case("true") => {
            Err("Tiered storage functionality is disabled in the broker. Topic cannot be configured with remote log \
                 storage."
                .to_owned())
        }
        ("compression.type", codec) if codec != "producer" => {
            Err(format!("Invalid value {codec} for configuration {key}: batches are stored as producers send them"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        for (key, value) in [
            ("cleanup.policy", "compact, delete"),
            ("cleanup.policy", ""),
            ("retention.ms", "-1"),
            ("segment.bytes", "1048576"),
            ("internal.segment.bytes", "4096"),
            ("min.cleanable.dirty.ratio", "0.5"),
            ("preallocate", "FALSE"),
            (DURABILITY, "page-cache"),
        ] {
            assert_eq!(check_topic_config(key, Some(value)), Ok(()), "{key}={value}");
        }
        for (key, value) in [
            ("cleanup.policy", "shred"),
            ("retention.ms", "-2"),
            ("segment.bytes", "4096"),
            ("segment.bytes", "many"),
            ("min.insync.replicas", "0"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("preallocate", "yes"),
            ("remote.storage.enable", "true"),
            ("compression.type", "zstd"),
            (DURABILITY, "maybe"),
            ("nonsense", "1"),
        ] {
            assert!(check_topic_config(key, Some(value)).is_err(), "{key}={value}");
        }
        assert!(check_topic_config("retention.ms", None).is_err());
    }
}
