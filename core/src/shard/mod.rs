//! The loop of one shard.
