//! Batches of the metadata log: records, control records, and the checkpoint files made of both.

use ringlog_core::record::{BatchBuilder, NewRecord};
use uuid::Uuid;

use super::codec::Encoder;
use super::node::{FEATURE_LEVELS, Identity, NodeConfig};
use super::records::Record;

/// The level of `kraft.version` in a quorum whose voters are in the log.
const KRAFT_VERSION: i16 = 1;

/// A control record, by its type in the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlRecord {
    kind: i16,
    value: Vec<u8>,
}

fn control_record(kind: i16, write: impl FnOnce(&mut Encoder)) -> ControlRecord {
    let mut out = Encoder::default();
    out.i16(0);
    write(&mut out);
    out.no_tags();
    ControlRecord { kind, value: out.0 }
}

/// This node is the leader of the epoch of its batch, elected by itself.
pub(super) fn leader_change(node_id: i32) -> ControlRecord {
    control_record(2, |out| {
        out.i32(node_id);
        for _voters_then_granting in 0..2 {
            out.array(&[node_id], |out, id| {
                out.i32(*id);
                out.no_tags();
            });
        }
    })
}

fn snapshot_header(last_contained_log_timestamp_ms: i64) -> ControlRecord {
    control_record(3, |out| out.i64(last_contained_log_timestamp_ms))
}

fn snapshot_footer() -> ControlRecord {
    control_record(4, |_| ())
}

pub(super) fn kraft_version() -> ControlRecord {
    control_record(5, |out| out.i16(KRAFT_VERSION))
}

/// This node is the only voter.
pub(super) fn voters(node: &NodeConfig, directory_id: Uuid) -> ControlRecord {
    control_record(6, |out| {
        out.array(&[()], |out, ()| {
            out.i32(node.node_id);
            out.uuid(directory_id);
            out.array(std::slice::from_ref(&node.controller_endpoint), |out, endpoint| {
                out.string(&endpoint.name);
                out.string(&endpoint.host);
                out.u16(endpoint.port);
                out.no_tags();
            });
            out.i16(0);
            out.i16(KRAFT_VERSION);
            out.no_tags();
            out.no_tags();
        });
    })
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
pub(super) fn record_batch(base_offset: i64, leader_epoch: i32, now_ms: i64, records: &[Record]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(base_offset, leader_epoch);
    for record in records {
        let value = record.encode();
        builder.push(NewRecord { timestamp: now_ms, value: Some(&value), ..NewRecord::default() });
    }
    builder.build()
}

/// `bootstrap.checkpoint`: what the first controller of the cluster starts from.
pub(super) fn bootstrap_checkpoint(now_ms: i64) -> Vec<u8> {
    let levels: Vec<_> = FEATURE_LEVELS
        .iter()
        .map(|(name, level)| Record::FeatureLevel { name: (*name).to_owned(), level: *level })
        .collect();
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
    use ringlog_core::record::{BatchView, Batches};

    use super::super::controller::tests::{identity, node};
    use super::*;

    const LOG: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");
    const BOOTSTRAP: &[u8] = include_bytes!("../../tests/golden/bootstrap.checkpoint");
    const VOTERS: &[u8] = include_bytes!("../../tests/golden/voters.checkpoint");

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
            let records: Vec<_> =
                golden.records().map(|r| Record::decode(r.unwrap().value.unwrap()).unwrap()).collect();
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
        assert_eq!(values(&voters_checkpoint(5, &node, &identity())).len(), values(VOTERS).len());
        let (ours, theirs) = (values(&voters_checkpoint(5, &node, &identity())), values(VOTERS));
        assert_eq!(ours[0].3[1..], theirs[0].3[1..]);
        assert_eq!(ours[1], theirs[1]);
    }
}
