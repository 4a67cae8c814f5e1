//! The records of `__consumer_offsets` have the bytes that Apache Kafka 4.3.1 writes for the same values.

use ringlog_core::protocol::consumer_offsets::*;
use ringlog_core::wire::Array;
use uuid::Uuid;

const GOLDEN: &str = include_str!("golden/consumer_offsets_records.txt");

/// The rows of one key or value, in the order of the file.
fn rows(name: &str) -> Vec<&'static [u8]> {
    let parse = |line: &str| {
        let (_version, hex) = line.split_once(' ').expect("name, version, bytes");
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        &*(0..hex.len()).step_by(2).map(digits).collect::<Vec<u8>>().leak()
    };
    GOLDEN.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(parse)).collect()
}

fn uuid(last: u8) -> Uuid {
    Uuid::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, last])
}

/// Reads the row at `index` with its key and compares; returns the bytes that we write for the same record.
fn read(name: &str, index: usize, record: &CoordinatorRecord<'_>) -> (Vec<u8>, Option<Vec<u8>>) {
    let (key, value) = (rows(&format!("{name}Key"))[0], rows(&format!("{name}Value"))[index]);
    let read = CoordinatorRecord::decode(key, Some(value)).unwrap_or_else(|error| panic!("{name} {index}: {error}"));
    assert_eq!(read.as_ref(), Some(record), "{name} {index}");
    for len in 0..value.len() {
        assert!(CoordinatorRecord::decode(key, Some(&value[..len])).is_err(), "{name} {index} cut at {len}");
    }
    let tombstone = CoordinatorRecord::decode(key, None).expect("a key").expect("a known type").encode();
    assert_eq!(tombstone, Ok((key.to_vec(), None)));
    record.encode().expect("the values fit")
}

/// The same, and the bytes written are those of the row.
fn same(name: &str, index: usize, record: CoordinatorRecord<'_>) {
    let (key, value) = read(name, index, &record);
    assert_eq!(key, rows(&format!("{name}Key"))[0], "{name}");
    assert_eq!(value.as_deref(), Some(rows(&format!("{name}Value"))[index]), "{name} {index}");
}

#[test]
fn offsets() {
    for version in 0..5 {
        let key = OffsetCommitKey { group: "g", topic: "t", partition: 3 };
        let value = OffsetCommitValue {
            offset: 77,
            leader_epoch: if version >= 3 { 5 } else { -1 },
            metadata: "m",
            commit_timestamp: 1000,
            expire_timestamp: if version == 1 { 2000 } else { -1 },
            topic_id: if version >= 4 { uuid(1) } else { Uuid::nil() },
        };
        let record = CoordinatorRecord::OffsetCommit(key, Some(value));
        match version {
            1 | 4 => same("OffsetCommit", version, record),
            _ => _ = read("OffsetCommit", version, &record),
        }
    }
    // Type 0, of the oldest brokers, has the same fields.
    let legacy = CoordinatorRecord::decode(&[0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3], None);
    let key = OffsetCommitKey { group: "g", topic: "t", partition: 3 };
    assert_eq!(legacy, Ok(Some(CoordinatorRecord::OffsetCommit(key, None))));
    assert_eq!(CoordinatorRecord::decode(&[0, 99, 1, 2], None), Ok(None));
}

#[test]
fn classic_groups() {
    for version in 0..5 {
        let member = GroupMetadataMember {
            member_id: "c-1",
            group_instance_id: (version >= 3).then_some("i"),
            client_id: "c",
            client_host: "/127.0.0.1",
            rebalance_timeout: if version >= 1 { 300_000 } else { -1 },
            session_timeout: 45_000,
            subscription: &[1, 2],
            assignment: &[3],
        };
        let value = GroupMetadataValue {
            protocol_type: "consumer",
            generation: 4,
            protocol: Some("range"),
            leader: Some("c-1"),
            current_state_timestamp: if version >= 2 { 1000 } else { -1 },
            members: vec![member].into(),
        };
        let record = CoordinatorRecord::GroupMetadata(GroupMetadataKey { group: "g" }, Some(value));
        match version {
            3 => same("GroupMetadata", version, record),
            _ => _ = read("GroupMetadata", version, &record),
        }
    }
    let empty = GroupMetadataValue { protocol: None, leader: None, ..Default::default() };
    same("GroupMetadata", 5, CoordinatorRecord::GroupMetadata(GroupMetadataKey { group: "g" }, Some(empty)));
}

#[test]
fn consumer_groups() {
    let key = || ConsumerGroupMetadataKey { group_id: "g" };
    for (index, metadata_hash) in [(0, 123_456_789), (1, 0)] {
        let value = ConsumerGroupMetadataValue { epoch: 9, metadata_hash };
        same("ConsumerGroupMetadata", index, CoordinatorRecord::ConsumerGroupMetadata(key(), Some(value)));
    }
    let partition = PartitionMetadata { partition: 1, racks: vec!["r"].into() };
    let topic = TopicMetadata {
        topic_id: uuid(1),
        topic_name: "t",
        num_partitions: 2,
        partition_metadata: vec![partition].into(),
    };
    let record = CoordinatorRecord::ConsumerGroupPartitionMetadata(
        ConsumerGroupPartitionMetadataKey { group_id: "g" },
        Some(ConsumerGroupPartitionMetadataValue { topics: vec![topic].into() }),
    );
    same("ConsumerGroupPartitionMetadata", 0, record);
    let record = CoordinatorRecord::ConsumerGroupRegularExpression(
        ConsumerGroupRegularExpressionKey { group_id: "g", regular_expression: "t.*" },
        Some(ConsumerGroupRegularExpressionValue { topics: vec!["t"].into(), version: 8, timestamp: 1000 }),
    );
    same("ConsumerGroupRegularExpression", 0, record);
}

#[test]
fn members_of_consumer_groups() {
    let protocol = ClassicProtocol { name: "range", metadata: &[1] };
    let classic = ClassicMemberMetadata { session_timeout_ms: 45_000, supported_protocols: vec![protocol].into() };
    for (index, classic_member_metadata) in [(0, Some(ClassicMemberMetadata::default())), (1, Some(classic))] {
        let first = index == 0;
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: first.then_some("i"),
            rack_id: (!first).then_some("r"),
            client_id: "c",
            client_host: "/127.0.0.1",
            subscribed_topic_names: vec!["t"].into(),
            subscribed_topic_regex: first.then_some("x"),
            rebalance_timeout_ms: 60_000,
            server_assignor: first.then_some("uniform"),
            classic_member_metadata,
        };
        let key = ConsumerGroupMemberMetadataKey { group_id: "g", member_id: "m" };
        let record = CoordinatorRecord::ConsumerGroupMemberMetadata(key, Some(value));
        same("ConsumerGroupMemberMetadata", index, record);
    }
    // As a Kafka 4.3.1 broker wrote it: null is not the default and is written.
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: None,
        client_id: "rdkafka",
        client_host: "/127.0.0.1",
        subscribed_topic_names: vec!["tk"].into(),
        subscribed_topic_regex: Some(""),
        rebalance_timeout_ms: 300_000,
        server_assignor: None,
        classic_member_metadata: None,
    };
    let key = ConsumerGroupMemberMetadataKey { group_id: "g", member_id: "m" };
    same("ConsumerGroupMemberMetadata", 2, CoordinatorRecord::ConsumerGroupMemberMetadata(key, Some(value)));
    let assigned = AssignedTopicPartitions {
        topic_id: uuid(1),
        partitions: vec![0, 1].into(),
        assignment_epochs: Some(vec![2, 3].into()),
    };
    let pending = AssignedTopicPartitions { topic_id: uuid(2), partitions: vec![7].into(), assignment_epochs: None };
    let record = CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(
        ConsumerGroupCurrentMemberAssignmentKey { group_id: "g", member_id: "m" },
        Some(ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: 3,
            previous_member_epoch: 2,
            state: 1,
            assigned_partitions: vec![assigned].into(),
            partitions_pending_revocation: vec![pending].into(),
        }),
    );
    same("ConsumerGroupCurrentMemberAssignment", 0, record);
}

#[test]
fn target_assignments() {
    let record = CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(
        ConsumerGroupTargetAssignmentMetadataKey { group_id: "g" },
        Some(ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: 3, assignment_timestamp: 1000 }),
    );
    same("ConsumerGroupTargetAssignmentMetadata", 0, record);
    let partitions = TargetTopicPartitions { topic_id: uuid(1), partitions: Array::from(vec![0, 1]) };
    let record = CoordinatorRecord::ConsumerGroupTargetAssignmentMember(
        ConsumerGroupTargetAssignmentMemberKey { group_id: "g", member_id: "m" },
        Some(ConsumerGroupTargetAssignmentMemberValue { topic_partitions: vec![partitions].into() }),
    );
    same("ConsumerGroupTargetAssignmentMember", 0, record);
}
