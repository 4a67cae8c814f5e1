//! The coordinators: state machines that live on the shard of their partition and keep their state in its log.

pub mod group;
