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
/// Types of control records, as their keys name them.
const LEADER_CHANGE: i16 = 2;
const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
const KRAFT_VERSION_TYPE: i16 = 5;
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
    control_record(LEADER_CHANGE, &LeaderChangeMessage { version: 0, leader_id: node_id, voters, granting_voters })
}

fn snapshot_header(last_contained_log_timestamp: i64) -> ControlRecord {
    control_record(SNAPSHOT_HEADER, &SnapshotHeaderRecord { version: 0, last_contained_log_timestamp })
}

pub(super) fn snapshot_footer() -> ControlRecord {
    control_record(SNAPSHOT_FOOTER, &SnapshotFooterRecord { version: 0 })
}

pub(super) fn kraft_version() -> ControlRecord {
    control_record(KRAFT_VERSION_TYPE, &KRaftVersionRecord { version: 0, kraft_version: KRAFT_VERSION })
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

/// Type and value of each record of a control batch.
fn control_records<'a>(batch: &BatchView<'a>) -> impl Iterator<Item = (i16, &'a [u8])> {
    batch.records().filter_map(Result::ok).filter_map(|record| {
        let kind = record.key?.get(2..)?.first_chunk()?;
        Some((i16::from_be_bytes(*kind), record.value?))
    })
}

/// Of a control batch that begins a snapshot.
pub(super) fn last_contained_log_timestamp(batch: &BatchView<'_>) -> Option<i64> {
    let (_, value) = control_records(batch).find(|(kind, _)| *kind == SNAPSHOT_HEADER)?;
    let header = SnapshotHeaderRecord::decode(&mut Reader::new(value), 0).ok()?;
    Some(header.last_contained_log_timestamp)
}

/// Whether a control batch ends a snapshot.
pub(super) fn is_snapshot_footer(batch: &BatchView<'_>) -> bool {
    control_records(batch).any(|(kind, _)| kind == SNAPSHOT_FOOTER)
}

/// What control records say of the quorum, the newest of each kind, as they are: so they go on in snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct QuorumRecords {
    kraft_version: Option<ControlRecord>,
    voters: Option<ControlRecord>,
}

impl QuorumRecords {
    /// Takes what a control batch says.
    pub fn replay(&mut self, batch: &BatchView<'_>) {
        for (kind, value) in control_records(batch) {
            self.take(ControlRecord { kind, value: value.to_vec() });
        }
    }

    /// Takes a record that is written.
    pub fn take(&mut self, record: ControlRecord) {
        match record.kind {
            KRAFT_VERSION_TYPE => self.kraft_version = Some(record),
            VOTERS => self.voters = Some(record),
            _ => {}
        }
    }

    /// Node ids of the voters; `None` where no record names them.
    pub fn voter_ids(&self) -> Option<Vec<i32>> {
        let record = VotersRecord::decode(&mut Reader::new(&self.voters.as_ref()?.value), 0).ok()?;
        Some(record.voters.iter().map(|voter| voter.voter_id).collect())
    }

    /// The first batch of a snapshot, and how many records it has.
    pub fn snapshot_header(&self, leader_epoch: i32, now_ms: i64, last_contained_log_timestamp: i64) -> (Vec<u8>, i64) {
        let quorum = self.kraft_version.iter().chain(&self.voters).cloned();
        let records: Vec<_> = std::iter::once(snapshot_header(last_contained_log_timestamp)).chain(quorum).collect();
        (control_batch(0, leader_epoch, now_ms, &records), records.len() as i64)
    }
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
        builder.push(metadata_record(now_ms, value));
    }
    builder.build()
}

/// An encoded metadata record, for a batch.
pub(super) fn metadata_record(now_ms: i64, value: &[u8]) -> NewRecord<'_> {
    NewRecord { timestamp: now_ms, value: Some(value), ..NewRecord::default() }
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
