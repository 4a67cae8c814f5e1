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
use ringlog_core::protocol::metadata::{ConfigRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord};
use uuid::Uuid;

use super::client_quotas::{self, ClientQuotas};
use super::records::{Records, encode, resource_type};

mod partition;
mod records;
mod registrations;
mod unenforced;

pub use partition::{NO_LEADER, PartitionImage, Placement};
pub use registrations::BrokerImage;
use registrations::ControllerImage;
pub use unenforced::Unenforced;

/// What is set, by key.
type Configs = BTreeMap<String, String>;

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
    pub configs: Configs,
}

impl TopicImage {
    /// A change of one partition is most often one of all, in order.
    fn share_placement(&mut self, index: usize) {
        if let Some((partition, before)) = self.partitions[..=index].split_last_mut()
            && let Some(before) = before.last()
        {
            partition.share_placement(before);
        }
    }

    /// Whether it belongs to the broker: clients read it, and never write or shape it.
    pub fn is_internal(&self) -> bool {
        matches!(&*self.name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
    }
}

/// The image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    topics: AHashMap<Uuid, Arc<TopicImage>>,
    names: BTreeMap<Arc<str>, Uuid>,
    /// Partitions of all topics.
    partitions_count: usize,
    /// Configs of brokers; the default of all of them under an empty name. Here and below: those without any left out.
    broker_configs: BTreeMap<String, Configs>,
    /// Configs of groups.
    group_configs: BTreeMap<String, Configs>,
    /// Configs of what is not served here (client metrics), by type and name.
    other_configs: BTreeMap<(i8, String), Configs>,
    brokers: BTreeMap<i32, BrokerImage>,
    controllers: BTreeMap<i32, ControllerImage>,
    features: BTreeMap<String, i16>,
    client_quotas: ClientQuotas,
    next_producer_id: i64,
    /// Left over from ZooKeeper times.
    zk_migration_state: Option<i8>,
    unenforced: Unenforced,
    /// The offset that the next record will have.
    end_offset: i64,
    /// Encoded records of a metadata transaction that has not ended.
    transaction: Option<Vec<(i64, Box<[u8]>)>>,
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
    /// The record speaks of a topic that is not there, by its name.
    #[error("metadata offset {offset}: topic {name} is not known")]
    UnknownTopicName {
        /// Of the record.
        offset: i64,
        /// The topic.
        name: String,
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

    /// The registration of a broker.
    pub fn broker(&self, broker_id: i32) -> Option<&BrokerImage> {
        self.brokers.get(&broker_id)
    }

    /// Node ids of all registered brokers, ascending.
    pub fn broker_ids(&self) -> impl Iterator<Item = i32> {
        self.brokers.keys().copied()
    }

    /// What the records promise and this broker does not keep.
    pub fn unenforced(&self) -> &Unenforced {
        &self.unenforced
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
    pub fn broker_configs(&self, name: &str) -> Option<&Configs> {
        self.broker_configs.get(name)
    }

    /// Names of brokers that keys were set for; empty for all of them.
    pub fn configured_brokers(&self) -> impl Iterator<Item = &str> {
        self.broker_configs.keys().map(String::as_str)
    }

    /// Quotas of users, clients and addresses.
    pub fn client_quotas(&self) -> &ClientQuotas {
        &self.client_quotas
    }

    /// Keys that were set for groups, by group id.
    pub fn group_configs(&self) -> &BTreeMap<String, Configs> {
        &self.group_configs
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
    pub fn replay_all(&mut self, base_offset: i64, records: &Records) -> Result<(), ReplayError> {
        for (offset, record) in (base_offset..).zip(records.iter()) {
            self.replay(offset, &record)?;
        }
        Ok(())
    }

    /// Replays one record. `offset` is that of the next record, see [`end_offset`](Self::end_offset).
    pub fn replay(&mut self, offset: i64, record: &MetadataRecord<'_>) -> Result<(), ReplayError> {
        if offset != self.end_offset {
            return Err(ReplayError::Offset { offset, expected: self.end_offset });
        }
        self.end_offset += 1;
        match (record, self.transaction.as_mut()) {
            (MetadataRecord::BeginTransaction(_), _) => self.transaction = Some(Vec::new()),
            (MetadataRecord::AbortTransaction(_), _) => self.transaction = None,
            (MetadataRecord::EndTransaction(_), _) => {
                for (offset, value) in self.transaction.take().unwrap_or_default() {
                    let record = MetadataRecord::decode(&value).expect("was encoded here");
                    self.apply(offset, &record)?;
                }
            }
            (record, Some(transaction)) => transaction.push((offset, encode(record, record.latest_version()))),
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

    fn apply(&mut self, offset: i64, record: &MetadataRecord<'_>) -> Result<(), ReplayError> {
        use MetadataRecord::*;
        match record {
            RegisterBroker(broker) => _ = self.brokers.insert(broker.broker_id, broker.into()),
            UnregisterBroker(broker) => _ = self.brokers.remove(&broker.broker_id),
            FenceBroker(broker) => self.set_fenced(broker.id, true),
            UnfenceBroker(broker) => self.set_fenced(broker.id, false),
            BrokerRegistrationChange(change) => {
                if let Some(broker) = self.brokers.get_mut(&change.broker_id) {
                    broker.apply(change);
                }
            }
            Topic(topic) => self.apply_topic(offset, topic.name, topic.topic_id)?,
            Partition(partition) => self.apply_partition(offset, partition)?,
            PartitionChange(change) => self.apply_partition_change(offset, change)?,
            Config(config) => self.apply_config(config),
            RemoveTopic(removed) => {
                let topic_id = removed.topic_id;
                let topic = self.topics.remove(&topic_id).ok_or(ReplayError::UnknownTopic { offset, topic_id })?;
                self.partitions_count -= topic.partitions.len();
                self.names.remove(&topic.name);
            }
            FeatureLevel(feature) if feature.feature_level == 0 => _ = self.features.remove(feature.name),
            FeatureLevel(feature) => _ = self.features.insert(feature.name.to_owned(), feature.feature_level),
            ProducerIds(block) => self.next_producer_id = block.next_producer_id,
            // Handled by `replay`.
            BeginTransaction(_) | EndTransaction(_) | AbortTransaction(_) => {}
            AccessControlEntry(_)
            | RemoveAccessControlEntry(_)
            | UserScramCredential(_)
            | RemoveUserScramCredential(_)
            | DelegationToken(_)
            | RemoveDelegationToken(_) => {
                self.unenforced.apply(record);
            }
            ClientQuota(quota) => client_quotas::apply(&mut self.client_quotas, quota),
            RegisterController(controller) => _ = self.controllers.insert(controller.controller_id, controller.into()),
            ZkMigrationState(state) => self.zk_migration_state = Some(state.zk_migration_state),
            ClearElr(cleared) => self.apply_clear_elr(offset, cleared.topic_name)?,
            NoOp(_) => {}
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

    fn apply_partition(&mut self, offset: i64, record: &PartitionRecord<'_>) -> Result<(), ReplayError> {
        let PartitionRecord { partition_id: partition_index, topic_id, .. } = *record;
        let misfit = ReplayError::Partition { offset, topic_id, partition_index };
        let topic = self.topic_mut(offset, topic_id)?;
        let image = PartitionImage::from(record);
        let index = usize::try_from(partition_index).map_err(|_| misfit.clone())?;
        match index.cmp(&topic.partitions.len()) {
            // Kafka's snapshots and its controller write them in order.
            std::cmp::Ordering::Equal => {
                topic.partitions.push(image);
                topic.share_placement(index);
                self.partitions_count += 1;
            }
            std::cmp::Ordering::Less => topic.partitions[index] = image,
            std::cmp::Ordering::Greater => return Err(misfit),
        }
        Ok(())
    }

    fn apply_partition_change(&mut self, offset: i64, change: &PartitionChangeRecord<'_>) -> Result<(), ReplayError> {
        let PartitionChangeRecord { partition_id: partition_index, topic_id, .. } = *change;
        let topic = self.topic_mut(offset, topic_id)?;
        let index = usize::try_from(partition_index).unwrap_or(usize::MAX);
        let misfit = ReplayError::Partition { offset, topic_id, partition_index };
        topic.partitions.get_mut(index).ok_or(misfit)?.apply(change);
        topic.share_placement(index);
        Ok(())
    }

    /// Of a topic, or of all without a name.
    fn apply_clear_elr(&mut self, offset: i64, topic_name: &str) -> Result<(), ReplayError> {
        if topic_name.is_empty() {
            let with_elr = |topic: &&mut Arc<TopicImage>| topic.partitions.iter().any(PartitionImage::has_elr);
            for topic in self.topics.values_mut().filter(with_elr) {
                Arc::make_mut(topic).partitions.iter_mut().for_each(PartitionImage::clear_elr);
            }
            return Ok(());
        }
        let unknown = || ReplayError::UnknownTopicName { offset, name: topic_name.to_owned() };
        let topic_id = self.names.get(topic_name).copied().ok_or_else(unknown)?;
        self.topic_mut(offset, topic_id)?.partitions.iter_mut().for_each(PartitionImage::clear_elr);
        Ok(())
    }

    fn apply_config(&mut self, config: &ConfigRecord<'_>) {
        let name = config.resource_name;
        let topic_id = match config.resource_type {
            resource_type::TOPIC => self.names.get(name),
            _ => None,
        };
        if let Some(topic) = topic_id.and_then(|topic_id| self.topics.get_mut(topic_id)) {
            return set_config(&mut Arc::make_mut(topic).configs, config);
        }
        match config.resource_type {
            resource_type::BROKER => set_config_of(&mut self.broker_configs, name.to_owned(), config),
            resource_type::GROUP => set_config_of(&mut self.group_configs, name.to_owned(), config),
            other => set_config_of(&mut self.other_configs, (other, name.to_owned()), config),
        }
    }

    fn set_fenced(&mut self, broker_id: i32, fenced: bool) {
        if let Some(broker) = self.brokers.get_mut(&broker_id) {
            broker.fenced = fenced;
        }
    }
}

fn set_config(configs: &mut Configs, config: &ConfigRecord<'_>) {
    match config.value {
        Some(value) => _ = configs.insert(config.name.to_owned(), value.to_owned()),
        None => _ = configs.remove(config.name),
    }
}

fn set_config_of<K: Ord + Clone>(all: &mut BTreeMap<K, Configs>, resource: K, config: &ConfigRecord<'_>) {
    let configs = all.entry(resource.clone()).or_default();
    set_config(configs, config);
    if configs.is_empty() {
        all.remove(&resource);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use ringlog_core::protocol::metadata::{
        AbortTransactionRecord, AccessControlEntryRecord, BeginTransactionRecord, EndTransactionRecord, NoOpRecord,
        RemoveTopicRecord, TopicRecord, UserScramCredentialRecord,
    };
    use ringlog_core::record::Batches;
    use ringlog_core::wire::Array;

    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    /// An ACL, which nothing enforces here.
    pub fn acl() -> AccessControlEntryRecord<'static> {
        AccessControlEntryRecord {
            id: Uuid::from_u128(5),
            resource_type: 2,
            resource_name: "t",
            pattern_type: 3,
            principal: "User:ada",
            host: "*",
            operation: 3,
            permission_type: 3,
        }
    }

    /// Neither a SCRAM credential.
    pub fn scram() -> UserScramCredentialRecord<'static> {
        let key: &[u8] = &[1; 32];
        UserScramCredentialRecord {
            name: "ada",
            mechanism: 1,
            salt: key,
            stored_key: key,
            server_key: key,
            iterations: 4096,
        }
    }

    /// What a log of Kafka says after a clean stop.
    pub fn golden() -> MetadataImage {
        let mut image = MetadataImage::default();
        for batch in Batches::new(GOLDEN) {
            if !batch.is_control() {
                for (offset, record) in (batch.base_offset()..).zip(batch.records()) {
                    let record = MetadataRecord::decode(record.unwrap().value.unwrap()).unwrap();
                    image.replay(offset, &record).unwrap();
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
        assert_eq!(image.broker_configs("").unwrap()["min.insync.replicas"], "1");
        let broker = image.broker(1).unwrap();
        assert!(broker.fenced && broker.in_controlled_shutdown && broker.broker_epoch == 13);
        let offsets = image.topic_by_name("__consumer_offsets").unwrap();
        assert_eq!(offsets.partitions.len(), 50);
        assert_eq!(offsets.configs["cleanup.policy"], "compact");
        let partition = image.partition(&offsets.topic_id, 49).unwrap();
        assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (NO_LEADER, 1, 1));
        assert_eq!((partition.placement.isr.len(), &partition.placement.eligible_leader_replicas[..]), (0, &[1][..]));
        assert_eq!(image.partitions_count(), image.topics().map(|topic| topic.partitions.len()).sum::<usize>());
        assert_eq!(image.topics_count(), image.topics().count());
        assert!(image.topic_by_name("java").is_none(), "it was deleted");
    }

    fn replay(image: &mut MetadataImage, records: &[MetadataRecord<'_>]) -> Result<(), ReplayError> {
        records.iter().try_for_each(|record| image.replay(image.end_offset(), record))
    }

    #[test]
    fn neighbours_have_their_placement_in_common_while_it_is_the_same() {
        let topic_id = Uuid::from_u128(1);
        let new = |partition_id| {
            let replicas = || vec![1].into();
            PartitionRecord { partition_id, topic_id, replicas: replicas(), isr: replicas(), ..Default::default() }
                .into()
        };
        let out_of_sync = |partition_id| {
            PartitionChangeRecord { partition_id, topic_id, isr: Some(Array::default()), ..Default::default() }.into()
        };
        let in_common = |image: &MetadataImage| {
            let partitions = &image.topic_by_name("a").unwrap().partitions;
            partitions.windows(2).all(|pair| Arc::ptr_eq(&pair[0].placement, &pair[1].placement))
        };
        let mut image = MetadataImage::default();
        replay(&mut image, &[TopicRecord { name: "a", topic_id }.into(), new(0), new(1), new(2)]).unwrap();
        assert!(in_common(&image));
        replay(&mut image, &[out_of_sync(0)]).unwrap();
        assert!(!in_common(&image) && image.partition(&topic_id, 1).unwrap().placement.isr[..] == [1]);
        replay(&mut image, &[out_of_sync(1), out_of_sync(2)]).unwrap();
        assert!(in_common(&image) && image.partition(&topic_id, 2).unwrap().placement.isr.is_empty());
    }

    #[test]
    fn a_transaction_shows_at_its_end_or_never() {
        let topic = |name, id| MetadataRecord::from(TopicRecord { name, topic_id: Uuid::from_u128(id) });
        let begin = || MetadataRecord::from(BeginTransactionRecord::default());
        let mut image = MetadataImage::default();
        replay(&mut image, &[begin(), topic("a", 1)]).unwrap();
        assert!(image.is_in_transaction() && image.topic_by_name("a").is_none());
        replay(&mut image, &[EndTransactionRecord {}.into(), begin(), topic("b", 2)]).unwrap();
        assert!(image.topic_by_name("a").is_some());
        replay(&mut image, &[AbortTransactionRecord::default().into(), topic("c", 3)]).unwrap();
        assert_eq!(image.topics().map(|topic| &*topic.name).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        let mut image = MetadataImage::default();
        let topic_id = Uuid::from_u128(9);
        assert_eq!(
            image.replay(0, &RemoveTopicRecord { topic_id }.into()),
            Err(ReplayError::UnknownTopic { offset: 0, topic_id })
        );
        let mut image = MetadataImage::default();
        assert_eq!(image.replay(3, &NoOpRecord {}.into()), Err(ReplayError::Offset { offset: 3, expected: 0 }));
        image.replay(0, &TopicRecord { name: "t", topic_id }.into()).unwrap();
        let far = PartitionRecord { partition_id: 1, topic_id, ..PartitionRecord::default() };
        assert!(matches!(image.replay(1, &far.into()), Err(ReplayError::Partition { .. })));
    }
}
