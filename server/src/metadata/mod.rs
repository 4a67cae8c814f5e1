//! The cluster's metadata: Kafka's own records in `__cluster_metadata-0`, the image they replay to, and the one writer.

mod codec;
mod ids;
mod records;

pub use codec::RecordDecodeError;
pub use ids::{METADATA_TOPIC_ID, id_from_text, id_to_text, random_id};
pub use records::{
    BrokerChange, ConfigRecord, EndpointRecord, FeatureRange, PartitionChange, PartitionRecord, Record, RegisterBroker,
    RegisterController, resource_type,
};
