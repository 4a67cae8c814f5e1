//! Where a connection goes, and how the way is found again when a leader or a coordinator has moved.

use std::net::SocketAddr;

use ringlog_core::reactor::{Reactor, Socket};

use super::asker::Asker;
use super::setup::Topic;
use super::{SetupError, TopicSpec};

/// The way of one connection.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it goes now.
    pub address: SocketAddr,
    /// Any broker, which is asked when the way was lost.
    pub bootstrap: SocketAddr,
    /// Where it ends.
    pub end: RouteEnd,
}

/// What a connection looks for.
#[derive(Debug, Clone)]
pub enum RouteEnd {
    /// The leader of this partition of the topic, and of others there.
    Leader(TopicSpec, i32),
    /// The coordinator of this group.
    Coordinator(String),
}

impl Route {
    /// Asks for the way, and goes it. Returns the partitions that are led there, too.
    pub async fn connect(&mut self, reactor: &Reactor) -> Result<(Socket, Vec<i32>), SetupError> {
        let mut asker = match Asker::connect(reactor, self.bootstrap).await {
            Ok(asker) => asker,
            Err(_) => Asker::connect(reactor, self.address).await?,
        };
        let partitions = match &self.end {
            RouteEnd::Leader(spec, partition) => {
                let topic = asker.topic(spec).await?.ok_or_else(|| spec.has_no_leader())?;
                self.address = topic.leader(*partition).ok_or_else(|| spec.has_no_leader())?;
                topic.led_by(self.address)
            }
            RouteEnd::Coordinator(group_id) => {
                self.address = asker.coordinator(group_id).await?;
                Vec::new()
            }
        };
        let failed = |error| SetupError::Io { what: format!("connect to {}", self.address), error };
        let socket = reactor.connect(self.address).await.map_err(failed)?;
        Ok((socket, partitions))
    }
}

impl Topic {
    fn leader(&self, index: i32) -> Option<SocketAddr> {
        self.partitions.iter().find(|partition| partition.index == index).map(|partition| partition.leader)
    }

    fn led_by(&self, leader: SocketAddr) -> Vec<i32> {
        self.partitions.iter().filter(|partition| partition.leader == leader).map(|partition| partition.index).collect()
    }
}
