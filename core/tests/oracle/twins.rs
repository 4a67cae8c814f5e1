//! Which struct of `kafka-protocol` holds the same fields as which of ours.

#[rustfmt::skip]
use kafka_protocol::messages::{
    alter_client_quotas_request, alter_client_quotas_response, alter_configs_request,
    alter_configs_response, alter_partition_reassignments_request,
    alter_partition_reassignments_response, alter_replica_log_dirs_request,
    alter_replica_log_dirs_response, api_versions_request, api_versions_response,
    consumer_group_describe_request, consumer_group_describe_response, consumer_group_heartbeat_request,
    consumer_group_heartbeat_response, create_partitions_request, create_partitions_response,
    create_topics_request, create_topics_response, delete_groups_request, delete_groups_response,
    delete_records_request, delete_records_response, delete_topics_request, delete_topics_response,
    describe_client_quotas_request, describe_client_quotas_response, describe_cluster_request,
    describe_cluster_response, describe_configs_request, describe_configs_response,
    describe_groups_request, describe_groups_response, describe_log_dirs_request,
    describe_log_dirs_response, describe_producers_request, describe_producers_response,
    describe_quorum_request, describe_quorum_response, describe_topic_partitions_request,
    describe_topic_partitions_response, describe_user_scram_credentials_request,
    describe_user_scram_credentials_response, elect_leaders_request, elect_leaders_response, fetch_request,
    fetch_response, find_coordinator_request, find_coordinator_response, heartbeat_request,
    heartbeat_response, incremental_alter_configs_request, incremental_alter_configs_response,
    init_producer_id_request, init_producer_id_response, join_group_request, join_group_response,
    leave_group_request, leave_group_response, list_config_resources_request,
    list_config_resources_response, list_groups_request, list_groups_response, list_offsets_request,
    list_offsets_response, list_partition_reassignments_request, list_partition_reassignments_response,
    metadata_request, metadata_response, offset_commit_request, offset_commit_response,
    offset_delete_request, offset_delete_response, offset_fetch_request, offset_fetch_response,
    offset_for_leader_epoch_request, offset_for_leader_epoch_response, produce_request, produce_response,
    sync_group_request, sync_group_response, update_features_request, update_features_response,
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
    DescribeConfigsRequest<'static> as describe_configs_request::DescribeConfigsRequest { resources, include_synonyms, include_documentation };
    DescribeConfigsResource<'static> as describe_configs_request::DescribeConfigsResource { resource_type, resource_name, configuration_keys };
    DescribeConfigsResponse<'static> as describe_configs_response::DescribeConfigsResponse { throttle_time_ms, results };
    DescribeConfigsResult<'static> as describe_configs_response::DescribeConfigsResult { error_code, error_message, resource_type, resource_name, configs };
    DescribeConfigsResourceResult<'static> as describe_configs_response::DescribeConfigsResourceResult { name, value, read_only, config_source, is_sensitive, synonyms, config_type, documentation };
    DescribeConfigsSynonym<'static> as describe_configs_response::DescribeConfigsSynonym { name, value, source };
    AlterConfigsRequest<'static> as alter_configs_request::AlterConfigsRequest { resources, validate_only };
    AlterConfigsResource<'static> as alter_configs_request::AlterConfigsResource { resource_type, resource_name, configs };
    AlterableConfig<'static> as alter_configs_request::AlterableConfig { name, value };
    AlterConfigsResponse<'static> as alter_configs_response::AlterConfigsResponse { throttle_time_ms, responses };
    AlterConfigsResourceResponse<'static> as alter_configs_response::AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name };
    IncrementalAlterConfigsRequest<'static> as incremental_alter_configs_request::IncrementalAlterConfigsRequest { resources, validate_only };
    IncrementalAlterConfigsResource<'static> as incremental_alter_configs_request::AlterConfigsResource { resource_type, resource_name, configs };
    IncrementalAlterableConfig<'static> as incremental_alter_configs_request::AlterableConfig { name, config_operation, value };
    IncrementalAlterConfigsResponse<'static> as incremental_alter_configs_response::IncrementalAlterConfigsResponse { throttle_time_ms, responses };
    IncrementalAlterConfigsResourceResponse<'static> as incremental_alter_configs_response::AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name };
    CreatePartitionsRequest<'static> as create_partitions_request::CreatePartitionsRequest { topics, timeout_ms, validate_only };
    CreatePartitionsTopic<'static> as create_partitions_request::CreatePartitionsTopic { name, count, assignments };
    CreatePartitionsAssignment<'static> as create_partitions_request::CreatePartitionsAssignment { broker_ids };
    CreatePartitionsResponse<'static> as create_partitions_response::CreatePartitionsResponse { throttle_time_ms, results };
    CreatePartitionsTopicResult<'static> as create_partitions_response::CreatePartitionsTopicResult { name, error_code, error_message };
    DeleteRecordsRequest<'static> as delete_records_request::DeleteRecordsRequest { topics, timeout_ms };
    DeleteRecordsTopic<'static> as delete_records_request::DeleteRecordsTopic { name, partitions };
    DeleteRecordsPartition as delete_records_request::DeleteRecordsPartition { partition_index, offset };
    DeleteRecordsResponse<'static> as delete_records_response::DeleteRecordsResponse { throttle_time_ms, topics };
    DeleteRecordsTopicResult<'static> as delete_records_response::DeleteRecordsTopicResult { name, partitions };
    DeleteRecordsPartitionResult as delete_records_response::DeleteRecordsPartitionResult { partition_index, low_watermark, error_code };
    DescribeTopicPartitionsRequest<'static> as describe_topic_partitions_request::DescribeTopicPartitionsRequest { topics, response_partition_limit, cursor };
    DescribeTopicPartitionsTopic<'static> as describe_topic_partitions_request::TopicRequest { name };
    Cursor<'static> as describe_topic_partitions_request::Cursor { topic_name, partition_index };
    DescribeTopicPartitionsResponse<'static> as describe_topic_partitions_response::DescribeTopicPartitionsResponse { throttle_time_ms, topics, next_cursor };
    DescribeTopicPartitionsResponseTopic<'static> as describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic { error_code, name, topic_id, is_internal, partitions, topic_authorized_operations };
    NextCursor<'static> as describe_topic_partitions_response::Cursor { topic_name, partition_index };
    DescribeTopicPartitionsResponsePartition<'static> as describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition { error_code, partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, eligible_leader_replicas, last_known_elr, offline_replicas };
    OffsetForLeaderEpochRequest<'static> as offset_for_leader_epoch_request::OffsetForLeaderEpochRequest { replica_id, topics };
    OffsetForLeaderTopic<'static> as offset_for_leader_epoch_request::OffsetForLeaderTopic { topic, partitions };
    OffsetForLeaderPartition as offset_for_leader_epoch_request::OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch };
    OffsetForLeaderEpochResponse<'static> as offset_for_leader_epoch_response::OffsetForLeaderEpochResponse { throttle_time_ms, topics };
    OffsetForLeaderTopicResult<'static> as offset_for_leader_epoch_response::OffsetForLeaderTopicResult { topic, partitions };
    OffsetForLeaderPartitionResult as offset_for_leader_epoch_response::EpochEndOffset { error_code, partition, leader_epoch, end_offset };
    DescribeLogDirsRequest<'static> as describe_log_dirs_request::DescribeLogDirsRequest { topics };
    DescribableLogDirTopic<'static> as describe_log_dirs_request::DescribableLogDirTopic { topic, partitions };
    DescribeLogDirsResponse<'static> as describe_log_dirs_response::DescribeLogDirsResponse { throttle_time_ms, error_code, results };
    DescribeLogDirsTopic<'static> as describe_log_dirs_response::DescribeLogDirsTopic { name, partitions };
    DescribeLogDirsPartition as describe_log_dirs_response::DescribeLogDirsPartition { partition_index, partition_size, offset_lag, is_future_key };
    DescribeProducersRequest<'static> as describe_producers_request::DescribeProducersRequest { topics };
    DescribeProducersTopic<'static> as describe_producers_request::TopicRequest { name, partition_indexes };
    DescribeProducersResponse<'static> as describe_producers_response::DescribeProducersResponse { throttle_time_ms, topics };
    DescribeProducersTopicResponse<'static> as describe_producers_response::TopicResponse { name, partitions };
    DescribeProducersPartition<'static> as describe_producers_response::PartitionResponse { partition_index, error_code, error_message, active_producers };
    DescribedProducer as describe_producers_response::ProducerState { producer_id, producer_epoch, last_sequence, last_timestamp, coordinator_epoch, current_txn_start_offset };
    ListConfigResourcesRequest<'static> as list_config_resources_request::ListConfigResourcesRequest { resource_types };
    ListConfigResourcesResponse<'static> as list_config_resources_response::ListConfigResourcesResponse { throttle_time_ms, error_code, config_resources };
    ListedConfigResource<'static> as list_config_resources_response::ConfigResource { resource_name, resource_type };
    DescribeQuorumRequest<'static> as describe_quorum_request::DescribeQuorumRequest { topics };
    DescribeQuorumTopic<'static> as describe_quorum_request::TopicData { topic_name, partitions };
    DescribeQuorumPartition as describe_quorum_request::PartitionData { partition_index };
    DescribeQuorumResponse<'static> as describe_quorum_response::DescribeQuorumResponse { error_code, error_message, topics, nodes };
    DescribeQuorumTopicResponse<'static> as describe_quorum_response::TopicData { topic_name, partitions };
    QuorumNode<'static> as describe_quorum_response::Node { node_id, listeners };
    DescribeQuorumPartitionResponse<'static> as describe_quorum_response::PartitionData { partition_index, error_code, error_message, leader_id, leader_epoch, high_watermark, current_voters, observers };
    QuorumListener<'static> as describe_quorum_response::Listener { name, host, port };
    QuorumReplicaState as describe_quorum_response::ReplicaState { replica_id, replica_directory_id, log_end_offset, last_fetch_timestamp, last_caught_up_timestamp };
    ElectLeadersRequest<'static> as elect_leaders_request::ElectLeadersRequest { election_type, topic_partitions, timeout_ms };
    ElectLeadersTopic<'static> as elect_leaders_request::TopicPartitions { topic, partitions };
    ElectLeadersResponse<'static> as elect_leaders_response::ElectLeadersResponse { throttle_time_ms, error_code, replica_election_results };
    ReplicaElectionResult<'static> as elect_leaders_response::ReplicaElectionResult { topic, partition_result };
    ElectLeadersPartitionResult<'static> as elect_leaders_response::PartitionResult { partition_id, error_code, error_message };
    AlterPartitionReassignmentsRequest<'static> as alter_partition_reassignments_request::AlterPartitionReassignmentsRequest { timeout_ms, allow_replication_factor_change, topics };
    ReassignableTopic<'static> as alter_partition_reassignments_request::ReassignableTopic { name, partitions };
    ReassignablePartition<'static> as alter_partition_reassignments_request::ReassignablePartition { partition_index, replicas };
    AlterPartitionReassignmentsResponse<'static> as alter_partition_reassignments_response::AlterPartitionReassignmentsResponse { throttle_time_ms, allow_replication_factor_change, error_code, error_message, responses };
    ReassignableTopicResponse<'static> as alter_partition_reassignments_response::ReassignableTopicResponse { name, partitions };
    ReassignablePartitionResponse<'static> as alter_partition_reassignments_response::ReassignablePartitionResponse { partition_index, error_code, error_message };
    ListPartitionReassignmentsRequest<'static> as list_partition_reassignments_request::ListPartitionReassignmentsRequest { timeout_ms, topics };
    ListPartitionReassignmentsTopics<'static> as list_partition_reassignments_request::ListPartitionReassignmentsTopics { name, partition_indexes };
    ListPartitionReassignmentsResponse<'static> as list_partition_reassignments_response::ListPartitionReassignmentsResponse { throttle_time_ms, error_code, error_message, topics };
    OngoingTopicReassignment<'static> as list_partition_reassignments_response::OngoingTopicReassignment { name, partitions };
    OngoingPartitionReassignment<'static> as list_partition_reassignments_response::OngoingPartitionReassignment { partition_index, replicas, adding_replicas, removing_replicas };
    AlterReplicaLogDirsRequest<'static> as alter_replica_log_dirs_request::AlterReplicaLogDirsRequest { dirs };
    AlterReplicaLogDir<'static> as alter_replica_log_dirs_request::AlterReplicaLogDir { path, topics };
    AlterReplicaLogDirTopic<'static> as alter_replica_log_dirs_request::AlterReplicaLogDirTopic { name, partitions };
    AlterReplicaLogDirsResponse<'static> as alter_replica_log_dirs_response::AlterReplicaLogDirsResponse { throttle_time_ms, results };
    AlterReplicaLogDirTopicResult<'static> as alter_replica_log_dirs_response::AlterReplicaLogDirTopicResult { topic_name, partitions };
    AlterReplicaLogDirPartitionResult as alter_replica_log_dirs_response::AlterReplicaLogDirPartitionResult { partition_index, error_code };
    UpdateFeaturesRequest<'static> as update_features_request::UpdateFeaturesRequest { timeout_ms, feature_updates, validate_only };
    FeatureUpdateKey<'static> as update_features_request::FeatureUpdateKey { feature, max_version_level, allow_downgrade, upgrade_type };
    UpdateFeaturesResponse<'static> as update_features_response::UpdateFeaturesResponse { throttle_time_ms, error_code, error_message, results };
    UpdatableFeatureResult<'static> as update_features_response::UpdatableFeatureResult { feature, error_code, error_message };
    DescribeClientQuotasRequest<'static> as describe_client_quotas_request::DescribeClientQuotasRequest { components, strict };
    DescribeClientQuotasResponse<'static> as describe_client_quotas_response::DescribeClientQuotasResponse { throttle_time_ms, error_code, error_message, entries };
    DescribeClientQuotasEntry<'static> as describe_client_quotas_response::EntryData { entity, values };
    DescribeClientQuotasEntity<'static> as describe_client_quotas_response::EntityData { entity_type, entity_name };
    DescribeClientQuotasValue<'static> as describe_client_quotas_response::ValueData { key, value };
    DescribeUserScramCredentialsRequest<'static> as describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest { users };
    UserName<'static> as describe_user_scram_credentials_request::UserName { name };
    DescribeUserScramCredentialsResponse<'static> as describe_user_scram_credentials_response::DescribeUserScramCredentialsResponse { throttle_time_ms, error_code, error_message, results };
    DescribeUserScramCredentialsResult<'static> as describe_user_scram_credentials_response::DescribeUserScramCredentialsResult { user, error_code, error_message, credential_infos };
    ScramCredentialInfo as describe_user_scram_credentials_response::CredentialInfo { mechanism, iterations };
    AlterClientQuotasRequest<'static> as alter_client_quotas_request::AlterClientQuotasRequest { entries, validate_only };
    AlterClientQuotasEntry<'static> as alter_client_quotas_request::EntryData { entity, ops };
    AlterClientQuotasEntity<'static> as alter_client_quotas_request::EntityData { entity_type, entity_name };
    AlterClientQuotasOp<'static> as alter_client_quotas_request::OpData { key, value, remove };
    AlterClientQuotasResponse<'static> as alter_client_quotas_response::AlterClientQuotasResponse { throttle_time_ms, entries };
    AlterClientQuotasEntryResult<'static> as alter_client_quotas_response::EntryData { error_code, error_message, entity };
    AlterClientQuotasEntityResult<'static> as alter_client_quotas_response::EntityData { entity_type, entity_name };
}

impl Sample for DescribeLogDirsResult<'static> {
    fn sample(random: &mut Random) -> Self {
        Self {
            error_code: Sample::sample(random),
            log_dir: Sample::sample(random),
            topics: Sample::sample(random),
            total_bytes: Sample::sample(random),
            usable_bytes: Sample::sample(random),
            ..Self::default()
        }
    }
}

/// The oracle ends at version 4, without `is_cordoned`.
impl Twin<describe_log_dirs_response::DescribeLogDirsResult> for DescribeLogDirsResult<'static> {
    fn twin(&self) -> describe_log_dirs_response::DescribeLogDirsResult {
        let mut theirs = describe_log_dirs_response::DescribeLogDirsResult::default();
        theirs.error_code = self.error_code.twin();
        theirs.log_dir = self.log_dir.twin();
        theirs.topics = self.topics.twin();
        theirs.total_bytes = self.total_bytes.twin();
        theirs.usable_bytes = self.usable_bytes.twin();
        theirs
    }
}

impl Sample for DescribeClientQuotasComponent<'static> {
    fn sample(random: &mut Random) -> Self {
        Self {
            entity_type: Sample::sample(random),
            match_type: Sample::sample(random),
            r#match: Sample::sample(random),
        }
    }
}

/// `match` has another name there.
impl Twin<describe_client_quotas_request::ComponentData> for DescribeClientQuotasComponent<'static> {
    fn twin(&self) -> describe_client_quotas_request::ComponentData {
        let mut theirs = describe_client_quotas_request::ComponentData::default();
        theirs.entity_type = self.entity_type.twin();
        theirs.match_type = self.match_type.twin();
        theirs._match = self.r#match.twin();
        theirs
    }
}
