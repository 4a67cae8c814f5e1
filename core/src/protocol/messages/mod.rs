//! One file per API, request and response, with the names and the order of Kafka's definitions.
//!
//! The files keep one field per line, so rustfmt leaves them alone.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its protocol guide")]

#[rustfmt::skip]
mod alter_client_quotas;
#[rustfmt::skip]
mod alter_configs;
#[rustfmt::skip]
mod alter_partition_reassignments;
#[rustfmt::skip]
mod alter_replica_log_dirs;
#[rustfmt::skip]
mod api_versions;
#[rustfmt::skip]
mod consumer_group_describe;
#[rustfmt::skip]
mod consumer_group_heartbeat;
#[rustfmt::skip]
mod create_partitions;
#[rustfmt::skip]
mod create_topics;
#[rustfmt::skip]
mod delete_groups;
#[rustfmt::skip]
mod delete_records;
#[rustfmt::skip]
mod delete_topics;
#[rustfmt::skip]
mod describe_client_quotas;
#[rustfmt::skip]
mod describe_cluster;
#[rustfmt::skip]
mod describe_configs;
#[rustfmt::skip]
mod describe_groups;
#[rustfmt::skip]
mod describe_log_dirs;
#[rustfmt::skip]
mod describe_producers;
#[rustfmt::skip]
mod describe_quorum;
#[rustfmt::skip]
mod describe_topic_partitions;
#[rustfmt::skip]
mod describe_user_scram_credentials;
#[rustfmt::skip]
mod elect_leaders;
#[rustfmt::skip]
mod fetch;
#[rustfmt::skip]
mod find_coordinator;
#[rustfmt::skip]
mod heartbeat;
#[rustfmt::skip]
mod incremental_alter_configs;
#[rustfmt::skip]
mod init_producer_id;
#[rustfmt::skip]
mod join_group;
#[rustfmt::skip]
mod leave_group;
#[rustfmt::skip]
mod list_config_resources;
#[rustfmt::skip]
mod list_groups;
#[rustfmt::skip]
mod list_offsets;
#[rustfmt::skip]
mod list_partition_reassignments;
#[rustfmt::skip]
mod metadata;
#[rustfmt::skip]
mod offset_commit;
#[rustfmt::skip]
mod offset_delete;
#[rustfmt::skip]
mod offset_fetch;
#[rustfmt::skip]
mod offset_for_leader_epoch;
#[rustfmt::skip]
mod produce;
#[rustfmt::skip]
mod shared;
#[rustfmt::skip]
mod sync_group;
#[rustfmt::skip]
mod update_features;

pub use alter_client_quotas::{
    AlterClientQuotasEntity, AlterClientQuotasEntityResult, AlterClientQuotasEntry, AlterClientQuotasEntryResult,
    AlterClientQuotasOp, AlterClientQuotasRequest, AlterClientQuotasResponse,
};
pub use alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse, AlterableConfig,
};
pub use alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopic, ReassignableTopicResponse,
};
pub use alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopic, AlterReplicaLogDirTopicResult,
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
};
pub use api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey};
pub use consumer_group_describe::{
    ConsumerGroupDescribeAssignment, ConsumerGroupDescribeMember, ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse, ConsumerGroupDescribeTopicPartitions, ConsumerGroupDescribedGroup,
};
pub use consumer_group_heartbeat::{
    ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatTopicPartitions,
};
pub use create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
pub use create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs, CreatableTopicResult,
    CreateTopicsRequest, CreateTopicsResponse,
};
pub use delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
pub use delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, DeleteRecordsTopicResult,
};
pub use delete_topics::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
pub use describe_client_quotas::{
    DescribeClientQuotasComponent, DescribeClientQuotasEntity, DescribeClientQuotasEntry, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeClientQuotasValue,
};
pub use describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};
pub use describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
pub use describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember};
pub use describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
pub use describe_producers::{
    DescribeProducersPartition, DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopic,
    DescribeProducersTopicResponse, DescribedProducer,
};
pub use describe_quorum::{
    DescribeQuorumPartition, DescribeQuorumPartitionResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeQuorumTopic, DescribeQuorumTopicResponse, QuorumListener, QuorumNode, QuorumReplicaState,
};
pub use describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic, DescribeTopicPartitionsTopic, NextCursor,
};
pub use describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
    ScramCredentialInfo, UserName,
};
pub use elect_leaders::{
    ElectLeadersPartitionResult, ElectLeadersRequest, ElectLeadersResponse, ElectLeadersTopic, ReplicaElectionResult,
};
pub use fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, ForgottenTopic, PartitionData, ReplicaState, SnapshotId,
};
pub use find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
pub use heartbeat::{HeartbeatRequest, HeartbeatResponse};
pub use incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse, IncrementalAlterableConfig,
};
pub use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, JoinGroupResponseMember};
pub use leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse};
pub use list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse, ListedConfigResource};
pub use list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
pub use list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListOffsetsTopicResponse,
};
pub use list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, ListPartitionReassignmentsTopics,
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
pub use metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
pub use offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
pub use offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
pub use offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
pub use offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderPartitionResult, OffsetForLeaderTopic, OffsetForLeaderTopicResult,
};
pub use produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    ProducedPartition, TopicProduceData, TopicProduceResponse,
};
pub use shared::{LeaderIdAndEpoch, NodeEndpoint};
pub use sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
pub use update_features::{FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse};
