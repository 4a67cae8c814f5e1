//! New connections: each one connects, asks for versions and metadata, and closes.

use std::net::SocketAddr;

use anyhow::Context;
use ringlog_core::reactor::Reactor;

use super::conversations::{Conversation, converse};
use super::{Load, reactor, stop};
use crate::client::{Asker, SetupError, Target, greet};
use crate::findings::Failure;
use crate::measured::Measured;

/// `load.connections` at a time at most, `load.rate` per second. A request of the report is one connection.
/// Before it, `idle` connections are made, which have to answer when it is over.
pub fn connect(load: &Load, target: &Target, idle: usize) -> anyhow::Result<Measured> {
    let reactor = reactor()?;
    let mut held = reactor.block_on(hold(&reactor, target, idle))?;
    let leaders: Vec<SocketAddr> = target.by_leader().into_keys().collect();
    let mut measured = converse(load, |index| Greeting {
        address: leaders[index % leaders.len()],
        topic_name: target.topic_name.clone(),
    })?;
    let findings = &mut measured.findings;
    reactor.block_on(async {
        for asker in &mut held {
            if let Err(error) = asker.ask_versions().await {
                findings.failures(Failure::ConnectionLost, 1, || format!("an idle connection: {error}"));
            }
        }
    });
    drop(held);
    stop(&reactor)?;
    Ok(measured)
}

async fn hold(reactor: &Reactor, target: &Target, count: usize) -> anyhow::Result<Vec<Asker>> {
    let leaders: Vec<SocketAddr> = target.by_leader().into_keys().collect();
    let mut held = Vec::with_capacity(count);
    for index in 0..count {
        let connected = Asker::connect(reactor, leaders[index % leaders.len()]).await;
        held.push(connected.with_context(|| format!("idle connection {index}"))?);
    }
    Ok(held)
}

struct Greeting {
    address: SocketAddr,
    topic_name: String,
}

impl Conversation for Greeting {
    async fn hold(&mut self, reactor: &Reactor) -> Result<(), SetupError> {
        greet(reactor, self.address, &self.topic_name).await
    }
}
