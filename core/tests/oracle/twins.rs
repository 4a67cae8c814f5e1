//! Which struct of `kafka-protocol` holds the same fields as which of ours.

#[rustfmt::skip]
use kafka_protocol::messages::{
    api_versions_request, api_versions_response, consumer_group_describe_request,
    consumer_group_describe_response, consumer_group_heartbeat_request, consumer_group_heartbeat_response,
    create_topics_request, create_topics_response, delete_groups_request, delete_groups_response,
    delete_topics_request, delete_topics_response, describe_cluster_request, describe_cluster_response,
    describe_groups_request, describe_groups_response, fetch_request, fetch_response, find_coordinator_request,
    find_coordinator_response, heartbeat_request, heartbeat_response, init_producer_id_request,
    init_producer_id_response, join_group_request, join_group_response, leave_group_request,
    leave_group_response, list_groups_request, list_groups_response, list_offsets_request,
    list_offsets_response, metadata_request, metadata_response, offset_commit_request, offset_commit_response,
    offset_delete_request, offset_delete_response, offset_fetch_request, offset_fetch_response, produce_request,
    produce_response, sync_group_request, sync_group_response,
};
use ringlog_core::protocol::messages::*;

use crate::sample::{Random, Sample};
use crate::twin::Twin;

macro_rules! twins {
    ($($ours:ty as $($module:ident :: $theirs:ident)|+ { $($field:ident),* };)*) => {$(
        impl Sample for $ours {
            #[allow(unused_variables, reason = "a message may have no field")]
            fn sample(random: &mut Random) -> Self {
                Self { $($field: Sample::sample(random)),* }
            }
        }

        twins!(@each $ours, [$($module::$theirs)+], [$($field),*]);
    )*};
    (@each $ours:ty, [], $fields:tt) => {};
    (@each $ours:ty, [$module:ident :: $theirs:ident $($rest:tt)*], [$($field:ident),*]) => {
        impl Twin<$module::$theirs> for $ours {
            fn twin(&self) -> $module::$theirs {
                let mut theirs = $module::$theirs::default();
                $(theirs.$field = self.$field.twin();)*
                theirs
            }
        }

        twins!(@each $ours, [$($rest)*], [$($field),*]);
    };
}

twins! {
    ApiVersionsRequest<'static> as api_versions_request::ApiVersionsRequest {
        client_software_name, client_software_version
    };
    ApiVersionsResponse<'static> as api_versions_response::ApiVersionsResponse {
        error_code, api_keys, throttle_time_ms, supported_features, finalized_features_epoch, finalized_features, zk_migration_ready
    };
    ApiVersion as api_versions_response::ApiVersion { api_key, min_version, max_version };
    SupportedFeatureKey<'static> as api_versions_response::SupportedFeatureKey { name, min_version, max_version };
    FinalizedFeatureKey<'static> as api_versions_response::FinalizedFeatureKey {
        name, max_version_level, min_version_level
    };
    CreateTopicsRequest<'static> as create_topics_request::CreateTopicsRequest { topics, timeout_ms, validate_only };
    CreatableTopic<'static> as create_topics_request::CreatableTopic {
        name, num_partitions, replication_factor, assignments, configs
    };
    CreatableReplicaAssignment<'static> as create_topics_request::CreatableReplicaAssignment {
        partition_index, broker_ids
    };
    CreatableTopicConfig<'static> as create_topics_request::CreatableTopicConfig { name, value };
    CreateTopicsResponse<'static> as create_topics_response::CreateTopicsResponse { throttle_time_ms, topics };
    CreatableTopicResult<'static> as create_topics_response::CreatableTopicResult {
        name, topic_id, error_code, error_message, topic_config_error_code, num_partitions, replication_factor, configs
    };
    CreatableTopicConfigs<'static> as create_topics_response::CreatableTopicConfigs {
        name, value, read_only, config_source, is_sensitive
    };
    DeleteTopicsRequest<'static> as delete_topics_request::DeleteTopicsRequest { topics, topic_names, timeout_ms };
    DeleteTopicState<'static> as delete_topics_request::DeleteTopicState { name, topic_id };
    DeleteTopicsResponse<'static> as delete_topics_response::DeleteTopicsResponse { throttle_time_ms, responses };
    DeletableTopicResult<'static> as delete_topics_response::DeletableTopicResult {
        name, topic_id, error_code, error_message
    };
    DescribeClusterRequest as describe_cluster_request::DescribeClusterRequest {
        include_cluster_authorized_operations, endpoint_type, include_fenced_brokers
    };
    DescribeClusterResponse<'static> as describe_cluster_response::DescribeClusterResponse {
        throttle_time_ms, error_code, error_message, endpoint_type, cluster_id, controller_id, brokers, cluster_authorized_operations
    };
    DescribeClusterBroker<'static> as describe_cluster_response::DescribeClusterBroker {
        broker_id, host, port, rack, is_fenced
    };
    FetchRequest<'static> as fetch_request::FetchRequest {
        cluster_id, replica_id, replica_state, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch, topics, forgotten_topics_data, rack_id
    };
    ReplicaState as fetch_request::ReplicaState { replica_id, replica_epoch };
    FetchTopic<'static> as fetch_request::FetchTopic { topic, topic_id, partitions };
    FetchPartition as fetch_request::FetchPartition {
        partition, current_leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset, partition_max_bytes, replica_directory_id, high_watermark
    };
    ForgottenTopic<'static> as fetch_request::ForgottenTopic { topic, topic_id, partitions };
    FetchResponse<'static> as fetch_response::FetchResponse {
        throttle_time_ms, error_code, session_id, responses, node_endpoints
    };
    FetchableTopicResponse<'static> as fetch_response::FetchableTopicResponse { topic, topic_id, partitions };
    PartitionData<'static> as fetch_response::PartitionData {
        partition_index, error_code, high_watermark, last_stable_offset, log_start_offset, diverging_epoch, current_leader, snapshot_id, aborted_transactions, preferred_read_replica, records
    };
    EpochEndOffset as fetch_response::EpochEndOffset { epoch, end_offset };
    SnapshotId as fetch_response::SnapshotId { end_offset, epoch };
    AbortedTransaction as fetch_response::AbortedTransaction { producer_id, first_offset };
    InitProducerIdRequest<'static> as init_producer_id_request::InitProducerIdRequest {
        transactional_id, transaction_timeout_ms, producer_id, producer_epoch
    };
    InitProducerIdResponse as init_producer_id_response::InitProducerIdResponse {
        throttle_time_ms, error_code, producer_id, producer_epoch
    };
    ListOffsetsRequest<'static> as list_offsets_request::ListOffsetsRequest {
        replica_id, isolation_level, topics, timeout_ms
    };
    ListOffsetsTopic<'static> as list_offsets_request::ListOffsetsTopic { name, partitions };
    ListOffsetsPartition as list_offsets_request::ListOffsetsPartition {
        partition_index, current_leader_epoch, timestamp
    };
    ListOffsetsResponse<'static> as list_offsets_response::ListOffsetsResponse { throttle_time_ms, topics };
    ListOffsetsTopicResponse<'static> as list_offsets_response::ListOffsetsTopicResponse { name, partitions };
    ListOffsetsPartitionResponse as list_offsets_response::ListOffsetsPartitionResponse {
        partition_index, error_code, timestamp, offset, leader_epoch
    };
    MetadataRequest<'static> as metadata_request::MetadataRequest {
        topics, allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations
    };
    MetadataRequestTopic<'static> as metadata_request::MetadataRequestTopic { topic_id, name };
    MetadataResponse<'static> as metadata_response::MetadataResponse {
        throttle_time_ms, brokers, cluster_id, controller_id, topics, cluster_authorized_operations, error_code
    };
    MetadataResponseBroker<'static> as metadata_response::MetadataResponseBroker { node_id, host, port, rack };
    MetadataResponseTopic<'static> as metadata_response::MetadataResponseTopic {
        error_code, name, topic_id, is_internal, partitions, topic_authorized_operations
    };
    MetadataResponsePartition<'static> as metadata_response::MetadataResponsePartition {
        error_code, partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, offline_replicas
    };
    ProduceRequest<'static> as produce_request::ProduceRequest { transactional_id, acks, timeout_ms, topic_data };
    TopicProduceData<'static> as produce_request::TopicProduceData { name, topic_id, partition_data };
    PartitionProduceData<'static> as produce_request::PartitionProduceData { index, records };
    ProduceResponse<'static> as produce_response::ProduceResponse { responses, throttle_time_ms, node_endpoints };
    TopicProduceResponse<'static> as produce_response::TopicProduceResponse { name, topic_id, partition_responses };
    PartitionProduceResponse<'static> as produce_response::PartitionProduceResponse {
        index, error_code, base_offset, log_append_time_ms, log_start_offset, record_errors, error_message, current_leader
    };
    BatchIndexAndErrorMessage<'static> as produce_response::BatchIndexAndErrorMessage {
        batch_index, batch_index_error_message
    };
    LeaderIdAndEpoch as produce_response::LeaderIdAndEpoch | fetch_response::LeaderIdAndEpoch {
        leader_id, leader_epoch
    };
    NodeEndpoint<'static> as produce_response::NodeEndpoint | fetch_response::NodeEndpoint {
        node_id, host, port, rack
    };
    FindCoordinatorRequest<'static> as find_coordinator_request::FindCoordinatorRequest { key, key_type, coordinator_keys };
    FindCoordinatorResponse<'static> as find_coordinator_response::FindCoordinatorResponse { throttle_time_ms, error_code, error_message, node_id, host, port, coordinators };
    Coordinator<'static> as find_coordinator_response::Coordinator { key, node_id, host, port, error_code, error_message };
    OffsetCommitRequest<'static> as offset_commit_request::OffsetCommitRequest { group_id, generation_id_or_member_epoch, member_id, group_instance_id, retention_time_ms, topics };
    OffsetCommitRequestTopic<'static> as offset_commit_request::OffsetCommitRequestTopic { name, topic_id, partitions };
    OffsetCommitRequestPartition<'static> as offset_commit_request::OffsetCommitRequestPartition { partition_index, committed_offset, committed_leader_epoch, committed_metadata };
    OffsetCommitResponse<'static> as offset_commit_response::OffsetCommitResponse { throttle_time_ms, topics };
    OffsetCommitResponseTopic<'static> as offset_commit_response::OffsetCommitResponseTopic { name, topic_id, partitions };
    OffsetCommitResponsePartition as offset_commit_response::OffsetCommitResponsePartition { partition_index, error_code };
    OffsetFetchRequest<'static> as offset_fetch_request::OffsetFetchRequest { group_id, topics, groups, require_stable };
    OffsetFetchRequestTopic<'static> as offset_fetch_request::OffsetFetchRequestTopic { name, partition_indexes };
    OffsetFetchRequestGroup<'static> as offset_fetch_request::OffsetFetchRequestGroup { group_id, member_id, member_epoch, topics };
    OffsetFetchRequestTopics<'static> as offset_fetch_request::OffsetFetchRequestTopics { name, topic_id, partition_indexes };
    OffsetFetchResponse<'static> as offset_fetch_response::OffsetFetchResponse { throttle_time_ms, topics, error_code, groups };
    OffsetFetchResponseTopic<'static> as offset_fetch_response::OffsetFetchResponseTopic { name, partitions };
    OffsetFetchResponsePartition<'static> as offset_fetch_response::OffsetFetchResponsePartition { partition_index, committed_offset, committed_leader_epoch, metadata, error_code };
    OffsetFetchResponseGroup<'static> as offset_fetch_response::OffsetFetchResponseGroup { group_id, topics, error_code };
    OffsetFetchResponseTopics<'static> as offset_fetch_response::OffsetFetchResponseTopics { name, topic_id, partitions };
    OffsetFetchResponsePartitions<'static> as offset_fetch_response::OffsetFetchResponsePartitions { partition_index, committed_offset, committed_leader_epoch, metadata, error_code };
    JoinGroupRequest<'static> as join_group_request::JoinGroupRequest { group_id, session_timeout_ms, rebalance_timeout_ms, member_id, group_instance_id, protocol_type, protocols, reason };
    JoinGroupRequestProtocol<'static> as join_group_request::JoinGroupRequestProtocol { name, metadata };
    JoinGroupResponse<'static> as join_group_response::JoinGroupResponse { throttle_time_ms, error_code, generation_id, protocol_type, protocol_name, leader, skip_assignment, member_id, members };
    JoinGroupResponseMember<'static> as join_group_response::JoinGroupResponseMember { member_id, group_instance_id, metadata };
    HeartbeatRequest<'static> as heartbeat_request::HeartbeatRequest { group_id, generation_id, member_id, group_instance_id };
    HeartbeatResponse as heartbeat_response::HeartbeatResponse { throttle_time_ms, error_code };
    LeaveGroupRequest<'static> as leave_group_request::LeaveGroupRequest { group_id, member_id, members };
    MemberIdentity<'static> as leave_group_request::MemberIdentity { member_id, group_instance_id, reason };
    LeaveGroupResponse<'static> as leave_group_response::LeaveGroupResponse { throttle_time_ms, error_code, members };
    MemberResponse<'static> as leave_group_response::MemberResponse { member_id, group_instance_id, error_code };
    SyncGroupRequest<'static> as sync_group_request::SyncGroupRequest { group_id, generation_id, member_id, group_instance_id, protocol_type, protocol_name, assignments };
    SyncGroupRequestAssignment<'static> as sync_group_request::SyncGroupRequestAssignment { member_id, assignment };
    SyncGroupResponse<'static> as sync_group_response::SyncGroupResponse { throttle_time_ms, error_code, protocol_type, protocol_name, assignment };
    DescribeGroupsRequest<'static> as describe_groups_request::DescribeGroupsRequest { groups, include_authorized_operations };
    DescribeGroupsResponse<'static> as describe_groups_response::DescribeGroupsResponse { throttle_time_ms, groups };
    DescribedGroup<'static> as describe_groups_response::DescribedGroup { error_code, error_message, group_id, group_state, protocol_type, protocol_data, members, authorized_operations };
    DescribedGroupMember<'static> as describe_groups_response::DescribedGroupMember { member_id, group_instance_id, client_id, client_host, member_metadata, member_assignment };
    ListGroupsRequest<'static> as list_groups_request::ListGroupsRequest { states_filter, types_filter };
    ListGroupsResponse<'static> as list_groups_response::ListGroupsResponse { throttle_time_ms, error_code, groups };
    ListedGroup<'static> as list_groups_response::ListedGroup { group_id, protocol_type, group_state, group_type };
    DeleteGroupsRequest<'static> as delete_groups_request::DeleteGroupsRequest { groups_names };
    DeleteGroupsResponse<'static> as delete_groups_response::DeleteGroupsResponse { throttle_time_ms, results };
    DeletableGroupResult<'static> as delete_groups_response::DeletableGroupResult { group_id, error_code };
    OffsetDeleteRequest<'static> as offset_delete_request::OffsetDeleteRequest { group_id, topics };
    OffsetDeleteRequestTopic<'static> as offset_delete_request::OffsetDeleteRequestTopic { name, partitions };
    OffsetDeleteRequestPartition as offset_delete_request::OffsetDeleteRequestPartition { partition_index };
    OffsetDeleteResponse<'static> as offset_delete_response::OffsetDeleteResponse { error_code, throttle_time_ms, topics };
    OffsetDeleteResponseTopic<'static> as offset_delete_response::OffsetDeleteResponseTopic { name, partitions };
    OffsetDeleteResponsePartition as offset_delete_response::OffsetDeleteResponsePartition { partition_index, error_code };
    ConsumerGroupHeartbeatRequest<'static> as consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch, instance_id, rack_id, rebalance_timeout_ms, subscribed_topic_names, subscribed_topic_regex, server_assignor, topic_partitions };
    ConsumerGroupHeartbeatTopicPartitions<'static> as consumer_group_heartbeat_request::TopicPartitions | consumer_group_heartbeat_response::TopicPartitions { topic_id, partitions };
    ConsumerGroupHeartbeatResponse<'static> as consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse { throttle_time_ms, error_code, error_message, member_id, member_epoch, heartbeat_interval_ms, assignment };
    ConsumerGroupHeartbeatAssignment<'static> as consumer_group_heartbeat_response::Assignment { topic_partitions };
    ConsumerGroupDescribeRequest<'static> as consumer_group_describe_request::ConsumerGroupDescribeRequest { group_ids, include_authorized_operations };
    ConsumerGroupDescribeResponse<'static> as consumer_group_describe_response::ConsumerGroupDescribeResponse { throttle_time_ms, groups };
    ConsumerGroupDescribedGroup<'static> as consumer_group_describe_response::DescribedGroup { error_code, error_message, group_id, group_state, group_epoch, assignment_epoch, assignor_name, members, authorized_operations };
    ConsumerGroupDescribeMember<'static> as consumer_group_describe_response::Member { member_id, instance_id, rack_id, member_epoch, client_id, client_host, subscribed_topic_names, subscribed_topic_regex, assignment, target_assignment, member_type };
    ConsumerGroupDescribeTopicPartitions<'static> as consumer_group_describe_response::TopicPartitions { topic_id, topic_name, partitions };
    ConsumerGroupDescribeAssignment<'static> as consumer_group_describe_response::Assignment { topic_partitions };
}
