//! What one shard knows of the cluster: its own replay of the metadata records, and what handlers derive from it.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use ringlog_core::log::LogSpec;
use ringlog_core::protocol::metadata::{MetadataRecord, RemoveTopicRecord};
use ringlog_core::record::ProduceRules;
use uuid::Uuid;

use super::topic_config::{TopicConfig, config_sources};
use super::{MetadataImage, Records, ReplayError, ShardCleaner, ShardScrubber, TopicImage, owner_shard, resource_type};
use crate::config::{ConnectionsMax, Properties, Settings, consumer_assignment_interval_ms};

/// One shard's view.
#[derive(Debug)]
pub struct MetadataView {
    shards_count: u16,
    settings: Arc<Settings>,
    image: RefCell<MetadataImage>,
    /// Of topics that were asked for; forgotten when something is set.
    configs: RefCell<AHashMap<Uuid, Rc<TopicConfig>>>,
    consumer_assignment_interval_ms: Cell<i32>,
    connections_max: RefCell<ConnectionsMax>,
}

/// What a replay means for the partitions of a shard.
#[derive(Debug, Default)]
pub struct Changes {
    /// Partitions that are new: topic id, index, leader epoch.
    pub created: Vec<(Uuid, i32, i32)>,
    /// Partitions that are gone.
    pub removed: Vec<(Uuid, i32)>,
    /// Topics that are gone: name, topic id.
    pub deleted_topics: Vec<(String, Uuid)>,
    /// Topics that have another configuration now.
    pub reconfigured: AHashSet<Uuid>,
    /// Whether client quotas may be others now.
    pub client_quotas: bool,
}

impl MetadataView {
    /// Knows nothing yet.
    pub fn new(shards_count: u16, settings: Arc<Settings>) -> Self {
        let connections_max = RefCell::new(settings.connections_max.clone());
        let view = Self {
            shards_count,
            settings,
            image: RefCell::default(),
            configs: RefCell::default(),
            consumer_assignment_interval_ms: Cell::default(),
            connections_max,
        };
        view.resolve();
        view
    }

    /// The image. Borrow it briefly: a replay needs it alone.
    pub fn image(&self) -> Ref<'_, MetadataImage> {
        self.image.borrow()
    }

    /// Takes a whole image over, at the start.
    pub fn set_image(&self, image: MetadataImage) -> Changes {
        let mut changes = Changes { client_quotas: true, ..Changes::default() };
        for topic in image.topics() {
            for (partition, index) in topic.partitions.iter().zip(0..) {
                changes.created.push((topic.topic_id, index, partition.leader_epoch));
            }
        }
        self.image.replace(image);
        self.resolve();
        changes
    }

    /// Replays records that are durable in the metadata log.
    pub fn replay(&self, base_offset: i64, records: &Records) -> Result<Changes, ReplayError> {
        let mut changes = Changes::default();
        let mut image = self.image.borrow_mut();
        let mut are_all_reconfigured = false;
        for record in records.iter() {
            match record {
                MetadataRecord::Partition(partition) => {
                    changes.created.push((partition.topic_id, partition.partition_id, partition.leader_epoch));
                }
                MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id }) => {
                    if let Some(topic) = image.topic(&topic_id) {
                        let partitions = topic.partitions.len() as i32;
                        changes.removed.extend((0..partitions).map(|index| (topic_id, index)));
                        changes.deleted_topics.push((topic.name.to_string(), topic_id));
                    }
                    self.configs.borrow_mut().remove(&topic_id);
                }
                MetadataRecord::Config(config) if config.resource_type == resource_type::TOPIC => {
                    // A topic that is created by the same records is not there yet.
                    changes.reconfigured.extend(image.topic_by_name(config.resource_name).map(|topic| topic.topic_id));
                }
                MetadataRecord::ClientQuota(_) => changes.client_quotas = true,
                MetadataRecord::Config(config) if config.resource_type == resource_type::BROKER => {
                    are_all_reconfigured = true;
                }
                _ => {}
            }
        }
        image.replay_all(base_offset, records)?;
        drop(image);
        if are_all_reconfigured {
            changes.reconfigured.extend(self.image().topics().map(|topic| topic.topic_id));
            self.resolve();
        }
        for topic_id in &changes.reconfigured {
            self.configs.borrow_mut().remove(topic_id);
        }
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
        self.topic_config(topic).produce
    }

    /// The configuration of a topic.
    pub fn topic_config(&self, topic: &TopicImage) -> Rc<TopicConfig> {
        if let Some(config) = self.configs.borrow().get(&topic.topic_id) {
            return Rc::clone(config);
        }
        let image = self.image();
        let sources = config_sources(&image, self.settings.node_id, &self.settings.properties);
        let config = Rc::new(TopicConfig::resolve(&sources, &topic.configs));
        self.configs.borrow_mut().insert(topic.topic_id, Rc::clone(&config));
        config
    }

    /// How a shard compacts its logs, with an offset map of at most `memory_max` bytes.
    pub fn cleaner(&self, memory_max: usize) -> ShardCleaner {
        let image = self.image();
        let sources = config_sources(&image, self.settings.node_id, &self.settings.properties);
        ShardCleaner::resolve(&sources, self.shards_count, memory_max)
    }

    /// How a shard looks through its logs for damage.
    pub fn scrubber(&self) -> ShardScrubber {
        let image = self.image();
        let sources = config_sources(&image, self.settings.node_id, &self.settings.properties);
        ShardScrubber::resolve(&sources, self.shards_count)
    }

    /// `group.consumer.assignment.interval.ms` as it is set now.
    pub fn consumer_assignment_interval_ms(&self) -> i32 {
        self.consumer_assignment_interval_ms.get()
    }

    /// How many connections there may be now. Borrow it briefly: a replay needs it alone.
    pub fn connections_max(&self) -> Ref<'_, ConnectionsMax> {
        self.connections_max.borrow()
    }

    /// What is asked for too often to be looked up each time.
    fn resolve(&self) {
        let image = self.image();
        let sources = config_sources(&image, self.settings.node_id, &self.settings.properties);
        self.consumer_assignment_interval_ms.set(consumer_assignment_interval_ms(&sources));
        self.connections_max.replace(ConnectionsMax::resolve(&sources, &self.settings.connections_max));
    }

    /// How a partition of a topic is stored.
    pub fn log_spec(&self, topic: &TopicImage, partition_index: i32) -> LogSpec {
        log_spec(topic, partition_index, &self.topic_config(topic))
    }
}

/// How all partitions of an image are stored, with what is set for a node and in its `server.properties`.
pub fn log_specs(image: &MetadataImage, node_id: i32, file: &Properties) -> Vec<LogSpec> {
    let sources = config_sources(image, node_id, file);
    let specs = image.topics().flat_map(|topic| {
        let config = TopicConfig::resolve(&sources, &topic.configs);
        (0..topic.partitions.len() as i32).map(move |index| log_spec(topic, index, &config))
    });
    specs.collect()
}

fn log_spec(topic: &TopicImage, partition_index: i32, config: &TopicConfig) -> LogSpec {
    LogSpec {
        topic_name: Arc::clone(&topic.name),
        topic_id: topic.topic_id,
        partition_index,
        durability: config.durability,
        config: Rc::clone(&config.log),
    }
}
