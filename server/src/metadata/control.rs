//! Batches of the metadata log: records, control records, and the checkpoint files made of both.

use ringlog_core::protocol::metadata::{
    FeatureLevelRecord, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage, LeaderChangeVoter,
    SnapshotFooterRecord, SnapshotHeaderRecord, Voter, VoterEndpoint, VotersRecord,
};
use ringlog_core::record::{BatchBuilder, BatchView, NewRecord};
use ringlog_core::wire::{Message, Reader, Writer};
use uuid::Uuid;

use super::node::{FEATURE_LEVELS, Identity, NodeConfig};
use super::records::Records;

/// The level of `kraft.version` in a quorum whose voters are in the log.
pub(super) const KRAFT_VERSION: i16 = 1;
/// The type of a voters record.
const VOTERS: i16 = 6;

/// A control record, by its type in the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlRecord {
    kind: i16,
    value: Vec<u8>,
}

/// All are written in version 0, which they begin with.
fn control_record<'a>(kind: i16, message: &impl Message<'a>) -> ControlRecord {
    let mut writer = Writer::new();
    message.encode(&mut writer, 0);
    ControlRecord { kind, value: writer.finish().expect("host names are short").bytes }
}

/// This node is the leader of the epoch of its batch, elected by itself.
pub(super) fn leader_change(node_id: i32) -> ControlRecord {
    let voters = [LeaderChangeVoter { voter_id: node_id, ..Default::default() }];
    let (voters, granting_voters) = (voters[..].into(), voters[..].into());
    control_record(2, &LeaderChangeMessage { version: 0, leader_id: node_id, voters, granting_voters })
}

fn snapshot_header(last_contained_log_timestamp: i64) -> ControlRecord {
    control_record(3, &SnapshotHeaderRecord { version: 0, last_contained_log_timestamp })
}

fn snapshot_footer() -> ControlRecord {
    control_record(4, &SnapshotFooterRecord { version: 0 })
}

pub(super) fn kraft_version() -> ControlRecord {
    control_record(5, &KRaftVersionRecord { version: 0, kraft_version: KRAFT_VERSION })
}

/// This node is the only voter.
pub(super) fn voters(node: &NodeConfig, directory_id: Uuid) -> ControlRecord {
    let endpoint = &node.controller_endpoint;
    let voter = Voter {
        voter_id: node.node_id,
        voter_directory_id: directory_id,
        endpoints: vec![VoterEndpoint { name: &endpoint.name, host: &endpoint.host, port: endpoint.port }].into(),
        kraft_version_feature: KRaftVersionFeature { min_supported_version: 0, max_supported_version: KRAFT_VERSION },
    };
    control_record(VOTERS, &VotersRecord { version: 0, voters: vec![voter].into() })
}

/// The node ids of a voters record in a control batch.
pub(super) fn voters_of(batch: &BatchView<'_>) -> Option<Vec<i32>> {
    let records = batch.records().filter_map(Result::ok);
    let mut voters = records.filter(|record| record.key.is_some_and(|key| key.ends_with(&VOTERS.to_be_bytes())));
    let value = voters.next()?.value?;
    let record = VotersRecord::decode(&mut Reader::new(value), 0).ok()?;
    Some(record.voters.iter().map(|voter| voter.voter_id).collect())
}

/// A control batch.
pub(super) fn control_batch(base_offset: i64, leader_epoch: i32, now_ms: i64, records: &[ControlRecord]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(base_offset, leader_epoch).control();
    for record in records {
        let mut key = [0; 4];
        key[2..].copy_from_slice(&record.kind.to_be_bytes());
        let value = Some(record.value.as_slice());
        builder.push(NewRecord { timestamp: now_ms, key: Some(&key), value, ..NewRecord::default() });
    }
    builder.build()
}

/// A batch of metadata records.
pub(super) fn record_batch(base_offset: i64, leader_epoch: i32, now_ms: i64, records: &Records) -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(base_offset, leader_epoch);
    for value in records.values() {
        builder.push(NewRecord { timestamp: now_ms, value: Some(value), ..NewRecord::default() });
    }
    builder.build()
}

/// `bootstrap.checkpoint`: what the first controller of the cluster starts from.
pub(super) fn bootstrap_checkpoint(now_ms: i64) -> Vec<u8> {
    let mut levels = Records::default();
    levels.extend(FEATURE_LEVELS.iter().map(|(name, feature_level)| {
        let feature_level = *feature_level;
        FeatureLevelRecord { name, feature_level }
    }));
    let mut bytes = control_batch(0, 0, now_ms, &[snapshot_header(0)]);
    bytes.extend(record_batch(1, 0, now_ms, &levels));
    bytes.extend(control_batch(1 + levels.len() as i64, 0, now_ms, &[snapshot_footer()]));
    bytes
}

/// The checkpoint of offset 0 and epoch 0 in `__cluster_metadata-0`: who votes.
pub(super) fn voters_checkpoint(now_ms: i64, node: &NodeConfig, identity: &Identity) -> Vec<u8> {
    let records = [snapshot_header(0), kraft_version(), voters(node, identity.directory_id)];
    let mut bytes = control_batch(0, 0, now_ms, &records);
    bytes.extend(control_batch(3, 0, now_ms, &[snapshot_footer()]));
    bytes
}

#[cfg(test)]
mod tests {
    use ringlog_core::record::Batches;

    use super::super::controller::tests::{identity, node};
    use super::*;

    const LOG: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");
    const BOOTSTRAP: &[u8] = include_bytes!("../../tests/golden/bootstrap.checkpoint");
    const VOTERS_CHECKPOINT: &[u8] = include_bytes!("../../tests/golden/voters.checkpoint");

    fn values(bytes: &[u8]) -> Vec<(i64, i32, bool, Vec<Vec<u8>>)> {
        let values = |batch: &BatchView<'_>| batch.records().map(|r| r.unwrap().value.unwrap().to_vec()).collect();
        Batches::new(bytes).map(|b| (b.base_offset(), b.leader_epoch(), b.is_control(), values(&b))).collect()
    }

    #[test]
    fn the_control_batch_of_a_first_start_byte_for_byte() {
        let golden = BatchView::parse(LOG).unwrap();
        let records = [leader_change(1), kraft_version(), voters(&node(), identity().directory_id)];
        assert_eq!(control_batch(0, 1, golden.base_timestamp(), &records), golden.bytes());
    }

    #[test]
    fn a_batch_of_records_byte_for_byte() {
        for golden in Batches::new(LOG).filter(|batch| !batch.is_control()) {
            let mut records = Records::default();
            golden.records().for_each(|r| records.push_value(r.unwrap().value.unwrap()).unwrap());
            let ours = record_batch(golden.base_offset(), 1, golden.base_timestamp(), &records);
            assert_eq!(ours, golden.bytes(), "{records:?}");
        }
    }

    #[test]
    fn checkpoints_hold_what_those_of_kafka_hold() {
        let mut node = node();
        node.controller_endpoint.port = 19093;
        // Kafka notes the time of formatting in the header record of the voters' checkpoint's batch only.
        assert_eq!(values(&bootstrap_checkpoint(5)), values(BOOTSTRAP));
        assert_eq!(values(&voters_checkpoint(5, &node, &identity())).len(), values(VOTERS_CHECKPOINT).len());
        let (ours, theirs) = (values(&voters_checkpoint(5, &node, &identity())), values(VOTERS_CHECKPOINT));
        assert_eq!(ours[0].3[1..], theirs[0].3[1..]);
        assert_eq!(ours[1], theirs[1]);
    }
}
