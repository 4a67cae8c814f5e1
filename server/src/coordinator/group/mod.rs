//! The group coordinator: committed offsets and the members of consumer groups.
//!
//! A group lives on one partition of `__consumer_offsets`, and so on the shard that owns it. [`Coordinator`] is the
//! pure state machine of one such partition: `(state, request, now) -> (replies, records)`, and `replay(record)` after
//! a restart. [`GroupCoordinators`] does the I/O of one shard: it appends the records of a loop turn as one batch for
//! each partition, lets answers go when what they have seen is durable, and replays the log. [`GroupRouter`] reaches
//! the coordinator of a group from any shard.
//!
//! Invariants:
//! - Every change that must survive is a record. The state holds it at once; whoever saw it is answered after it is
//!   durable, so no client knows more than a restarted coordinator.
//! - An append that found no room for the moment is repeated. One that failed throws the state away and loads the log anew. Where the log takes nothing until the next start, which
//!   may find what was refused, nobody coordinates its groups until then.

mod active;
mod classic;
mod consumer;
mod coordinator;
mod foreign;
mod handover;
mod loader;
mod members;
mod messages;
mod offsets;
mod planted;
mod replay;
mod router;
mod service;
#[cfg(test)]
mod tests;
mod topic;
mod turn;

pub use active::ReplyTo;
pub use consumer::Assignment;
pub use coordinator::{Coordinator, GroupConfigs, Scene};
pub use messages::{
    CommitOffsets, CommitPartition, CommitTopic, ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply,
    ConsumerMemberDescription, DeleteOffsets, FetchOffsets, FetchTopic, GroupDescription, GroupError, GroupListing,
    GroupMessage, GroupReply, GroupRequest, Heartbeat, JoinGroup, JoinReply, JoinedMember, LeaveGroup, ListGroups,
    MemberDescription, PartitionOffset, Protocol, SyncGroup, SyncReply, TopicOffsets, TopicPartitionNames,
};
#[cfg(any(test, feature = "planted-bugs"))]
pub use planted::PlantedBug;
pub use router::GroupRouter;
pub use service::GroupCoordinators;
pub use topic::{OFFSETS_TOPIC, offsets_topic};
pub use turn::{NewGroupRecord, Now, Output, Token, Topics, Turn};
