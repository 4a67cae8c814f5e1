//! The replayed state: what the committed metadata records up to an offset say.
//!
//! Every shard has an image of its own and replays the same records in the same order. Cloning is cheap enough for a
//! start (topics are shared until changed) and the clone may be sent to another shard.
//!
//! Invariants:
//! - The image is a function of the records alone: replay order equals live order, whoever replays.
//! - Records between BeginTransaction and EndTransaction show all at once; after AbortTransaction never.
//! - A leader epoch never falls, a topic id is never reused.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use smallvec::SmallVec;
use uuid::Uuid;

use super::records::{
    BrokerChange, PartitionChange, PartitionRecord, Record, RegisterBroker, RegisterController, resource_type,
};

/// No leader.
pub const NO_LEADER: i32 = -1;

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Brokers, preferred first.
    pub replicas: SmallVec<[i32; 2]>,
    /// In-sync replicas.
    pub isr: SmallVec<[i32; 2]>,
    /// The leader's node id, or [`NO_LEADER`].
    pub leader: i32,
    /// Counts leader changes.
    pub leader_epoch: i32,
    /// Counts all changes.
    pub partition_epoch: i32,
    /// Directory of each replica.
    pub directories: SmallVec<[Uuid; 1]>,
    /// KIP-966.
    pub eligible_leader_replicas: SmallVec<[i32; 2]>,
    /// KIP-966.
    pub last_known_elr: SmallVec<[i32; 2]>,
}

/// One topic with its partitions and configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id.
    pub topic_id: Uuid,
    /// Its name.
    pub name: Arc<str>,
    /// By partition index.
    pub partitions: Vec<PartitionImage>,
    /// The keys that were set for it.
    pub configs: BTreeMap<String, String>,
}

/// The image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    topics: AHashMap<Uuid, Arc<TopicImage>>,
    names: BTreeMap<Arc<str>, Uuid>,
    /// Partitions of all topics.
    partitions_count: usize,
    /// Configs of brokers; the default of all of them under an empty name.
    broker_configs: BTreeMap<String, BTreeMap<String, String>>,
    brokers: BTreeMap<i32, RegisterBroker>,
    controllers: BTreeMap<i32, RegisterController>,
    features: BTreeMap<String, i16>,
    next_producer_id: i64,
    /// The offset that the next record will have.
    end_offset: i64,
    /// Records of a metadata transaction that has not ended.
    transaction: Option<Vec<(i64, Record)>>,
}

/// Why a record cannot be replayed. The log does not belong to this state: nothing may go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The record speaks of a topic that is not there.
    #[error("metadata offset {offset}: topic {topic_id} is not known")]
    UnknownTopic {
        /// Of the record.
        offset: i64,
        /// The topic.
        topic_id: Uuid,
    },
    /// The record speaks of a partition that is not there, or does not follow the last one.
    #[error("metadata offset {offset}: partition {partition_index} of topic {topic_id} does not fit")]
    Partition {
        /// Of the record.
        offset: i64,
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition_index: i32,
    },
    /// The topic is there already.
    #[error("metadata offset {offset}: topic {name} is there already")]
    DuplicateTopic {
        /// Of the record.
        offset: i64,
        /// Its name.
        name: String,
    },
    /// The offset is not the one after the last.
    #[error("metadata offset {offset} where {expected} was expected")]
    Offset {
        /// Of the record.
        offset: i64,
        /// Of the image.
        expected: i64,
    },
}

impl MetadataImage {
    /// The topic of an id.
    pub fn topic(&self, topic_id: &Uuid) -> Option<&Arc<TopicImage>> {
        self.topics.get(topic_id)
    }

    /// The topic of a name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.names.get(name).and_then(|id| self.topics.get(id))
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topics_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions all topics have together.
    pub fn partitions_count(&self) -> usize {
        self.partitions_count
    }

    /// One partition.
    pub fn partition(&self, topic_id: &Uuid, partition_index: i32) -> Option<&PartitionImage> {
        let topic = self.topics.get(topic_id)?;
        topic.partitions.get(usize::try_from(partition_index).ok()?)
    }

    /// The registrations of brokers, by node id.
    pub fn brokers(&self) -> impl Iterator<Item = &RegisterBroker> {
        self.brokers.values()
    }

    /// One registration.
    pub fn broker(&self, broker_id: i32) -> Option<&RegisterBroker> {
        self.brokers.get(&broker_id)
    }

    /// The registrations of controllers, by node id.
    pub fn controllers(&self) -> impl Iterator<Item = &RegisterController> {
        self.controllers.values()
    }

    /// Finalized features above level 0, by name.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// The level of a feature; 0 when it is not finalized.
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or_default()
    }

    /// Keys that were set for one broker (its node id as text), or for all of them (empty name).
    pub fn broker_configs(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.broker_configs.get(name).into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first producer id that nobody got yet.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// The offset that the next record will have.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Whether a metadata transaction has begun and not ended.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Replays records with consecutive offsets.
    pub fn replay_all<'a>(
        &mut self,
        base_offset: i64,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), ReplayError> {
        for (offset, record) in (base_offset..).zip(records) {
            self.replay(offset, record)?;
        }
        Ok(())
    }

    /// Replays one record. `offset` is that of the next record, see [`end_offset`](Self::end_offset).
    pub fn replay(&mut self, offset: i64, record: &Record) -> Result<(), ReplayError> {
        if offset != self.end_offset {
            return Err(ReplayError::Offset { offset, expected: self.end_offset });
        }
        self.end_offset += 1;
        match (record, self.transaction.as_mut()) {
            (Record::BeginTransaction { .. }, _) => self.transaction = Some(Vec::new()),
            (Record::AbortTransaction { .. }, _) => self.transaction = None,
            (Record::EndTransaction, _) => {
                for (offset, record) in self.transaction.take().unwrap_or_default() {
                    self.apply(offset, &record)?;
                }
            }
            (record, Some(transaction)) => transaction.push((offset, record.clone())),
            (record, None) => self.apply(offset, record)?,
        }
        Ok(())
    }

    /// Passes over offsets that hold no metadata records (control batches).
    pub fn skip_to(&mut self, end_offset: i64) {
        assert!(end_offset >= self.end_offset, "metadata offsets never go back");
        self.end_offset = end_offset;
    }

    /// The offset behind what a snapshot holds.
    pub(super) fn set_end_offset(&mut self, end_offset: i64) {
        self.end_offset = end_offset;
    }

    fn apply(&mut self, offset: i64, record: &Record) -> Result<(), ReplayError> {
        match record {
            Record::RegisterBroker(broker) => _ = self.brokers.insert(broker.broker_id, broker.clone()),
            Record::UnregisterBroker { broker_id, .. } => _ = self.brokers.remove(broker_id),
            Record::Topic { name, topic_id } => self.apply_topic(offset, name, *topic_id)?,
            Record::Partition(partition) => self.apply_partition(offset, partition)?,
            Record::PartitionChange(change) => self.apply_partition_change(offset, change)?,
            Record::Config(config) => {
                if let Some(configs) = self.configs_mut(config.resource_type, &config.resource_name) {
                    match &config.value {
                        Some(value) => _ = configs.insert(config.name.clone(), value.clone()),
                        None => _ = configs.remove(&config.name),
                    }
                }
            }
            Record::RemoveTopic { topic_id } => {
                let unknown = ReplayError::UnknownTopic { offset, topic_id: *topic_id };
                let topic = self.topics.remove(topic_id).ok_or(unknown)?;
                self.partitions_count -= topic.partitions.len();
                self.names.remove(&topic.name);
            }
            Record::FeatureLevel { name, level: 0 } => _ = self.features.remove(name),
            Record::FeatureLevel { name, level } => _ = self.features.insert(name.clone(), *level),
            Record::ProducerIds { next_producer_id, .. } => self.next_producer_id = *next_producer_id,
            Record::BrokerChange(change) => self.apply_broker_change(change),
            Record::RegisterController(controller) => {
                self.controllers.insert(controller.controller_id, controller.clone());
            }
            Record::NoOp
            | Record::BeginTransaction { .. }
            | Record::EndTransaction
            | Record::AbortTransaction { .. }
            | Record::Other { .. } => {}
        }
        Ok(())
    }

    fn apply_topic(&mut self, offset: i64, name: &str, topic_id: Uuid) -> Result<(), ReplayError> {
        if self.names.contains_key(name) || self.topics.contains_key(&topic_id) {
            return Err(ReplayError::DuplicateTopic { offset, name: name.to_owned() });
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name), topic_id);
        let topic = TopicImage { topic_id, name, partitions: Vec::new(), configs: BTreeMap::new() };
        self.topics.insert(topic_id, Arc::new(topic));
        Ok(())
    }

    fn topic_mut(&mut self, offset: i64, topic_id: Uuid) -> Result<&mut TopicImage, ReplayError> {
        let topic = self.topics.get_mut(&topic_id).ok_or(ReplayError::UnknownTopic { offset, topic_id })?;
        Ok(Arc::make_mut(topic))
    }

    fn apply_partition(&mut self, offset: i64, record: &PartitionRecord) -> Result<(), ReplayError> {
        let PartitionRecord { partition_index, topic_id, .. } = *record;
        let misfit = ReplayError::Partition { offset, topic_id, partition_index };
        let topic = self.topic_mut(offset, topic_id)?;
        let image = PartitionImage {
            replicas: SmallVec::from_slice(&record.replicas),
            isr: SmallVec::from_slice(&record.isr),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            directories: SmallVec::from_slice(&record.directories),
            eligible_leader_replicas: SmallVec::from_slice(&record.eligible_leader_replicas),
            last_known_elr: SmallVec::from_slice(&record.last_known_elr),
        };
        let index = usize::try_from(partition_index).map_err(|_| misfit.clone())?;
        match index.cmp(&topic.partitions.len()) {
            // Kafka's snapshots and its controller write them in order.
            std::cmp::Ordering::Equal => {
                topic.partitions.push(image);
                self.partitions_count += 1;
                Ok(())
            }
            std::cmp::Ordering::Less => {
                topic.partitions[index] = image;
                Ok(())
            }
            std::cmp::Ordering::Greater => Err(misfit),
        }
    }

    fn apply_partition_change(&mut self, offset: i64, change: &PartitionChange) -> Result<(), ReplayError> {
        let PartitionChange { partition_index, topic_id, .. } = *change;
        let topic = self.topic_mut(offset, topic_id)?;
        let index = usize::try_from(partition_index).ok();
        let partition = index.and_then(|index| topic.partitions.get_mut(index)).ok_or(ReplayError::Partition {
            offset,
            topic_id,
            partition_index,
        })?;
        let replace = |target: &mut SmallVec<[i32; 2]>, value: &Option<Vec<i32>>| {
            if let Some(value) = value {
                *target = SmallVec::from_slice(value);
            }
        };
        replace(&mut partition.replicas, &change.replicas);
        replace(&mut partition.isr, &change.isr);
        replace(&mut partition.eligible_leader_replicas, &change.eligible_leader_replicas);
        replace(&mut partition.last_known_elr, &change.last_known_elr);
        if let Some(directories) = &change.directories {
            partition.directories = SmallVec::from_slice(directories);
        }
        if let Some(leader) = change.leader {
            partition.leader = leader;
            partition.leader_epoch += 1;
        }
        partition.partition_epoch += 1;
        Ok(())
    }

    fn configs_mut(&mut self, resource: i8, name: &str) -> Option<&mut BTreeMap<String, String>> {
        match resource {
            resource_type::TOPIC => {
                let topic = self.names.get(name).and_then(|id| self.topics.get_mut(id))?;
                Some(&mut Arc::make_mut(topic).configs)
            }
            resource_type::BROKER => Some(self.broker_configs.entry(name.to_owned()).or_default()),
            _ => None,
        }
    }

    fn apply_broker_change(&mut self, change: &BrokerChange) {
        let Some(broker) = self.brokers.get_mut(&change.broker_id) else { return };
        if let Some(fenced) = change.fenced {
            broker.fenced = fenced;
        }
        broker.in_controlled_shutdown |= change.in_controlled_shutdown;
        if !change.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&change.log_dirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::record::Batches;

    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    fn golden() -> MetadataImage {
        let mut image = MetadataImage::default();
        for batch in Batches::new(GOLDEN) {
            if !batch.is_control() {
                for (offset, record) in (batch.base_offset()..).zip(batch.records()) {
                    image.replay(offset, &Record::decode(record.unwrap().value.unwrap()).unwrap()).unwrap();
                }
            }
            image.skip_to(batch.next_offset());
        }
        image
    }

    #[test]
    fn a_log_of_kafka_after_a_clean_stop() {
        let image = golden();
        assert_eq!(image.end_offset(), 300);
        assert_eq!(image.feature("metadata.version"), 30);
        assert_eq!(image.next_producer_id() % 1000, 0);
        assert_eq!(image.broker_configs("").collect::<Vec<_>>(), [("min.insync.replicas", "1")]);
        let broker = image.broker(1).unwrap();
        assert!(broker.fenced && broker.in_controlled_shutdown && broker.broker_epoch == 13);
        assert_eq!(image.controllers().count(), 1);
        let offsets = image.topic_by_name("__consumer_offsets").unwrap();
        assert_eq!(offsets.partitions.len(), 50);
        assert_eq!(offsets.configs["cleanup.policy"], "compact");
        let partition = image.partition(&offsets.topic_id, 49).unwrap();
        assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (NO_LEADER, 1, 1));
        assert_eq!((partition.isr.len(), &partition.eligible_leader_replicas[..]), (0, &[1][..]));
        assert_eq!(image.partitions_count(), image.topics().map(|topic| topic.partitions.len()).sum::<usize>());
        assert_eq!(image.topics_count(), image.topics().count());
        assert!(image.topic_by_name("java").is_none(), "it was deleted");
    }

    #[test]
    fn a_transaction_shows_at_its_end_or_never() {
        let topic = |name: &str, id| Record::Topic { name: name.to_owned(), topic_id: Uuid::from_u128(id) };
        let mut image = MetadataImage::default();
        let begin = Record::BeginTransaction { name: None };
        image.replay_all(0, &[begin.clone(), topic("a", 1)]).unwrap();
        assert!(image.is_in_transaction() && image.topic_by_name("a").is_none());
        image.replay_all(2, &[Record::EndTransaction, begin, topic("b", 2)]).unwrap();
        assert!(image.topic_by_name("a").is_some());
        image.replay_all(5, &[Record::AbortTransaction { reason: None }, topic("c", 3)]).unwrap();
        assert_eq!(image.topics().map(|topic| &*topic.name).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        let mut image = MetadataImage::default();
        let topic_id = Uuid::from_u128(9);
        assert_eq!(
            image.replay(0, &Record::RemoveTopic { topic_id }),
            Err(ReplayError::UnknownTopic { offset: 0, topic_id })
        );
        let mut image = MetadataImage::default();
        assert_eq!(image.replay(3, &Record::NoOp), Err(ReplayError::Offset { offset: 3, expected: 0 }));
        image.replay(0, &Record::Topic { name: "t".to_owned(), topic_id }).unwrap();
        let far = PartitionRecord { partition_index: 1, topic_id, ..PartitionRecord::default() };
        assert!(matches!(image.replay(1, &Record::Partition(far)), Err(ReplayError::Partition { .. })));
    }
}
