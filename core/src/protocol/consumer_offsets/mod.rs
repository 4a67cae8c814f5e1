//! The records of `__consumer_offsets`: committed offsets, classic groups and the groups of KIP-848, with the names and
//! the order of Kafka's definitions; of streams groups and share groups whose they are.
//!
//! A key is its record type as int16, then its fields; a value is its version as int16, then its fields; a null value
//! is a tombstone. See [`CoordinatorRecord`]. The files keep one field per line, so rustfmt leaves them alone.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its definitions")]

#[rustfmt::skip]
mod consumer_group;
#[rustfmt::skip]
mod consumer_group_member;
#[rustfmt::skip]
mod consumer_group_target;
mod foreign;
#[rustfmt::skip]
mod group_metadata;
#[rustfmt::skip]
mod offset_commit;
mod record;

pub use consumer_group::{
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
    PartitionMetadata, TopicMetadata,
};
pub use consumer_group_member::{
    AssignedTopicPartitions, ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
};
pub use consumer_group_target::{
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue, TargetTopicPartitions,
};
pub use foreign::{ForeignGroupType, ForeignKey};
pub use group_metadata::{GroupMetadataKey, GroupMetadataMember, GroupMetadataValue};
pub use offset_commit::{OffsetCommitKey, OffsetCommitValue};
pub use record::CoordinatorRecord;
