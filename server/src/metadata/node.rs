//! This node as the metadata speaks of it.

use ringlog_core::protocol::metadata::{EndPoint, SupportedFeature};
use uuid::Uuid;

use super::records::METADATA_VERSION;
use crate::config::{Endpoint, MetadataLogConfig, Quorum, Settings};

/// What this node offers, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Name of the listener.
    pub name: String,
    /// Host without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// 0 is PLAINTEXT.
    pub security_protocol: i16,
}

impl NodeEndpoint {
    fn of(endpoint: &Endpoint) -> Self {
        const PLAINTEXT: i16 = 0;
        let Endpoint { name, host, port } = endpoint.clone();
        Self { name, host, port, security_protocol: PLAINTEXT }
    }

    /// As a registration names it.
    pub(super) fn as_record(&self) -> EndPoint<'_> {
        EndPoint { name: &self.name, host: &self.host, port: self.port, security_protocol: self.security_protocol }
    }
}

impl From<EndPoint<'_>> for NodeEndpoint {
    fn from(EndPoint { name, host, port, security_protocol }: EndPoint<'_>) -> Self {
        Self { name: name.to_owned(), host: host.to_owned(), port, security_protocol }
    }
}

/// What the configuration says about this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The advertised listeners for clients.
    pub endpoints: Vec<NodeEndpoint>,
    /// The controller's.
    pub controller_endpoint: NodeEndpoint,
    /// The voter is named by `controller.quorum.voters`, not by the metadata.
    pub is_static_quorum: bool,
    /// `num.partitions`, for topics that ask for -1.
    pub num_partitions: i32,
    /// `default.replication.factor`, for topics that ask for -1.
    pub default_replication_factor: i16,
    /// How the metadata log is cut.
    pub metadata_log: MetadataLogConfig,
}

impl NodeConfig {
    /// What the settings say, of a node whose clients are told `endpoints`.
    pub fn of(settings: &Settings, endpoints: &[Endpoint]) -> Self {
        Self {
            node_id: settings.node_id,
            rack: settings.rack.clone(),
            endpoints: endpoints.iter().map(NodeEndpoint::of).collect(),
            controller_endpoint: NodeEndpoint::of(&settings.controller_listener),
            is_static_quorum: settings.quorum == Quorum::Static,
            num_partitions: settings.num_partitions,
            default_replication_factor: settings.default_replication_factor,
            metadata_log: settings.metadata_log.clone(),
        }
    }
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

/// This node's place in the quorum of the metadata log, for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumOfOne {
    /// The epoch that it leads.
    pub leader_epoch: i32,
    /// Of its data directory.
    pub directory_id: Uuid,
}

/// Finalized levels of a new cluster, as Kafka 4.3 formats it.
pub(super) const FEATURE_LEVELS: &[(&str, i16)] = &[
    ("metadata.version", METADATA_VERSION),
    ("eligible.leader.replicas.version", 1),
    ("group.version", 1),
    ("share.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
];

/// What the node can run at; the same as Kafka 4.3.
pub fn supported_features() -> [SupportedFeature<'static>; 7] {
    [
        ("group.version", 0, 1),
        ("kraft.version", 0, 1),
        ("metadata.version", 7, METADATA_VERSION),
        ("share.version", 0, 1),
        ("streams.version", 0, 1),
        ("transaction.version", 0, 2),
        ("eligible.leader.replicas.version", 0, 1),
    ]
    .map(|(name, min_supported_version, max_supported_version)| SupportedFeature {
        name,
        min_supported_version,
        max_supported_version,
    })
}
