//! Groups of protocols that this broker does not speak, in the records that Kafka 4.3.1 writes.

use std::collections::BTreeMap;

use ringlog_core::protocol::ErrorCode;

use super::harness::{GROUP, Harness, commit, heartbeat_848, join};
use crate::coordinator::group::{DeleteOffsets, GroupListing, GroupReply, GroupRequest, ListGroups, NewGroupRecord};

const MONTH_MS: i64 = 30 * 24 * 60 * 60_000;

/// A streams group of one member, in the order in which they came; the record of the group itself is of type 17.
const STREAMS: [(&str, &str); 6] = [
    ("0013000567726f757000016d", "0000000002630b2f3132372e302e302e310000ea60000000010270ff0100"),
    ("0017000567726f7570", "00000000000102023002027401010101010000"),
    ("0011000567726f7570", "000000000002000000000000000702000400000001010602026b027600"),
    ("0015000567726f757000016d", "000001010100"),
    ("0014000567726f7570", "00000000000201000800000000000003e8"),
    ("0016000567726f757000016d", "000000000002000000010101010101010100"),
];

/// A share group whose members are gone; the record of the group itself is of type 11.
const SHARE: [(&str, &str); 3] = [
    ("000b000567726f7570", "000000000001000000000000000700"),
    ("000c000567726f7570", "00000000000101000800000000000003e8"),
    ("000f000567726f7570", "000001010100"),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn left_by_kafka(records: &[(&str, &str)]) -> Harness {
    let mut harness = Harness::without_delay();
    let record = |(key, value): &(&str, &str)| NewGroupRecord { key: bytes(key), value: Some(bytes(value)) };
    harness.log = records.iter().map(record).collect();
    harness.reload();
    harness
}

fn types(harness: &mut Harness, asked: &[&str]) -> Vec<&'static str> {
    let types = asked.iter().map(|asked| (*asked).to_owned()).collect();
    match harness.ask(GroupRequest::List(ListGroups { states: Vec::new(), types })) {
        GroupReply::List(Ok(listed)) => listed.iter().map(|listing| listing.group_type).collect(),
        other => panic!("{other:?}"),
    }
}

fn delete_offsets(harness: &mut Harness) -> GroupReply {
    let topics = vec![("t".to_owned(), vec![0])];
    harness.ask(GroupRequest::DeleteOffsets(DeleteOffsets { group_id: GROUP.to_owned(), topics }))
}

/// What the cleaner leaves in the end: the last value of each key.
fn compact(harness: &mut Harness) {
    let mut last = BTreeMap::new();
    for (at, record) in harness.log.iter().enumerate() {
        last.insert(record.key.clone(), at);
    }
    let log = std::mem::take(&mut harness.log);
    let is_left = |(at, record): &(usize, NewGroupRecord)| last[&record.key] == *at && record.value.is_some();
    harness.log = log.into_iter().enumerate().filter(is_left).map(|(_, record)| record).collect();
    harness.reload();
}

#[test]
fn they_are_listed_with_their_type_and_stay() {
    for (records, group_type, another) in [(&STREAMS[..], "streams", "share"), (&SHARE[..], "share", "streams")] {
        let mut harness = left_by_kafka(records);
        harness.pass(MONTH_MS);
        let empty_ones = ListGroups { states: vec!["empty".to_owned()], types: vec![group_type.to_owned()] };
        let listing = GroupListing {
            group_id: GROUP.to_owned(),
            protocol_type: group_type.to_owned(),
            state: "Empty",
            group_type,
        };
        assert_eq!(harness.ask(GroupRequest::List(empty_ones)), GroupReply::List(Ok(vec![listing])));
        assert!(types(&mut harness, &["classic", "consumer", another]).is_empty());
        assert_eq!(harness.log.len(), records.len(), "nothing is written");
    }
}

#[test]
fn requests_of_other_protocols_are_refused() {
    for records in [&STREAMS[..], &SHARE[..]] {
        let mut harness = left_by_kafka(records);
        assert_eq!(harness.state(), "Dead");
        let GroupReply::ConsumerDescribe(Err(error)) = harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned()))
        else {
            panic!("described")
        };
        assert_eq!(error.message, format!("Group {GROUP} is not a consumer group."));
        let heartbeat = harness.ask(GroupRequest::ConsumerHeartbeat(heartbeat_848("m", 0)));
        let GroupReply::ConsumerHeartbeat(Err(error)) = heartbeat else { panic!("joined") };
        assert_eq!(error.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(harness.heartbeat("m", 1), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(harness.leave("m", None), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(harness.log.len(), records.len(), "nothing is written");
    }
}

#[test]
fn offsets_of_a_streams_group_stay_while_it_is_there() {
    let mut harness = left_by_kafka(&STREAMS);
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(harness.commit(commit("m", 2, 6)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    harness.pass(MONTH_MS);
    harness.reload();
    assert_eq!((harness.committed(), types(&mut harness, &[])), (5, vec!["streams"]));
    assert_eq!(harness.fetch(Some("m"), 2, uuid::Uuid::nil()), Err(ErrorCode::UNKNOWN_MEMBER_ID));

    harness.log.push(NewGroupRecord { key: bytes("0011000567726f7570"), value: None });
    harness.log.push(NewGroupRecord { key: bytes("0017000567726f7570"), value: None });
    harness.reload();
    assert_eq!((harness.committed(), types(&mut harness, &[])), (5, vec!["classic"]), "Kafka has deleted the group");
    harness.pass(MONTH_MS);
    assert_eq!((harness.committed(), types(&mut harness, &[])), (-1, vec![]));
}

#[test]
fn a_streams_group_gives_way_to_a_classic_member_and_leaves_nothing() {
    let mut harness = left_by_kafka(&STREAMS);
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::NONE]));
    let (ids, _) = harness.stable_group(1);
    assert_eq!((harness.committed(), types(&mut harness, &[])), (5, vec!["classic"]));
    compact(&mut harness);
    assert_eq!((harness.committed(), types(&mut harness, &[])), (5, vec!["classic"]));
    assert_eq!(harness.leave(&ids[0], None), ErrorCode::NONE);
    harness.pass(MONTH_MS);
    compact(&mut harness);
    assert!(types(&mut harness, &[]).is_empty() && harness.log.is_empty());
}

#[test]
fn a_streams_group_is_deleted_with_all_its_records_in_the_order_that_kafka_can_replay() {
    let mut harness = left_by_kafka(&STREAMS);
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(delete_offsets(&mut harness), GroupReply::DeleteOffsets(Ok(vec![ErrorCode::NONE])));
    let before = harness.log.len();
    assert_eq!(harness.ask(GroupRequest::Delete(GROUP.to_owned())), GroupReply::Delete(ErrorCode::NONE));
    let tombstones: Vec<_> =
        harness.log[before..].iter().map(|record| (record.key[1], record.value.is_none())).collect();
    assert_eq!(tombstones, [23, 22, 21, 20, 19, 17].map(|record_type| (record_type, true)));
    assert!(types(&mut harness, &[]).is_empty());
    harness.reload();
    assert!(types(&mut harness, &[]).is_empty());
}

#[test]
fn a_share_group_neither_gives_way_nor_goes() {
    let mut harness = left_by_kafka(&SHARE);
    let token = harness.send(GroupRequest::Join(join("", &["range"])));
    let refused = harness.take_join(token).expect("answered at once");
    assert_eq!(refused.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(harness.commit(commit("", -1, 5)), Err(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(delete_offsets(&mut harness), GroupReply::DeleteOffsets(Err(ErrorCode::GROUP_ID_NOT_FOUND)));
    assert_eq!(harness.ask(GroupRequest::Delete(GROUP.to_owned())), GroupReply::Delete(ErrorCode::NON_EMPTY_GROUP));
    assert_eq!(harness.log.len(), SHARE.len(), "nothing is written");
    harness.log.push(NewGroupRecord { key: bytes("000b000567726f7570"), value: None });
    harness.reload();
    assert!(types(&mut harness, &[]).is_empty(), "Kafka has deleted the group");
}
