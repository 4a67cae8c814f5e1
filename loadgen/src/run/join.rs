//! New groups of one member: FindCoordinator, JoinGroup and SyncGroup, over connections that are there already. The member
//! leaves behind it, which is not part of the latency.

use std::net::SocketAddr;

use ringlog_core::reactor::Reactor;

use super::Load;
use super::conversations::{Conversation, converse};
use super::groups::at_coordinators;
use crate::client::{Asker, Joined, SESSION, SetupError, Target};
use crate::measured::Measured;

/// `load.connections` at a time at most, each a group that nobody has used before.
pub fn join(load: &Load, target: &Target, prefix: &str) -> anyhow::Result<Measured> {
    let prefix = format!("{prefix}-{:08x}", load.run_id);
    // The topic of offsets is there and its coordinators are ready before the first one counts.
    at_coordinators(target, std::iter::once(prefix.as_str()), async |_, asker: &mut Asker| {
        let joined = asker.join(&prefix, "", SESSION).await?;
        asker.sync(&prefix, &joined).await?;
        asker.leave(&prefix, &joined).await
    })?;
    converse(load, |index| NewGroup {
        bootstrap: target.bootstrap,
        asker: None,
        coordinator: None,
        prefix: format!("{prefix}-{index}"),
        count: 0,
        joined: None,
    })
}

struct NewGroup {
    bootstrap: SocketAddr,
    asker: Option<Asker>,
    /// The last one, and where it is.
    coordinator: Option<(SocketAddr, Asker)>,
    prefix: String,
    count: u64,
    joined: Option<Joined>,
}

impl NewGroup {
    fn group_id(&self) -> String {
        format!("{}-{}", self.prefix, self.count)
    }

    async fn join(&mut self, reactor: &Reactor) -> Result<(), SetupError> {
        let group_id = self.group_id();
        let mut asker = match self.asker.take() {
            Some(asker) => asker,
            None => Asker::connect(reactor, self.bootstrap).await?,
        };
        let address = asker.coordinator(&group_id).await?;
        let mut coordinator = match self.coordinator.take().filter(|(known, _)| *known == address) {
            Some((_, asker)) => asker,
            None => Asker::connect(reactor, address).await?,
        };
        let joined = coordinator.join(&group_id, "", SESSION).await?;
        coordinator.sync(&group_id, &joined).await?;
        self.joined = Some(joined);
        // What failed on the way is connected again.
        (self.asker, self.coordinator) = (Some(asker), Some((address, coordinator)));
        Ok(())
    }
}

impl Conversation for NewGroup {
    async fn hold(&mut self, reactor: &Reactor) -> Result<(), SetupError> {
        self.count += 1;
        self.join(reactor).await
    }

    async fn clean_up(&mut self) -> Result<(), SetupError> {
        let group_id = self.group_id();
        match (&mut self.coordinator, self.joined.take()) {
            (Some((_, coordinator)), Some(joined)) => coordinator.leave(&group_id, &joined).await,
            _ => Ok(()),
        }
    }
}
