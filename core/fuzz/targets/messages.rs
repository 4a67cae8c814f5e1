//! Every request and response in every version: what decodes is written again, and reads back as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::protocol::{RequestHeader, messages::*};
use ringlog_core::wire::{Message, Reader, Writer};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (message, version, bytes) = input;
    let _ = RequestHeader::decode(&mut Reader::new(bytes));
    BOTH_WAYS[usize::from(message) % BOTH_WAYS.len()](bytes, version);
});

macro_rules! both_ways {
    ($($message:ident,)*) => {
        const BOTH_WAYS: &[fn(&[u8], u8)] = &[$(|bytes, version| {
            let versions = <$message>::VERSIONS;
            let version = versions.start() + i16::from(version) % (versions.end() - versions.start() + 1);
            let Ok(value) = <$message>::decode(&mut Reader::new(bytes), version) else { return };
            let mut writer = Writer::new();
            value.encode(&mut writer, version);
            let written = writer.finish().expect("what was read can be written").bytes;
            // Fewer where unknown tagged fields were skipped or an integer was longer than it need be.
            assert!(written.len() <= bytes.len());
            let mut reader = Reader::new(&written);
            let again = <$message>::decode(&mut reader, version).expect("own bytes are read");
            // Not a number is unequal to itself.
            assert!(again == value || format!("{again:?}") == format!("{value:?}"));
            assert_eq!(reader.remaining(), 0);
        }),*];
    };
}

#[rustfmt::skip]
both_ways! {
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterConfigsRequest, AlterConfigsResponse,
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse, ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeClusterRequest, DescribeClusterResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest, DescribeProducersResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, ElectLeadersRequest, ElectLeadersResponse, FetchRequest, FetchResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, InitProducerIdRequest, InitProducerIdResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
    ListGroupsRequest, ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse, SyncGroupRequest, SyncGroupResponse,
    UpdateFeaturesRequest, UpdateFeaturesResponse,
}
