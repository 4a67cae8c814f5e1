//! Registrations of brokers and controllers: what a node says of itself when it joins, and what becomes of it.

use ringlog_core::protocol::metadata::{
    BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord, SupportedFeature,
};
use uuid::Uuid;

use super::super::node::NodeEndpoint;

/// The registration of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// One life of the process.
    pub incarnation_id: Uuid,
    /// The offset of its registration.
    pub broker_epoch: i64,
    /// Its listeners for clients.
    pub endpoints: Vec<NodeEndpoint>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Leads nothing.
    pub fenced: bool,
    /// On its way out.
    pub in_controlled_shutdown: bool,
    /// Left over from ZooKeeper times.
    pub is_migrating_zk_broker: bool,
    /// Ids of its data directories.
    pub log_dirs: Vec<Uuid>,
    /// Those of them that get no new partitions (KIP-1066).
    pub cordoned_log_dirs: Vec<Uuid>,
}

/// The registration of a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerImage {
    /// One life of the process.
    pub incarnation_id: Uuid,
    /// Its listeners for the quorum.
    pub endpoints: Vec<NodeEndpoint>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
    /// Left over from ZooKeeper times.
    pub zk_migration_ready: bool,
}

/// The levels of a feature that a node supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRange {
    name: String,
    min: i16,
    max: i16,
}

impl From<SupportedFeature<'_>> for FeatureRange {
    fn from(feature: SupportedFeature<'_>) -> Self {
        let SupportedFeature { name, min_supported_version: min, max_supported_version: max } = feature;
        Self { name: name.to_owned(), min, max }
    }
}

impl FeatureRange {
    fn as_record(&self) -> SupportedFeature<'_> {
        let Self { name, min, max } = self;
        SupportedFeature { name, min_supported_version: *min, max_supported_version: *max }
    }
}

impl From<&RegisterBrokerRecord<'_>> for BrokerImage {
    fn from(record: &RegisterBrokerRecord<'_>) -> Self {
        Self {
            incarnation_id: record.incarnation_id,
            broker_epoch: record.broker_epoch,
            endpoints: record.end_points.iter().map(NodeEndpoint::from).collect(),
            features: record.features.iter().map(FeatureRange::from).collect(),
            rack: record.rack.map(str::to_owned),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            log_dirs: record.log_dirs.iter().collect(),
            cordoned_log_dirs: record.cordoned_log_dirs.iter().flatten().collect(),
        }
    }
}

impl BrokerImage {
    /// A registration that becomes this.
    pub(super) fn as_record(&self, broker_id: i32) -> RegisterBrokerRecord<'_> {
        RegisterBrokerRecord {
            broker_id,
            is_migrating_zk_broker: self.is_migrating_zk_broker,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.broker_epoch,
            end_points: self.endpoints.iter().map(NodeEndpoint::as_record).collect(),
            features: self.features.iter().map(FeatureRange::as_record).collect(),
            rack: self.rack.as_deref(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs[..].into(),
            cordoned_log_dirs: Some(self.cordoned_log_dirs[..].into()),
        }
    }

    pub(super) fn apply(&mut self, change: &BrokerRegistrationChangeRecord<'_>) {
        self.in_controlled_shutdown |= change.in_controlled_shutdown > 0;
        if !change.log_dirs.is_empty() {
            self.log_dirs = change.log_dirs.iter().collect();
        }
        if let Some(cordoned) = &change.cordoned_log_dirs {
            self.cordoned_log_dirs = cordoned.iter().collect();
        }
        if change.fenced != 0 {
            self.fenced = change.fenced > 0;
        }
    }
}

impl From<&RegisterControllerRecord<'_>> for ControllerImage {
    fn from(record: &RegisterControllerRecord<'_>) -> Self {
        Self {
            incarnation_id: record.incarnation_id,
            endpoints: record.end_points.iter().map(NodeEndpoint::from).collect(),
            features: record.features.iter().map(FeatureRange::from).collect(),
            zk_migration_ready: record.zk_migration_ready,
        }
    }
}

impl ControllerImage {
    /// A registration that becomes this.
    pub(super) fn as_record(&self, controller_id: i32) -> RegisterControllerRecord<'_> {
        RegisterControllerRecord {
            controller_id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self.endpoints.iter().map(NodeEndpoint::as_record).collect(),
            features: self.features.iter().map(FeatureRange::as_record).collect(),
        }
    }
}
