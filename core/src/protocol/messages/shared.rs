//! Structs that stand in more than one API.

use ringlog_derive::Message;

/// The leader of a partition, for clients that asked the wrong broker (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct LeaderIdAndEpoch {
    #[field(versions = 0.., default = -1)] pub leader_id: i32,
    #[field(versions = 0.., default = -1)] pub leader_epoch: i32,
}

/// Where a leader that a response names can be reached (KIP-951).
#[derive(Debug, Clone, PartialEq, Message)]
pub struct NodeEndpoint<'a> {
    #[field(versions = 0..)] pub node_id: i32,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub port: i32,
    #[field(versions = 0..)] pub rack: Option<&'a str>,
}
