//! The partitions of one shard: appends, reads up to the high watermark, and those who wait for either.
//!
//! It knows neither connections nor other shards' partitions; [`Router`] reaches those over the mesh.

mod appends;
mod calls;
mod cleaner;
mod deletions;
mod messages;
mod partitions;
mod queue;
mod reads;
mod recompressor;
mod removals;
mod retention;
mod router;
mod scrubber;

pub use calls::Calls;
pub use cleaner::CleanerSource;
pub use messages::{
    AppendOutcome, EpochEnd, EpochEndRequest, Isolation, OffsetOutcome, OffsetQuery, OffsetRequest, PartitionError,
    PartitionMessage, PartitionReply, PartitionRequest, ReadOutcome, ReadRequest, TopicPartition, WatchRequest,
};
pub use partitions::{Partitions, Reply};
pub use recompressor::Recompressor;
pub use ringlog_core::log::AbortedTransaction;
pub use router::Router;
pub use scrubber::ScrubberSource;
