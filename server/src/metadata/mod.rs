//! The cluster's metadata: Kafka's own records in `__cluster_metadata-0`, the image they replay to, and the one writer.

mod alter_configs;
mod cleaner_config;
mod client_quotas;
mod control;
pub mod controller;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod directory;
mod ids;
mod image;
mod link;
mod log;
mod node;
mod open_transactions;
mod placement;
mod quorum_state;
mod records;
mod scrubber_config;
mod service;
mod takeover;
mod topic_config;
mod update_features;
mod view;

pub use alter_configs::{
    AlterConfigError, AlterConfigs, AlteredConfigs, ConfigAlteration, ConfigOp, ConfigOpKind, ConfigResource,
};
pub use cleaner_config::ShardCleaner;
pub use client_quotas::{
    AlterClientQuotas, AlterQuotaError, ClientQuotas, QuotaAlteration, QuotaEntity, QuotaValue, entity_type, quota_key,
};
pub use controller::{PRODUCER_ID_BLOCK_LEN, ProducerIdBlock, ProducerIdsExhausted};
pub use create_partitions::{CreatePartitionsError, NewPartitions};
pub use create_topics::{CreateTopicError, CreatedTopic, NewTopic, PARTITIONS_PER_REQUEST_MAX, check_topic_name};
pub use directory::{DataDirectory, DirectoryError, METADATA_FOLDER};
pub use ids::{METADATA_TOPIC_ID, id_from_text, id_to_text, random_id};
pub use image::{
    BrokerImage, MetadataImage, NO_LEADER, PartitionImage, Placement, ReplayError, TopicImage, Unenforced,
};
pub use link::{ControlReply, ControlRequest, ControllerLink, DeleteTopicError, ReplyTo};
pub use log::{AppendedMetadata, FoundLog, LoadedLog, MetadataLog, MetadataLogError};
pub use node::{Identity, NodeConfig, NodeEndpoint, QuorumOfOne, supported_features};
pub use placement::owner_shard;
pub use records::{METADATA_VERSION, Records, resource_type};
pub use scrubber_config::ShardScrubber;
pub use service::{MetadataService, MetadataUnavailable, Publish, StartedMetadata};
pub use takeover::{LastStop, OpenTransactions, TakeoverError, check as check_takeover};
pub use topic_config::{DURABILITY, TopicConfig, config_sources};
pub use update_features::{FeatureUpdate, FeatureUpdateKind, UpdateFeatures, UpdateFeaturesError};
pub use view::{Changes, MetadataView, log_specs};
