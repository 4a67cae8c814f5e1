//! The one writer's decisions: `(state, request) -> (response, records)`, without I/O and without time.
//!
//! The records count once they are durable in the metadata log and replayed; until then nothing is answered.
//!
//! Invariants:
//! - A topic id is random and new. All records of one topic are in one batch.
//! - A leader epoch rises with each start and each stop, and never falls.

use ahash::AHashSet;
use ringlog_core::protocol::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord, ConfigRecord, EndTransactionRecord,
    FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord,
};
use ringlog_core::wire::Array;
use uuid::Uuid;

use super::ids::random_id;
use super::image::{MetadataImage, NO_LEADER, PartitionImage};
use super::node::{FEATURE_LEVELS, Identity, NodeConfig, NodeEndpoint, supported_features};
use super::records::{METADATA_VERSION, Records, resource_type};
use crate::config::check_topic_config;

/// Partitions that one request may create, as in Kafka.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;
/// Ids in a block of producer ids, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1_000;
/// Records of a batch, so that a broker of many partitions starts and stops in several.
const RECORDS_PER_BATCH_MAX: usize = 10_000;
const TOPIC_NAME_LEN_MAX: usize = 249;
/// The feature that lets a replica lead that is not in sync any more (KIP-966).
const ELR_VERSION: &str = "eligible.leader.replicas.version";
/// Values of a registration change.
const FENCED: i8 = 1;
const UNFENCED: i8 = -1;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// -1 for the default.
    pub num_partitions: i32,
    /// -1 for the default.
    pub replication_factor: i16,
    /// Partition index and its replicas, instead of the two numbers.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Keys and values of its configuration.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was created (or could have been, with `validate_only`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Its partitions.
    pub num_partitions: i32,
    /// Replicas of each.
    pub replication_factor: i16,
}

/// Why a topic is not created. The texts are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// INVALID_TOPIC_EXCEPTION.
    #[error("{0}")]
    InvalidName(String),
    /// TOPIC_ALREADY_EXISTS.
    #[error("Topic '{0}' already exists.")]
    AlreadyExists(String),
    /// INVALID_REQUEST: the request names it twice.
    #[error("Duplicate topic name.")]
    DuplicateInRequest,
    /// INVALID_PARTITIONS.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    InvalidPartitions,
    /// POLICY_VIOLATION.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// INVALID_REPLICATION_FACTOR.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    InvalidAssignment(String),
    /// INVALID_REQUEST: both an assignment and numbers.
    #[error("A manual partition assignment was specified, but {0} was not set to -1.")]
    AssignmentAndNumbers(&'static str),
    /// INVALID_CONFIG.
    #[error("{0}")]
    InvalidConfig(String),
}

/// Why no producer ids are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no producer ids are left")]
pub struct ProducerIdsExhausted;

/// Producer ids `first..first + PRODUCER_ID_BLOCK_LEN`, for one broker alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: i64,
}

/// The results in the order of the requests, and the records of the topics that are created.
pub type CreatedTopics = (Vec<Result<CreatedTopic, CreateTopicError>>, Records);

/// Creates topics on this one node. With `validate_only` there are no records.
pub fn create_topics(
    image: &MetadataImage,
    node: &NodeConfig,
    identity: &Identity,
    topics: &[NewTopic],
    validate_only: bool,
    mut random: impl FnMut() -> u64,
) -> CreatedTopics {
    let (mut seen, mut twice) = (AHashSet::new(), AHashSet::new());
    for topic in topics {
        if !seen.insert(topic.name.as_str()) {
            twice.insert(topic.name.as_str());
        }
    }
    let (mut records, mut partitions_left) = (records_for(image), PARTITIONS_PER_REQUEST_MAX);
    let mut collisions: AHashSet<String> = AHashSet::new();
    let mut create = |topic: &NewTopic| {
        if twice.contains(topic.name.as_str()) {
            return Err(CreateTopicError::DuplicateInRequest);
        }
        check_name(image, &topic.name)?;
        let folded = fold_name(&topic.name);
        if has_collision_chars(&topic.name) && collisions.contains(&folded) {
            let text = format!("Topic '{}' collides with another topic of this request", topic.name);
            return Err(CreateTopicError::InvalidName(text));
        }
        let (num_partitions, replication_factor) = numbers(node, topic)?;
        for (key, value) in &topic.configs {
            check_topic_config(key, value.as_deref()).map_err(CreateTopicError::InvalidConfig)?;
        }
        partitions_left =
            partitions_left.checked_sub(num_partitions as usize).ok_or(CreateTopicError::TooManyPartitions)?;
        collisions.insert(folded);
        let topic_id = loop {
            let id = random_id(&mut random);
            if image.topic(&id).is_none() {
                break id;
            }
        };
        if !validate_only {
            push_topic_records(&mut records, topic, topic_id, num_partitions, node.node_id, identity.directory_id);
        }
        Ok(CreatedTopic { topic_id, num_partitions, replication_factor })
    };
    let results = topics.iter().map(&mut create).collect();
    (results, records)
}

/// No records yet, in the versions of the cluster's level.
pub(super) fn records_for(image: &MetadataImage) -> Records {
    match image.feature("metadata.version") {
        0 => Records::new(METADATA_VERSION),
        level => Records::new(level),
    }
}

fn push_topic_records(
    records: &mut Records,
    topic: &NewTopic,
    topic_id: Uuid,
    num_partitions: i32,
    node_id: i32,
    directory_id: Uuid,
) {
    records.push(TopicRecord { name: &topic.name, topic_id });
    records.extend(topic.configs.iter().map(|(name, value)| ConfigRecord {
        resource_type: resource_type::TOPIC,
        resource_name: &topic.name,
        name,
        value: value.as_deref().map(str::trim),
    }));
    records.extend((0..num_partitions).map(|id| new_partition(topic_id, id, node_id, directory_id)));
}

/// A partition that this node alone has and leads.
pub(super) fn new_partition(
    topic_id: Uuid,
    partition_id: i32,
    node_id: i32,
    directory_id: Uuid,
) -> PartitionRecord<'static> {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![node_id].into(),
        isr: vec![node_id].into(),
        leader: node_id,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![directory_id].into(),
        ..PartitionRecord::default()
    }
}

/// Whether a topic may have this name, whatever topics there are.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("Topic name is invalid: the empty string is not allowed".to_owned()),
        "." | ".." => Err(format!("Topic name is invalid: '{name}' is not allowed")),
        "__cluster_metadata" => Err(format!("Topic name is invalid: '{name}' is the metadata's own")),
        _ if name.len() > TOPIC_NAME_LEN_MAX => {
            Err(format!("Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"))
        }
        _ if !name.chars().all(is_legal) => Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )),
        _ => Ok(()),
    }
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), CreateTopicError> {
    check_topic_name(name).map_err(CreateTopicError::InvalidName)?;
    if image.topic_by_name(name).is_some() {
        return Err(CreateTopicError::AlreadyExists(name.to_owned()));
    }
    if has_collision_chars(name) {
        let folded = fold_name(name);
        if let Some(other) = image.topics().find(|topic| fold_name(&topic.name) == folded) {
            let text = format!("Topic '{name}' collides with existing topic: {}", other.name);
            return Err(CreateTopicError::InvalidName(text));
        }
    }
    Ok(())
}

/// Metric names cannot tell a dot from an underscore.
fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

fn fold_name(name: &str) -> String {
    name.replace('.', "_")
}

fn numbers(node: &NodeConfig, topic: &NewTopic) -> Result<(i32, i16), CreateTopicError> {
    if !topic.assignments.is_empty() {
        return assigned_numbers(node, topic);
    }
    let num_partitions = match topic.num_partitions {
        -1 => node.num_partitions,
        count if count <= 0 => return Err(CreateTopicError::InvalidPartitions),
        count => count,
    };
    let replication_factor = match topic.replication_factor {
        -1 => node.default_replication_factor,
        factor => factor,
    };
    match replication_factor {
        1 => Ok((num_partitions, 1)),
        factor if factor <= 0 => Err(CreateTopicError::InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        )),
        factor => Err(CreateTopicError::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        ))),
    }
}

fn assigned_numbers(node: &NodeConfig, topic: &NewTopic) -> Result<(i32, i16), CreateTopicError> {
    if topic.replication_factor != -1 {
        return Err(CreateTopicError::AssignmentAndNumbers("replication factor"));
    }
    if topic.num_partitions != -1 {
        return Err(CreateTopicError::AssignmentAndNumbers("number of partitions"));
    }
    let invalid = |text: &str| Err(CreateTopicError::InvalidAssignment(text.to_owned()));
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|(index, _)| *index).collect();
    indexes.sort_unstable();
    if !indexes.iter().copied().eq(0..indexes.len() as i32) {
        return invalid("Partitions must be a consecutive 0-based integer sequence.");
    }
    for (_, replicas) in &topic.assignments {
        check_replicas(node, replicas).map_err(CreateTopicError::InvalidAssignment)?;
    }
    Ok((indexes.len() as i32, 1))
}

/// Whether a client may choose these replicas for a partition; the text is for the client.
pub(super) fn check_replicas(node: &NodeConfig, replicas: &[i32]) -> Result<(), String> {
    const BEGIN: &str = "The manual partition assignment includes";
    if replicas.is_empty() {
        return Err(format!("{BEGIN} an empty replica list."));
    }
    if let Some(other) = replicas.iter().find(|replica| **replica != node.node_id) {
        return Err(format!("{BEGIN} broker {other}, but no such broker is registered."));
    }
    match replicas {
        [_] => Ok(()),
        _ => Err(format!("{BEGIN} the broker {} more than once.", node.node_id)),
    }
}

/// Deletes topics with their partitions and configs; `false` for one that is not there, or that was named before.
pub fn delete_topics(image: &MetadataImage, topic_ids: &[Uuid]) -> (Vec<bool>, Records) {
    let (mut records, mut seen) = (records_for(image), AHashSet::new());
    let mut delete = |topic_id: &Uuid| {
        let is_deleted = image.topic(topic_id).is_some() && seen.insert(*topic_id);
        if is_deleted {
            records.push(RemoveTopicRecord { topic_id: *topic_id });
        }
        is_deleted
    };
    let deleted = topic_ids.iter().map(&mut delete).collect();
    (deleted, records)
}

/// The next block of producer ids for a broker.
pub fn allocate_producer_ids(
    image: &MetadataImage,
    node_id: i32,
) -> Result<(ProducerIdBlock, Records), ProducerIdsExhausted> {
    let first = image.next_producer_id();
    let next_producer_id = first.checked_add(PRODUCER_ID_BLOCK_LEN).ok_or(ProducerIdsExhausted)?;
    let mut records = records_for(image);
    records.push(ProducerIdsRecord {
        broker_id: node_id,
        broker_epoch: broker_epoch(image, node_id),
        next_producer_id,
    });
    Ok((ProducerIdBlock { first }, records))
}

fn broker_epoch(image: &MetadataImage, node_id: i32) -> i64 {
    image.broker(node_id).map_or(-1, |broker| broker.broker_epoch)
}

/// The batches of a start, behind the control batch of the new epoch, whose end is the image's end offset.
pub fn start(
    image: &MetadataImage,
    node: &NodeConfig,
    identity: &Identity,
    mut random: impl FnMut() -> u64,
) -> Vec<Records> {
    let mut batches = Vec::new();
    if image.is_in_transaction() {
        let mut abort = records_for(image);
        abort.push(AbortTransactionRecord { reason: Some("the node stopped before its end") });
        batches.push(abort);
    }
    if image.feature("metadata.version") == 0 {
        batches.push(bootstrap());
    }
    let features = supported_features();
    let mut controller = records_for(image);
    controller.push(RegisterControllerRecord {
        controller_id: node.node_id,
        incarnation_id: random_id(&mut random),
        zk_migration_ready: false,
        end_points: vec![node.controller_endpoint.as_record()].into(),
        features: features[..].into(),
    });
    batches.push(controller);
    let broker_epoch = image.end_offset() + batches.iter().map(Records::len).sum::<usize>() as i64;
    let broker_id = node.node_id;
    let mut broker = records_for(image);
    broker.push(RegisterBrokerRecord {
        broker_id,
        incarnation_id: random_id(&mut random),
        broker_epoch,
        end_points: node.endpoints.iter().map(NodeEndpoint::as_record).collect(),
        features: features[..].into(),
        rack: node.rack.as_deref(),
        fenced: true,
        log_dirs: vec![identity.directory_id].into(),
        ..RegisterBrokerRecord::default()
    });
    batches.push(broker);
    let change = BrokerRegistrationChangeRecord { broker_id, broker_epoch, ..Default::default() };
    let mut lead = records_for(image);
    lead.push(BrokerRegistrationChangeRecord { fenced: UNFENCED, ..change.clone() });
    lead.push(BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(Array::default()), ..change });
    lead.extend(partition_changes(image, broker_id, |partition| PartitionChangeRecord {
        isr: Some(vec![broker_id].into()),
        leader: broker_id,
        eligible_leader_replicas: (!partition.placement.eligible_leader_replicas.is_empty()).then(Array::default),
        last_known_elr: (!partition.placement.last_known_elr.is_empty()).then(Array::default),
        ..Default::default()
    }));
    batches.extend(lead.into_batches(RECORDS_PER_BATCH_MAX));
    batches
}

/// The first records of a cluster.
fn bootstrap() -> Records {
    let mut records = Records::new(METADATA_VERSION);
    records.push(BeginTransactionRecord { name: Some("Bootstrap records") });
    for (name, feature_level) in FEATURE_LEVELS {
        records.push(FeatureLevelRecord { name, feature_level: *feature_level });
    }
    let resource_type = resource_type::BROKER;
    records.push(ConfigRecord { resource_type, resource_name: "", name: "min.insync.replicas", value: Some("1") });
    records.push(EndTransactionRecord {});
    records
}

/// The batches of a clean stop: no partition keeps its leader, then the broker is fenced.
pub fn stop(image: &MetadataImage, broker_id: i32) -> Vec<Records> {
    let broker_epoch = broker_epoch(image, broker_id);
    let change = BrokerRegistrationChangeRecord { broker_id, broker_epoch, ..Default::default() };
    let mut resign = records_for(image);
    resign.push(BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..change.clone() });
    // Without KIP-966 the last one stays in sync: nobody else could ever be elected.
    let has_elr = image.feature(ELR_VERSION) > 0;
    resign.extend(partition_changes(image, broker_id, |_| PartitionChangeRecord {
        isr: has_elr.then(Array::default),
        leader: NO_LEADER,
        eligible_leader_replicas: has_elr.then(|| vec![broker_id].into()),
        last_known_elr: has_elr.then(|| vec![broker_id].into()),
        ..Default::default()
    }));
    let mut batches = resign.into_batches(RECORDS_PER_BATCH_MAX);
    let mut fence = records_for(image);
    fence.push(BrokerRegistrationChangeRecord { fenced: FENCED, ..change });
    batches.push(fence);
    batches
}

/// A change for each partition that a node is a replica of.
fn partition_changes(
    image: &MetadataImage,
    node_id: i32,
    change: impl Fn(&PartitionImage) -> PartitionChangeRecord<'static>,
) -> impl Iterator<Item = PartitionChangeRecord<'static>> {
    let partitions =
        image.topics().flat_map(|topic| (0..).zip(&topic.partitions).map(move |partition| (topic, partition)));
    partitions.filter(move |(_, (_, partition))| partition.placement.replicas.contains(&node_id)).map(
        move |(topic, (partition_id, partition))| PartitionChangeRecord {
            partition_id,
            topic_id: topic.topic_id,
            ..change(partition)
        },
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::MetadataLogConfig;

    pub(in super::super) fn node() -> NodeConfig {
        let endpoint = |name: &str, port| NodeEndpoint {
            name: name.to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            security_protocol: 0,
        };
        NodeConfig {
            node_id: 1,
            rack: None,
            endpoints: vec![endpoint("PLAINTEXT", 9092)],
            controller_endpoint: endpoint("CONTROLLER", 19093),
            is_static_quorum: false,
            num_partitions: 3,
            default_replication_factor: 1,
            metadata_log: MetadataLogConfig::default(),
        }
    }

    pub(in super::super) fn identity() -> Identity {
        let directory_id = Uuid::from_u128(0xa1a2_e7a8_86f9_4421_ab45_c871_542d_b5e9);
        Identity { node_id: 1, cluster_id: "YuKTBJ3TSLit9780HtVQDA".to_owned(), directory_id }
    }

    pub(in super::super) fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 31
        }
    }

    fn new_topic(name: &str) -> NewTopic {
        NewTopic { name: name.to_owned(), num_partitions: -1, replication_factor: -1, ..NewTopic::default() }
    }

    fn replay(image: &mut MetadataImage, batches: &[Records]) {
        for batch in batches {
            image.replay_all(image.end_offset(), batch).unwrap();
        }
    }

    fn started() -> MetadataImage {
        let mut image = MetadataImage::default();
        image.skip_to(3);
        let batches = start(&image, &node(), &identity(), random(1));
        replay(&mut image, &batches);
        image
    }

    fn create(image: &mut MetadataImage, topic: NewTopic) -> Result<CreatedTopic, CreateTopicError> {
        let seed = image.end_offset() as u64;
        let (mut results, records) = create_topics(image, &node(), &identity(), &[topic], false, random(seed));
        replay(image, &[records]);
        results.remove(0)
    }

    #[test]
    fn a_first_start_writes_what_kafka_writes() {
        let image = started();
        assert_eq!(image.feature("transaction.version"), 2);
        let broker = image.broker(1).unwrap();
        assert_eq!((broker.broker_epoch, broker.fenced), (13, false));
    }

    #[test]
    fn defaults_configs_and_records_of_a_topic() {
        let mut image = started();
        let mut topic = new_topic("t");
        topic.configs = vec![("ringlog.durability".to_owned(), Some("page-cache".to_owned()))];
        let created = create(&mut image, topic).unwrap();
        assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
        let topic = image.topic(&created.topic_id).unwrap();
        assert_eq!(topic.configs["ringlog.durability"], "page-cache");
        assert_eq!(topic.partitions.len(), 3);
        assert_eq!((topic.partitions[2].leader, topic.partitions[2].leader_epoch), (1, 0));
    }

    #[test]
    fn refused_topics() {
        let mut image = started();
        create(&mut image, new_topic("a.b")).unwrap();
        let mut check = |change: &dyn Fn(&mut NewTopic), expected: &str| {
            let mut topic = new_topic("t");
            change(&mut topic);
            let error = create(&mut image, topic).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&|topic| topic.name = "a.b".to_owned(), "already exists");
        check(&|topic| topic.name = "a_b".to_owned(), "collides with existing topic: a.b");
        check(&|topic| topic.name = String::new(), "empty string");
        check(&|topic| topic.name = "..".to_owned(), "not allowed");
        check(&|topic| topic.name = "a/b".to_owned(), "characters other");
        check(&|topic| topic.name = "x".repeat(250), "249");
        check(&|topic| topic.num_partitions = 0, "non-positive");
        check(&|topic| topic.num_partitions = i32::MAX, "Excessively large");
        check(&|topic| topic.replication_factor = 0, "larger than 0");
        check(&|topic| topic.replication_factor = 2, "only 1 broker(s)");
        check(&|topic| topic.configs = vec![("x".to_owned(), None)], "Unknown topic config");
        check(&|topic| topic.assignments = vec![(0, vec![2])], "includes broker 2, but no such broker");
        check(&|topic| topic.assignments = vec![(1, vec![1])], "consecutive");
        check(
            &|topic| (topic.assignments, topic.num_partitions) = (vec![(0, vec![1])], 1),
            "number of partitions was not set to -1",
        );
    }

    #[test]
    fn twice_in_a_request_is_refused_both_times_and_validating_writes_nothing() {
        let image = started();
        let topics = [new_topic("a"), new_topic("b"), new_topic("a")];
        let (results, records) = create_topics(&image, &node(), &identity(), &topics, true, random(2));
        assert_eq!(results[0], Err(CreateTopicError::DuplicateInRequest));
        assert!(results[1].is_ok());
        assert_eq!(results[2], Err(CreateTopicError::DuplicateInRequest));
        assert!(records.is_empty());
    }

    #[test]
    fn leader_epochs_rise_at_stop_and_start() {
        let mut image = started();
        let topic_id = create(&mut image, new_topic("t")).unwrap().topic_id;
        let batches = stop(&image, 1);
        replay(&mut image, &batches);
        let partition = image.partition(&topic_id, 0).unwrap();
        assert_eq!((partition.leader, partition.leader_epoch), (NO_LEADER, 1));
        let batches = start(&image, &node(), &identity(), random(3));
        replay(&mut image, &batches);
        let partition = image.partition(&topic_id, 0).unwrap();
        assert_eq!((partition.leader, partition.leader_epoch, &partition.placement.isr[..]), (1, 2, &[1][..]));
        assert!(
            partition.placement.eligible_leader_replicas.is_empty() && partition.placement.last_known_elr.is_empty()
        );
        // After a crash there was no stop.
        let batches = start(&image, &node(), &identity(), random(4));
        replay(&mut image, &batches);
        assert_eq!(image.partition(&topic_id, 0).unwrap().leader_epoch, 3);
    }

    #[test]
    fn without_eligible_leader_replicas_a_stop_leaves_the_last_one_in_sync() {
        let mut image = started();
        let mut records = records_for(&image);
        records.push(FeatureLevelRecord { name: ELR_VERSION, feature_level: 0 });
        replay(&mut image, &[records]);
        let topic_id = create(&mut image, new_topic("t")).unwrap().topic_id;
        let batches = stop(&image, 1);
        replay(&mut image, &batches);
        let partition = image.partition(&topic_id, 0).unwrap();
        assert_eq!((partition.leader, &partition.placement.isr[..]), (NO_LEADER, &[1][..]));
        assert!(
            partition.placement.eligible_leader_replicas.is_empty() && partition.placement.last_known_elr.is_empty()
        );
    }

    #[test]
    fn producer_ids_come_in_blocks() {
        let mut image = started();
        for expected in [0, 1_000, 2_000] {
            let (block, records) = allocate_producer_ids(&image, 1).unwrap();
            assert_eq!(block.first, expected);
            replay(&mut image, &[records]);
        }
    }

    #[test]
    fn a_deleted_topic_can_be_created_again_under_another_id() {
        let mut image = started();
        let first = create(&mut image, new_topic("t")).unwrap().topic_id;
        let (deleted, records) = delete_topics(&image, &[first]);
        assert_eq!(deleted, [true]);
        replay(&mut image, &[records]);
        assert_eq!(delete_topics(&image, &[first]).0, [false]);
        assert_ne!(create(&mut image, new_topic("t")).unwrap().topic_id, first);
    }
}
