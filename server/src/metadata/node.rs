//! This node as the metadata speaks of it.

use uuid::Uuid;

use super::records::{EndpointRecord, FeatureRange};

/// What the configuration says about this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The advertised listeners for clients.
    pub endpoints: Vec<EndpointRecord>,
    /// The controller's.
    pub controller_endpoint: EndpointRecord,
    /// The voter is named by `controller.quorum.voters`, not by the metadata.
    pub is_static_quorum: bool,
    /// `num.partitions`, for topics that ask for -1.
    pub num_partitions: i32,
    /// `default.replication.factor`, for topics that ask for -1.
    pub default_replication_factor: i16,
}

/// What the data directory says about this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Must be the configuration's.
    pub node_id: i32,
    /// Base64, but older clusters may have any text.
    pub cluster_id: String,
    /// Of the one data directory.
    pub directory_id: Uuid,
}

/// Finalized levels of a new cluster, as Kafka 4.3 formats it.
pub(super) const FEATURE_LEVELS: &[(&str, i16)] = &[
    ("metadata.version", 30),
    ("eligible.leader.replicas.version", 1),
    ("group.version", 1),
    ("share.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
];

/// What the node can run at; the same as Kafka 4.3.
pub fn supported_features() -> Vec<FeatureRange> {
    [
        ("group.version", 0, 1),
        ("kraft.version", 0, 1),
        ("metadata.version", 7, 30),
        ("share.version", 0, 1),
        ("streams.version", 0, 1),
        ("transaction.version", 0, 2),
        ("eligible.leader.replicas.version", 0, 1),
    ]
    .map(|(name, min, max)| FeatureRange { name: name.to_owned(), min, max })
    .to_vec()
}
