//! What a shard counts, and how another thread gets to read it.
//!
//! Counters are plain cells of their shard: counting is an addition, without an atomic, a lock or a clock. Another
//! thread asks at the shard's [`Door`], and the shard answers between two turns with a [`ShardSnapshot`].
//!
//! Invariant: nothing here is visible to clients or on disk; a shard that nobody asks does nothing for it but add.

mod door;
mod requests;
mod snapshot;
mod topics;

pub use door::{Ask, Door, Doors, Phase};
pub use requests::{RequestInstants, RequestMeters, RequestTimes, VERSION_MAX};
pub use snapshot::{CommittedSnapshot, MetadataSnapshot, PartitionSnapshot, ScrubCounts, ShardSnapshot};
pub use topics::{TopicCounts, TopicMeters, TopicsMeters};
