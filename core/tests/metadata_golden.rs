//! Metadata and control records have the bytes that Apache Kafka 4.3.1 writes for the same values.

use ringlog_core::protocol::metadata::*;
use ringlog_core::wire::{Array, Message, Reader, Writer};
use uuid::Uuid;

const GOLDEN: &str = include_str!("golden/metadata_records.txt");

/// The rows of one record, in the order of the file.
fn rows(name: &str) -> Vec<(i16, Vec<u8>)> {
    let parse = |line: &str| {
        let (version, hex) = line.split_once(' ').expect("name, version, bytes");
        let bytes =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
        (version.parse().expect("a version"), bytes)
    };
    GOLDEN.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(parse)).collect()
}

fn uuid(last: u8) -> Uuid {
    Uuid::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, last])
}

fn bytes_of(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.finish().expect("the values fit the version").bytes
}

/// Compares both directions with the row at `index`.
fn same(name: &str, index: usize, record: impl Into<MetadataRecord<'static>>) {
    let record = record.into();
    let (version, golden) = rows(name).swap_remove(index);
    assert_eq!(bytes_of(|writer| record.encode(writer, version)), golden, "{name} {version}");
    let read = MetadataRecord::decode(&golden).unwrap_or_else(|error| panic!("{name} {version}: {error}"));
    assert_eq!(format!("{read:?}"), format!("{record:?}"));
    assert_eq!(bytes_of(|writer| read.encode(writer, version)), golden);
    for len in 0..golden.len() {
        assert!(MetadataRecord::decode(&golden[..len]).is_err(), "{name} {version} cut at {len}");
    }
}

/// The same for control records, which have no frame.
fn same_control<'a, M: Message<'a> + PartialEq + std::fmt::Debug>(name: &str, index: usize, record: M) {
    let (version, golden) = rows(name).swap_remove(index);
    let golden: &'static [u8] = golden.leak();
    assert_eq!(bytes_of(|writer| record.encode(writer, version)), golden, "{name} {version}");
    assert_eq!(M::decode(&mut Reader::new(golden), version), Ok(record));
}

#[test]
fn topics_and_settings() {
    same("FeatureLevelRecord", 0, FeatureLevelRecord { name: "metadata.version", feature_level: 30 });
    let config = ConfigRecord { resource_type: 2, resource_name: "foo", name: "retention.ms", value: Some("1000") };
    same("ConfigRecord", 0, config);
    same("ConfigRecord", 1, ConfigRecord { resource_type: 4, resource_name: "", name: "x", value: None });
    same("TopicRecord", 0, TopicRecord { name: "foo", topic_id: uuid(1) });
    same("RemoveTopicRecord", 0, RemoveTopicRecord { topic_id: uuid(1) });
    same("ClearElrRecord", 0, ClearElrRecord { topic_name: "foo" });
    same("ZkMigrationStateRecord", 0, ZkMigrationStateRecord { zk_migration_state: 0 });
}

#[test]
fn partitions() {
    for version in 0..3 {
        let directories = if version > 0 { vec![uuid(2), uuid(3)] } else { vec![] };
        let elr = |ids: &[i32]| (version > 1).then(|| Array::from(ids.to_vec()));
        let partition = PartitionRecord {
            partition_id: 5,
            topic_id: uuid(1),
            replicas: vec![1, 2].into(),
            isr: vec![1].into(),
            removing_replicas: Array::default(),
            adding_replicas: vec![2].into(),
            leader: 1,
            leader_recovery_state: 1,
            leader_epoch: 3,
            partition_epoch: 4,
            directories: directories.clone().into(),
            eligible_leader_replicas: elr(&[2]),
            last_known_elr: elr(&[]),
        };
        same("PartitionRecord", version, partition);
        let change = PartitionChangeRecord {
            partition_id: 5,
            topic_id: uuid(1),
            isr: Some(vec![1].into()),
            leader: 2,
            replicas: Some(vec![1, 2].into()),
            removing_replicas: Some(Array::default()),
            adding_replicas: Some(vec![300].into()),
            leader_recovery_state: 0,
            directories: (version > 0).then(|| directories.into()),
            eligible_leader_replicas: elr(&[2]),
            last_known_elr: elr(&[3]),
        };
        same("PartitionChangeRecord", version, change);
    }
    let unchanged = PartitionChangeRecord { partition_id: 5, topic_id: uuid(1), ..Default::default() };
    same("PartitionChangeRecord", 3, unchanged);
}

#[test]
fn registrations() {
    for version in 0..5 {
        let end_point = EndPoint { name: "PLAINTEXT", host: "h", port: 65000, security_protocol: 0 };
        let feature =
            SupportedFeature { name: "metadata.version", min_supported_version: 7, max_supported_version: 30 };
        let record = RegisterBrokerRecord {
            broker_id: 1,
            incarnation_id: uuid(4),
            broker_epoch: 9,
            end_points: vec![end_point].into(),
            features: vec![feature].into(),
            rack: (version % 2 == 0).then_some("r"),
            fenced: version < 2,
            in_controlled_shutdown: version > 0,
            log_dirs: if version > 2 { vec![uuid(5)].into() } else { Array::default() },
            cordoned_log_dirs: (version > 3).then(|| vec![uuid(5)].into()),
            ..Default::default()
        };
        same("RegisterBrokerRecord", version, record);
    }
    for version in 0..4 {
        let record = BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch: 9,
            fenced: -1,
            in_controlled_shutdown: i8::from(version > 0),
            log_dirs: if version > 1 { vec![uuid(5)].into() } else { Array::default() },
            cordoned_log_dirs: (version > 2).then(Array::default),
        };
        same("BrokerRegistrationChangeRecord", version, record);
    }
    let end_point = EndPoint { name: "CONTROLLER", host: "h", port: 9093, security_protocol: 0 };
    let feature = SupportedFeature { name: "kraft.version", min_supported_version: 0, max_supported_version: 1 };
    let record = RegisterControllerRecord {
        controller_id: 1,
        incarnation_id: uuid(6),
        zk_migration_ready: false,
        end_points: vec![end_point].into(),
        features: vec![feature].into(),
    };
    same("RegisterControllerRecord", 0, record);
    same("FenceBrokerRecord", 0, FenceBrokerRecord { id: 1, epoch: 9 });
    same("UnfenceBrokerRecord", 0, UnfenceBrokerRecord { id: 1, epoch: 9 });
    same("UnregisterBrokerRecord", 0, UnregisterBrokerRecord { broker_id: 1, broker_epoch: 9 });
    same("ProducerIdsRecord", 0, ProducerIdsRecord { broker_id: 1, broker_epoch: 9, next_producer_id: 1000 });
}

#[test]
fn transactions() {
    same("NoOpRecord", 0, NoOpRecord {});
    same("BeginTransactionRecord", 0, BeginTransactionRecord { name: Some("t") });
    same("BeginTransactionRecord", 1, BeginTransactionRecord { name: None });
    same("EndTransactionRecord", 0, EndTransactionRecord {});
    same("AbortTransactionRecord", 0, AbortTransactionRecord { reason: Some("r") });
}

#[test]
fn access() {
    let entry = AccessControlEntryRecord {
        id: uuid(7),
        resource_type: 2,
        resource_name: "foo",
        pattern_type: 3,
        principal: "User:a",
        host: "*",
        operation: 4,
        permission_type: 3,
    };
    same("AccessControlEntryRecord", 0, entry);
    same("RemoveAccessControlEntryRecord", 0, RemoveAccessControlEntryRecord { id: uuid(7) });
    let scram = UserScramCredentialRecord {
        name: "a",
        mechanism: 1,
        salt: &[1, 2],
        stored_key: &[3],
        server_key: &[4],
        iterations: 4096,
    };
    same("UserScramCredentialRecord", 0, scram);
    same("RemoveUserScramCredentialRecord", 0, RemoveUserScramCredentialRecord { name: "a", mechanism: 1 });
    let token = DelegationTokenRecord {
        owner: "o",
        requester: "q",
        renewers: vec!["x", "y"].into(),
        issue_timestamp: 1,
        max_timestamp: 2,
        expiration_timestamp: 3,
        token_id: "t",
    };
    same("DelegationTokenRecord", 0, token);
    same("RemoveDelegationTokenRecord", 0, RemoveDelegationTokenRecord { token_id: "t" });
    let entity = QuotaEntity { entity_type: "user", entity_name: None };
    let quota = ClientQuotaRecord { entity: vec![entity].into(), key: "producer_byte_rate", value: 1.5, remove: false };
    same("ClientQuotaRecord", 0, quota);
}

#[test]
fn control_records() {
    for version in 0..2u8 {
        let directory = if version > 0 { uuid(8) } else { Uuid::nil() };
        let voters = || vec![LeaderChangeVoter { voter_id: 1, voter_directory_id: directory }].into();
        let record = LeaderChangeMessage {
            version: i16::from(version),
            leader_id: 1,
            voters: voters(),
            granting_voters: voters(),
        };
        same_control("LeaderChangeMessage", usize::from(version), record);
    }
    same_control("KRaftVersionRecord", 0, KRaftVersionRecord { version: 0, kraft_version: 1 });
    let voter = Voter {
        voter_id: 1,
        voter_directory_id: uuid(8),
        endpoints: vec![VoterEndpoint { name: "CONTROLLER", host: "h", port: 9093 }].into(),
        kraft_version_feature: KRaftVersionFeature { min_supported_version: 0, max_supported_version: 1 },
    };
    same_control("VotersRecord", 0, VotersRecord { version: 0, voters: vec![voter].into() });
    same_control("SnapshotHeaderRecord", 0, SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: 77 });
    same_control("SnapshotFooterRecord", 0, SnapshotFooterRecord { version: 0 });
}

#[test]
fn versions_follow_the_metadata_version() {
    let record = MetadataRecord::from(PartitionRecord::default());
    assert_eq!([7, 16, 17, 22, 23, 30].map(|level| record.version_at(level)), [0, 0, 1, 1, 2, 2]);
    let record = MetadataRecord::from(RegisterBrokerRecord::default());
    assert_eq!([7, 8, 17, 29, 30].map(|level| record.version_at(level)), [1, 2, 3, 3, 4]);
    assert_eq!(record.latest_version(), 4);
}
