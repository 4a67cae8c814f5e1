//! Kafka's metadata records (`__cluster_metadata-0` and its snapshots), with the names and the order of Kafka's definitions.
//!
//! The value of a record is `frame version, type, version` as unsigned varints, then the record; see [`MetadataRecord`].
//! The files of the records keep one field per line, so rustfmt leaves them alone.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its definitions")]

mod record;
#[rustfmt::skip]
mod access;
#[rustfmt::skip]
mod config;
#[rustfmt::skip]
mod control;
#[rustfmt::skip]
mod feature_level;
#[rustfmt::skip]
mod fencing;
#[rustfmt::skip]
mod legacy;
#[rustfmt::skip]
mod partition;
#[rustfmt::skip]
mod producer_ids;
#[rustfmt::skip]
mod registration;
#[rustfmt::skip]
mod registration_change;
#[rustfmt::skip]
mod topic;
#[rustfmt::skip]
mod transaction;

pub use access::{
    AccessControlEntryRecord, ClientQuotaRecord, DelegationTokenRecord, QuotaEntity, RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord, RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};
pub use config::ConfigRecord;
pub use control::{
    KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage, LeaderChangeVoter, SnapshotFooterRecord,
    SnapshotHeaderRecord, Voter, VoterEndpoint, VotersRecord,
};
pub use feature_level::FeatureLevelRecord;
pub use fencing::{FenceBrokerRecord, UnfenceBrokerRecord, UnregisterBrokerRecord};
pub use legacy::{ClearElrRecord, ZkMigrationStateRecord};
pub use partition::{PartitionChangeRecord, PartitionRecord};
pub use producer_ids::ProducerIdsRecord;
pub use record::{FRAME_VERSION, MetadataRecord};
pub use registration::{EndPoint, RegisterBrokerRecord, RegisterControllerRecord, SupportedFeature};
pub use registration_change::BrokerRegistrationChangeRecord;
pub use topic::{RemoveTopicRecord, TopicRecord};
pub use transaction::{AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, NoOpRecord};
