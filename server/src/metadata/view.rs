//! What one shard knows of the cluster: its own replay of the metadata records, and what handlers derive from it.

use std::cell::{Ref, RefCell};

use ahash::AHashMap;
use ringlog_core::log::{Durability, LogConfig, LogSpec};
use ringlog_core::protocol::metadata::{MetadataRecord, RemoveTopicRecord};
use ringlog_core::record::{KeylessRule, ProduceRules, TimestampRule, TimestampType, ValidationLevel};
use uuid::Uuid;

use super::{MetadataImage, Records, ReplayError, TopicImage, owner_shard, topic_config};

/// What a compressed batch may grow to when it is opened.
const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// What topics have that do not say otherwise.
#[derive(Debug, Clone)]
pub struct TopicDefaults {
    /// Durability class.
    pub durability: Durability,
    /// Sizes and times of logs.
    pub log: LogConfig,
    /// Checks on produce.
    pub produce: ProduceRules,
}

/// One shard's view.
#[derive(Debug)]
pub struct MetadataView {
    shards_count: u16,
    defaults: TopicDefaults,
    image: RefCell<MetadataImage>,
    /// Of topics that were produced to.
    rules: RefCell<AHashMap<Uuid, ProduceRules>>,
}

/// What a replay means for the partitions of a shard.
#[derive(Debug, Default)]
pub struct Changes {
    /// Partitions that are new: topic id, index, leader epoch.
    pub created: Vec<(Uuid, i32, i32)>,
    /// Partitions that are gone.
    pub removed: Vec<(Uuid, i32)>,
}

impl MetadataView {
    /// Knows nothing yet.
    pub fn new(shards_count: u16, defaults: TopicDefaults) -> Self {
        Self { shards_count, defaults, image: RefCell::default(), rules: RefCell::default() }
    }

    /// The image. Borrow it briefly: a replay needs it alone.
    pub fn image(&self) -> Ref<'_, MetadataImage> {
        self.image.borrow()
    }

    /// Takes a whole image over, at the start.
    pub fn set_image(&self, image: MetadataImage) -> Changes {
        let mut changes = Changes::default();
        for topic in image.topics() {
            for (partition, index) in topic.partitions.iter().zip(0..) {
                changes.created.push((topic.topic_id, index, partition.leader_epoch));
            }
        }
        self.image.replace(image);
        changes
    }

    /// Replays records that are durable in the metadata log.
    pub fn replay(&self, base_offset: i64, records: &Records) -> Result<Changes, ReplayError> {
        let mut changes = Changes::default();
        let mut image = self.image.borrow_mut();
        for record in records.iter() {
            match record {
                MetadataRecord::Partition(partition) => {
                    changes.created.push((partition.topic_id, partition.partition_id, partition.leader_epoch));
                }
                MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id }) => {
                    let partitions = image.topic(&topic_id).map_or(0, |topic| topic.partitions.len());
                    changes.removed.extend((0..partitions as i32).map(|index| (topic_id, index)));
                    self.rules.borrow_mut().remove(&topic_id);
                }
                _ => {}
            }
        }
        image.replay_all(base_offset, records)?;
        Ok(changes)
    }

    /// The shard that owns a partition of a topic that exists; `None` if the topic has no such partition.
    pub fn owner(&self, topic: &TopicImage, partition_index: i32) -> Option<u16> {
        let index = usize::try_from(partition_index).ok()?;
        (index < topic.partitions.len()).then(|| owner_shard(topic.topic_id, partition_index, self.shards_count))
    }

    /// The owner of a partition by topic id, whether it exists or not.
    pub fn owner_of(&self, topic_id: Uuid, partition_index: i32) -> u16 {
        owner_shard(topic_id, partition_index, self.shards_count)
    }

    /// Checks on what is produced to a topic.
    pub fn produce_rules(&self, topic: &TopicImage) -> ProduceRules {
        if let Some(rules) = self.rules.borrow().get(&topic.topic_id) {
            return *rules;
        }
        let rules = self.derive_rules(topic);
        self.rules.borrow_mut().insert(topic.topic_id, rules);
        rules
    }

    /// How a partition of a topic is stored.
    pub fn log_spec(&self, topic: &TopicImage, partition_index: i32) -> LogSpec {
        let defaults = &self.defaults.log;
        let config = LogConfig {
            segment_bytes: number(topic, "segment.bytes").unwrap_or(defaults.segment_bytes),
            segment_ms: number(topic, "segment.ms").unwrap_or(defaults.segment_ms),
            segment_index_bytes: number(topic, "segment.index.bytes").unwrap_or(defaults.segment_index_bytes),
            index_interval_bytes: number(topic, "index.interval.bytes").unwrap_or(defaults.index_interval_bytes),
            timestamp_type: match value(topic, "message.timestamp.type") {
                Some("LogAppendTime") => TimestampType::LogAppendTime,
                Some(_) => TimestampType::CreateTime,
                None => defaults.timestamp_type,
            },
        };
        let durability = match value(topic, topic_config::DURABILITY) {
            Some("page-cache") => Durability::PageCache,
            Some(_) => Durability::Sync,
            None => self.defaults.durability,
        };
        LogSpec { topic_name: topic.name.to_string(), topic_id: topic.topic_id, partition_index, durability, config }
    }

    fn derive_rules(&self, topic: &TopicImage) -> ProduceRules {
        let defaults = &self.defaults.produce;
        let log = self.log_spec(topic, 0).config;
        let (before, after) = match defaults.timestamps {
            TimestampRule::CreateTime { before_max_ms, after_max_ms } => (before_max_ms, after_max_ms),
            TimestampRule::LogAppendTime => (i64::MAX, 3_600_000),
        };
        let compacted = value(topic, "cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        ProduceRules {
            batch_bytes_max: number(topic, "max.message.bytes").unwrap_or(defaults.batch_bytes_max),
            segment_bytes_max: log.segment_bytes as usize,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
            level: ValidationLevel::Header,
            keyless: if compacted { KeylessRule::Reject } else { KeylessRule::Accept },
            timestamps: match log.timestamp_type {
                TimestampType::LogAppendTime => TimestampRule::LogAppendTime,
                TimestampType::CreateTime => TimestampRule::CreateTime {
                    before_max_ms: number(topic, "message.timestamp.before.max.ms").unwrap_or(before),
                    after_max_ms: number(topic, "message.timestamp.after.max.ms").unwrap_or(after),
                },
            },
            zstd: true,
        }
    }
}

fn value<'a>(topic: &'a TopicImage, key: &str) -> Option<&'a str> {
    topic.configs.get(key).map(String::as_str)
}

/// Values were checked when they were set.
fn number<T: std::str::FromStr>(topic: &TopicImage, key: &str) -> Option<T> {
    value(topic, key)?.parse().ok()
}
