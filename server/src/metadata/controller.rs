//! The one writer's decisions: `(state, request) -> (response, records)`, without I/O and without time. Here those of a
//! start and a stop, and blocks of producer ids; the others are named for their request (`create_topics`).
//!
//! The records count once they are durable in the metadata log and replayed; until then nothing is answered.
//!
//! Invariant: a leader epoch rises with each start and each stop, and never falls.

use ringlog_core::protocol::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord, ConfigRecord, EndTransactionRecord,
    FeatureLevelRecord, PartitionChangeRecord, ProducerIdsRecord, RegisterBrokerRecord, RegisterControllerRecord,
};
use ringlog_core::wire::Array;

use super::ids::random_id;
use super::image::{MetadataImage, NO_LEADER, PartitionImage};
use super::node::{FEATURE_LEVELS, Identity, NodeConfig, NodeEndpoint, supported_features};
use super::records::{METADATA_VERSION, Records, resource_type};

/// Ids in a block of producer ids, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1_000;
/// Records of a batch, so that a broker of many partitions starts and stops in several.
const RECORDS_PER_BATCH_MAX: usize = 10_000;
/// The feature that lets a replica lead that is not in sync any more (KIP-966).
const ELR_VERSION: &str = "eligible.leader.replicas.version";
/// Values of a registration change.
const FENCED: i8 = 1;
const UNFENCED: i8 = -1;

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

/// No records yet, in the versions of the cluster's level.
pub(super) fn records_for(image: &MetadataImage) -> Records {
    match image.feature("metadata.version") {
        0 => Records::new(METADATA_VERSION),
        level => Records::new(level),
    }
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
    use uuid::Uuid;

    use super::super::create_topics::{CreateTopicError, CreatedTopic, NewTopic, create_topics};
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

    pub(in super::super) fn new_topic(name: &str) -> NewTopic {
        NewTopic { name: name.to_owned(), num_partitions: -1, replication_factor: -1, ..NewTopic::default() }
    }

    pub(in super::super) fn replay(image: &mut MetadataImage, batches: &[Records]) {
        for batch in batches {
            image.replay_all(image.end_offset(), batch).unwrap();
        }
    }

    pub(in super::super) fn started() -> MetadataImage {
        let mut image = MetadataImage::default();
        image.skip_to(3);
        let batches = start(&image, &node(), &identity(), random(1));
        replay(&mut image, &batches);
        image
    }

    pub(in super::super) fn create(
        image: &mut MetadataImage,
        topic: NewTopic,
    ) -> Result<CreatedTopic, CreateTopicError> {
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
}
