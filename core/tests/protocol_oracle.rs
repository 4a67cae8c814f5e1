//! Every message has the bytes that the independent `kafka-protocol` crate writes for the same values, in every version
//! both know and in both directions; and damaged bytes are refused without a panic and without allocating.

#[path = "oracle/allocations.rs"]
mod allocations;
#[path = "oracle/sample.rs"]
mod sample;
#[path = "oracle/twin.rs"]
mod twin;
#[path = "oracle/twins.rs"]
mod twins;

use std::fmt::Debug;

use allocations::allocated_by;
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request, messages};
use ringlog_core::wire::{DecodeError, EncodeError, Message, Reader, Writer};
use sample::{Random, Sample};
use twin::Twin;

const SEEDS: u64 = 20;

fn encode<M: Message<'static>>(value: &M, version: i16) -> Result<&'static [u8], EncodeError> {
    let mut writer = Writer::new();
    value.encode(&mut writer, version);
    Ok(writer.finish()?.bytes.leak())
}

fn compare<M, Oracle>()
where
    M: Message<'static> + Sample + Twin<Oracle> + PartialEq + Debug,
    Oracle: Encodable + Decodable + kafka_protocol::protocol::Message + PartialEq + Debug,
{
    let theirs = Oracle::VERSIONS;
    let versions = (*M::VERSIONS.start()).max(theirs.min)..=(*M::VERSIONS.end()).min(theirs.max);
    assert!(!versions.is_empty());
    for version in versions {
        for seed in 0..SEEDS {
            for nulls in [true, false] {
                let mut random = Random::new(seed, nulls);
                let bytes = match encode(&M::sample(&mut random), version) {
                    Err(EncodeError::Null(_)) if nulls => continue,
                    bytes => bytes.unwrap_or_else(|error| panic!("version {version} seed {seed}: {error}")),
                };
                same_both_ways::<M, Oracle>(bytes, version);
                if seed < 4 {
                    refuses_damage::<M>(bytes, version, &mut random);
                }
            }
        }
    }
}

fn same_both_ways<M, Oracle>(bytes: &'static [u8], version: i16)
where
    M: Message<'static> + Twin<Oracle> + PartialEq + Debug,
    Oracle: Encodable + Decodable + PartialEq + Debug,
{
    let mut reader = Reader::new(bytes);
    let (value, allocated) = allocated_by(|| M::decode(&mut reader, version));
    let value = value.unwrap_or_else(|error| panic!("version {version}: {error}"));
    assert_eq!((reader.remaining(), allocated), (0, 0));
    assert_eq!(encode(&value, version), Ok(bytes));

    let oracle = value.twin();
    let mut their_bytes = BytesMut::new();
    oracle.encode(&mut their_bytes, version).unwrap_or_else(|error| panic!("version {version}: {error} {oracle:?}"));
    assert_eq!(their_bytes, bytes, "version {version} {value:?}");
    let read = Oracle::decode(&mut Bytes::from_static(bytes), version);
    assert_eq!(read.unwrap_or_else(|error| panic!("version {version}: {error}")), oracle);
}

fn refuses_damage<M: Message<'static> + PartialEq>(bytes: &'static [u8], version: i16, random: &mut Random) {
    let walk = |bytes: &'static [u8]| {
        // The comparison with itself walks every nested array.
        let (walked, allocated) =
            allocated_by(|| M::decode(&mut Reader::new(bytes), version).map(|value| M::eq(&value, &value)));
        assert_eq!(allocated, 0);
        walked
    };
    for len in 0..bytes.len() {
        assert!(walk(&bytes[..len]).is_err(), "version {version} cut at {len} of {}", bytes.len());
    }
    for _ in 0..16.min(bytes.len()) {
        let mut damaged = bytes.to_vec();
        for _ in 0..=random.below(2) {
            let at = random.below(damaged.len());
            damaged[at] = [0xff, 0x7f, 0x80, random.next() as u8][random.below(4)];
        }
        let _ = walk(damaged.leak());
    }
}

macro_rules! compare_all {
    ($($test:ident: $ours:ident as $module:ident :: $theirs:ident;)*) => {$(
        #[test]
        fn $test() {
            compare::<messages::$ours, kafka_protocol::messages::$module::$theirs>();
        }
    )*};
}

compare_all! {
    alter_client_quotas_request: AlterClientQuotasRequest as alter_client_quotas_request::AlterClientQuotasRequest;
    alter_client_quotas_response: AlterClientQuotasResponse as alter_client_quotas_response::AlterClientQuotasResponse;
    alter_configs_request: AlterConfigsRequest as alter_configs_request::AlterConfigsRequest;
    alter_configs_response: AlterConfigsResponse as alter_configs_response::AlterConfigsResponse;
    alter_partition_reassignments_request: AlterPartitionReassignmentsRequest as alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
    alter_partition_reassignments_response: AlterPartitionReassignmentsResponse as alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
    alter_replica_log_dirs_request: AlterReplicaLogDirsRequest as alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
    alter_replica_log_dirs_response: AlterReplicaLogDirsResponse as alter_replica_log_dirs_response::AlterReplicaLogDirsResponse;
    api_versions_request: ApiVersionsRequest as api_versions_request::ApiVersionsRequest;
    api_versions_response: ApiVersionsResponse as api_versions_response::ApiVersionsResponse;
    consumer_group_describe_request: ConsumerGroupDescribeRequest as consumer_group_describe_request::ConsumerGroupDescribeRequest;
    consumer_group_describe_response: ConsumerGroupDescribeResponse as consumer_group_describe_response::ConsumerGroupDescribeResponse;
    consumer_group_heartbeat_request: ConsumerGroupHeartbeatRequest as consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
    consumer_group_heartbeat_response: ConsumerGroupHeartbeatResponse as consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
    create_partitions_request: CreatePartitionsRequest as create_partitions_request::CreatePartitionsRequest;
    create_partitions_response: CreatePartitionsResponse as create_partitions_response::CreatePartitionsResponse;
    create_topics_request: CreateTopicsRequest as create_topics_request::CreateTopicsRequest;
    create_topics_response: CreateTopicsResponse as create_topics_response::CreateTopicsResponse;
    delete_groups_request: DeleteGroupsRequest as delete_groups_request::DeleteGroupsRequest;
    delete_groups_response: DeleteGroupsResponse as delete_groups_response::DeleteGroupsResponse;
    delete_records_request: DeleteRecordsRequest as delete_records_request::DeleteRecordsRequest;
    delete_records_response: DeleteRecordsResponse as delete_records_response::DeleteRecordsResponse;
    delete_topics_request: DeleteTopicsRequest as delete_topics_request::DeleteTopicsRequest;
    delete_topics_response: DeleteTopicsResponse as delete_topics_response::DeleteTopicsResponse;
    describe_client_quotas_request: DescribeClientQuotasRequest as describe_client_quotas_request::DescribeClientQuotasRequest;
    describe_client_quotas_response: DescribeClientQuotasResponse as describe_client_quotas_response::DescribeClientQuotasResponse;
    describe_cluster_request: DescribeClusterRequest as describe_cluster_request::DescribeClusterRequest;
    describe_cluster_response: DescribeClusterResponse as describe_cluster_response::DescribeClusterResponse;
    describe_configs_request: DescribeConfigsRequest as describe_configs_request::DescribeConfigsRequest;
    describe_configs_response: DescribeConfigsResponse as describe_configs_response::DescribeConfigsResponse;
    describe_groups_request: DescribeGroupsRequest as describe_groups_request::DescribeGroupsRequest;
    describe_groups_response: DescribeGroupsResponse as describe_groups_response::DescribeGroupsResponse;
    describe_log_dirs_request: DescribeLogDirsRequest as describe_log_dirs_request::DescribeLogDirsRequest;
    describe_log_dirs_response: DescribeLogDirsResponse as describe_log_dirs_response::DescribeLogDirsResponse;
    describe_producers_request: DescribeProducersRequest as describe_producers_request::DescribeProducersRequest;
    describe_producers_response: DescribeProducersResponse as describe_producers_response::DescribeProducersResponse;
    describe_quorum_request: DescribeQuorumRequest as describe_quorum_request::DescribeQuorumRequest;
    describe_quorum_response: DescribeQuorumResponse as describe_quorum_response::DescribeQuorumResponse;
    describe_topic_partitions_request: DescribeTopicPartitionsRequest as describe_topic_partitions_request::DescribeTopicPartitionsRequest;
    describe_topic_partitions_response: DescribeTopicPartitionsResponse as describe_topic_partitions_response::DescribeTopicPartitionsResponse;
    describe_user_scram_credentials_request: DescribeUserScramCredentialsRequest as describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest;
    describe_user_scram_credentials_response: DescribeUserScramCredentialsResponse as describe_user_scram_credentials_response::DescribeUserScramCredentialsResponse;
    elect_leaders_request: ElectLeadersRequest as elect_leaders_request::ElectLeadersRequest;
    elect_leaders_response: ElectLeadersResponse as elect_leaders_response::ElectLeadersResponse;
    fetch_request: FetchRequest as fetch_request::FetchRequest;
    fetch_response: FetchResponse as fetch_response::FetchResponse;
    find_coordinator_request: FindCoordinatorRequest as find_coordinator_request::FindCoordinatorRequest;
    find_coordinator_response: FindCoordinatorResponse as find_coordinator_response::FindCoordinatorResponse;
    heartbeat_request: HeartbeatRequest as heartbeat_request::HeartbeatRequest;
    heartbeat_response: HeartbeatResponse as heartbeat_response::HeartbeatResponse;
    incremental_alter_configs_request: IncrementalAlterConfigsRequest as incremental_alter_configs_request::IncrementalAlterConfigsRequest;
    incremental_alter_configs_response: IncrementalAlterConfigsResponse as incremental_alter_configs_response::IncrementalAlterConfigsResponse;
    init_producer_id_request: InitProducerIdRequest as init_producer_id_request::InitProducerIdRequest;
    init_producer_id_response: InitProducerIdResponse as init_producer_id_response::InitProducerIdResponse;
    join_group_request: JoinGroupRequest as join_group_request::JoinGroupRequest;
    join_group_response: JoinGroupResponse as join_group_response::JoinGroupResponse;
    leave_group_request: LeaveGroupRequest as leave_group_request::LeaveGroupRequest;
    leave_group_response: LeaveGroupResponse as leave_group_response::LeaveGroupResponse;
    list_config_resources_request: ListConfigResourcesRequest as list_config_resources_request::ListConfigResourcesRequest;
    list_config_resources_response: ListConfigResourcesResponse as list_config_resources_response::ListConfigResourcesResponse;
    list_groups_request: ListGroupsRequest as list_groups_request::ListGroupsRequest;
    list_groups_response: ListGroupsResponse as list_groups_response::ListGroupsResponse;
    list_offsets_request: ListOffsetsRequest as list_offsets_request::ListOffsetsRequest;
    list_offsets_response: ListOffsetsResponse as list_offsets_response::ListOffsetsResponse;
    list_partition_reassignments_request: ListPartitionReassignmentsRequest as list_partition_reassignments_request::ListPartitionReassignmentsRequest;
    list_partition_reassignments_response: ListPartitionReassignmentsResponse as list_partition_reassignments_response::ListPartitionReassignmentsResponse;
    metadata_request: MetadataRequest as metadata_request::MetadataRequest;
    metadata_response: MetadataResponse as metadata_response::MetadataResponse;
    offset_commit_request: OffsetCommitRequest as offset_commit_request::OffsetCommitRequest;
    offset_commit_response: OffsetCommitResponse as offset_commit_response::OffsetCommitResponse;
    offset_delete_request: OffsetDeleteRequest as offset_delete_request::OffsetDeleteRequest;
    offset_delete_response: OffsetDeleteResponse as offset_delete_response::OffsetDeleteResponse;
    offset_fetch_request: OffsetFetchRequest as offset_fetch_request::OffsetFetchRequest;
    offset_fetch_response: OffsetFetchResponse as offset_fetch_response::OffsetFetchResponse;
    offset_for_leader_epoch_request: OffsetForLeaderEpochRequest as offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
    offset_for_leader_epoch_response: OffsetForLeaderEpochResponse as offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
    produce_request: ProduceRequest as produce_request::ProduceRequest;
    produce_response: ProduceResponse as produce_response::ProduceResponse;
    sync_group_request: SyncGroupRequest as sync_group_request::SyncGroupRequest;
    sync_group_response: SyncGroupResponse as sync_group_response::SyncGroupResponse;
    update_features_request: UpdateFeaturesRequest as update_features_request::UpdateFeaturesRequest;
    update_features_response: UpdateFeaturesResponse as update_features_response::UpdateFeaturesResponse;
}

#[test]
fn headers() {
    for key in ApiKey::ALL {
        let Ok(theirs) = kafka_protocol::messages::ApiKey::try_from(*key as i16) else { continue };
        let known = theirs.valid_versions();
        for version in key.versions().into_iter().flatten().filter(|version| (known.min..=known.max).contains(version))
        {
            assert_eq!(
                key.request_header_version(version),
                theirs.request_header_version(version),
                "{key:?} {version}"
            );
            assert_eq!(
                key.response_header_version(version),
                theirs.response_header_version(version),
                "{key:?} {version}"
            );
        }
    }
    for (client_id, api_version) in [(None, 0), (Some("client"), 8), (None, 9), (Some(""), 12), (Some("ключ"), 13)]
    {
        let header = RequestHeader { api_key: ApiKey::Metadata, api_version, correlation_id: -5, client_id };
        let mut writer = Writer::new();
        header.encode(&mut writer);
        let bytes = writer.finish().expect("a short name").bytes;
        let mut theirs = kafka_protocol::messages::RequestHeader::default();
        (theirs.request_api_key, theirs.request_api_version, theirs.correlation_id) = (3, api_version, -5);
        theirs.client_id = client_id.twin();
        let mut their_bytes = BytesMut::new();
        let header_version = ApiKey::Metadata.request_header_version(api_version);
        theirs.encode(&mut their_bytes, header_version).expect("a valid header");
        assert_eq!(their_bytes, bytes);
        assert_eq!(RequestHeader::decode(&mut Reader::new(&bytes)), Ok(header));
    }
    assert_eq!(RequestHeader::decode(&mut Reader::new(&[0x03, 0xe7, 0, 0])), Err(DecodeError::ApiKey(999)));
    let header = ResponseHeader::decode(&mut Reader::new(&[0, 0, 0, 7, 0]), ApiKey::Fetch, 12);
    assert_eq!(header, Ok(ResponseHeader { correlation_id: 7 }));
}

#[test]
fn a_frame_counts_record_data_that_lies_elsewhere() {
    use ringlog_core::wire::{Records, Segment};
    let data = [0xab; 77];
    let request = |records| messages::ProduceRequest {
        topic_data: vec![messages::TopicProduceData {
            name: "t",
            partition_data: vec![messages::PartitionProduceData { index: 3, records: Some(records) }].into(),
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    };
    for api_version in 3..=12 {
        let header = RequestHeader { api_key: ApiKey::Produce, api_version, correlation_id: 1, client_id: None };
        let whole = encode_request(Vec::new(), &header, &request(Records::Bytes(&data))).expect("small");
        let parted = encode_request(vec![9], &header, &request(Records::Elsewhere { size_bytes: 77 })).expect("small");
        assert_eq!(parted.size_bytes(), whole.size_bytes() + 1);
        let mut joined = Vec::new();
        for segment in parted.into_segments() {
            match segment {
                Segment::Bytes(bytes) => joined.extend_from_slice(&bytes),
                Segment::Elsewhere { size_bytes } => joined.extend_from_slice(&data[..size_bytes]),
            }
        }
        assert_eq!(joined[1..], whole.bytes);
        assert_eq!(joined[1..5], ((joined.len() - 5) as u32).to_be_bytes());
    }
}

#[test]
fn huge_counts_cost_nothing() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    let (error, allocated) = allocated_by(|| messages::MetadataRequest::decode(&mut Reader::new(&huge), 0).err());
    assert_eq!((error, allocated), (Some(DecodeError::Count { count: i32::MAX as usize, left: 0 }), 0));

    // Ten million empty names: legal bytes.
    let mut bytes = 10_000_000i32.to_be_bytes().to_vec();
    bytes.resize(4 + 20_000_000, 0);
    let (count, allocated) = allocated_by(|| {
        let request = messages::MetadataRequest::decode(&mut Reader::new(&bytes), 0).expect("legal");
        request.topics.expect("not null").iter().count()
    });
    assert_eq!((count, allocated), (10_000_000, 0));
}

#[test]
fn record_data_is_a_slice_of_the_frame() {
    let mut writer = Writer::new();
    let data = [1, 2, 3];
    let partition =
        messages::PartitionProduceData { index: 0, records: Some(ringlog_core::wire::Records::Bytes(&data)) };
    let topic = messages::TopicProduceData { name: "t", partition_data: vec![partition].into(), ..Default::default() };
    messages::ProduceRequest { topic_data: vec![topic].into(), ..Default::default() }.encode(&mut writer, 11);
    let frame = Bytes::from(writer.finish().expect("small").bytes);
    let request = messages::ProduceRequest::decode(&mut Reader::new(&frame), 11).expect("own bytes");
    let records: Vec<Bytes> = request
        .topic_data
        .iter()
        .flat_map(|topic| topic.partition_data.iter().collect::<Vec<_>>())
        .filter_map(|partition| Some(frame.slice_ref(partition.records?.bytes())))
        .collect();
    assert_eq!(records, [Bytes::copy_from_slice(&data)]);
}

#[test]
fn partitions_of_a_produce_response_are_read_as_the_decoded_response_has_them() {
    for version in messages::ProduceResponse::VERSIONS {
        for seed in 0..SEEDS {
            let response = messages::ProduceResponse::sample(&mut Random::new(seed, false));
            let bytes = encode(&response, version).expect("nothing is null");
            let decoded = messages::ProduceResponse::decode(&mut Reader::new(bytes), version).expect("own bytes");
            let expected: Vec<_> = decoded
                .responses
                .iter()
                .flat_map(|topic| topic.partition_responses.iter().collect::<Vec<_>>())
                .map(|partition| messages::ProducedPartition {
                    index: partition.index,
                    error_code: partition.error_code,
                    base_offset: partition.base_offset,
                    error_message: partition.error_message,
                })
                .collect();
            let mut partitions = Vec::with_capacity(expected.len());
            let mut reader = Reader::new(bytes);
            let (read, allocated) = allocated_by(|| {
                messages::ProduceResponse::read_partitions(&mut reader, version, |partition| partitions.push(partition))
            });
            assert_eq!((read, reader.remaining(), allocated), (Ok(()), 0, 0), "version {version} seed {seed}");
            assert_eq!(partitions, expected, "version {version} seed {seed}");
            for len in 0..bytes.len() {
                let mut cut = Reader::new(&bytes[..len]);
                let read = messages::ProduceResponse::read_partitions(&mut cut, version, drop);
                assert!(read.is_err(), "version {version} seed {seed} cut at {len}");
            }
        }
    }
}

#[test]
fn partitions_of_a_produce_request_are_read_as_the_decoded_request_has_them() {
    for version in messages::ProduceRequest::VERSIONS {
        for seed in 0..SEEDS {
            let request = messages::ProduceRequest::sample(&mut Random::new(seed, false));
            let Ok(bytes) = encode(&request, version) else { continue };
            let decoded = messages::ProduceRequest::decode(&mut Reader::new(bytes), version).expect("own bytes");
            let mut expected = Vec::new();
            for topic in &decoded.topic_data {
                expected.extend(topic.partition_data.iter().map(|data| (topic.name, topic.topic_id, data)));
            }
            let mut partitions = Vec::with_capacity(expected.len());
            let mut reader = Reader::new(bytes);
            let (acks, allocated) = allocated_by(|| {
                messages::ProduceRequest::read_partitions(&mut reader, version, |name, id, data| {
                    partitions.push((name, id, data));
                })
            });
            assert_eq!(
                (acks, reader.remaining(), allocated),
                (Ok(decoded.acks), 0, 0),
                "version {version} seed {seed}"
            );
            assert_eq!(partitions, expected, "version {version} seed {seed}");
            for len in 0..bytes.len() {
                let mut cut = Reader::new(&bytes[..len]);
                let read = messages::ProduceRequest::read_partitions(&mut cut, version, |_, _, _| {});
                assert!(read.is_err(), "version {version} seed {seed} cut at {len}");
            }
        }
    }
}
