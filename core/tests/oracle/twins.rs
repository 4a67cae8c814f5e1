//! Which struct of `kafka-protocol` holds the same fields as which of ours.

#[rustfmt::skip]
use kafka_protocol::messages::{
    api_versions_request, api_versions_response, create_topics_request, create_topics_response,
    delete_topics_request, delete_topics_response, describe_cluster_request, describe_cluster_response,
    fetch_request, fetch_response, init_producer_id_request, init_producer_id_response, list_offsets_request,
    list_offsets_response, metadata_request, metadata_response, produce_request, produce_response,
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
}
