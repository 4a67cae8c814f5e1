//! One file per API, request and response, with the names and the order of Kafka's definitions.
//!
//! The files keep one field per line, so rustfmt leaves them alone.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its protocol guide")]

#[rustfmt::skip]
mod api_versions;
#[rustfmt::skip]
mod create_topics;
#[rustfmt::skip]
mod delete_topics;
#[rustfmt::skip]
mod describe_cluster;
#[rustfmt::skip]
mod fetch;
#[rustfmt::skip]
mod init_producer_id;
#[rustfmt::skip]
mod list_offsets;
#[rustfmt::skip]
mod metadata;
#[rustfmt::skip]
mod produce;
#[rustfmt::skip]
mod shared;

pub use api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey};
pub use create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs, CreatableTopicResult,
    CreateTopicsRequest, CreateTopicsResponse,
};
pub use delete_topics::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
pub use describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};
pub use fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, ForgottenTopic, PartitionData, ReplicaState, SnapshotId,
};
pub use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListOffsetsTopicResponse,
};
pub use metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
pub use produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
pub use shared::{LeaderIdAndEpoch, NodeEndpoint};
