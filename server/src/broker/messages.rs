//! What shards send each other.

use std::sync::Arc;

use ringlog_core::log::ClosedLog;
use ringlog_core::reactor::SocketHandle;

use crate::config::Endpoint;
use crate::coordinator::group::GroupMessage;
use crate::metadata::{ControlReply, ControlRequest, MetadataImage, QuorumOfOne, Records};
use crate::net::OfAddress;
use crate::partition::PartitionMessage;

/// A message on the mesh.
#[derive(Debug)]
pub enum ShardMessage {
    /// From shard 0: the cluster is open, begin to serve.
    Start(Box<Cluster>),
    /// About a partition.
    Partition(PartitionMessage),
    /// About a group.
    Group(GroupMessage),
    /// From shard 0: a connection for the receiver, and the listener it came in by.
    Connection {
        /// The connection.
        socket: SocketHandle,
        /// Index of its listener.
        listener: usize,
        /// Its place in the count of its address.
        of_address: OfAddress,
    },
    /// To shard 0: a request for the controller.
    Control {
        /// Echoed in the reply.
        call: u32,
        /// What is asked.
        request: ControlRequest,
    },
    /// From shard 0: the controller's answer.
    ControlReply {
        /// As in the request.
        call: u32,
        /// The answer.
        reply: ControlReply,
    },
    /// From shard 0: metadata records that are durable.
    Replay {
        /// Offset of the first.
        base_offset: i64,
        /// In order.
        records: Arc<Records>,
    },
    /// To shard 0: the sender has replayed, and serves, everything below this offset.
    Replayed(i64),
    /// From shard 0: stop.
    Stop,
    /// To shard 0: the sender has stopped; where its logs ended, or why that is not known.
    Stopped(Result<Vec<ClosedLog>, String>),
}

/// The cluster as it is when the shards begin to serve.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Of `meta.properties`.
    pub cluster_id: String,
    /// This node as the quorum of the metadata log.
    pub quorum: QuorumOfOne,
    /// What clients of each listener are told, with the real ports.
    pub endpoints: Vec<Endpoint>,
    /// The replayed metadata.
    pub image: MetadataImage,
}
