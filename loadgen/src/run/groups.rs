//! Groups and their coordinators: looked up before the run, each connection gets groups of one of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::reactor::Reactor;

use super::pipes::{Connection, Place};
use super::{is_retriable, reactor, stop};
use crate::client::{Asker, SetupError, Target};

/// How often a coordinator is asked for, with a pause of `RETRY` in between: the first group creates the topic of offsets.
const ATTEMPTS_MAX: usize = 300;
const RETRY: Duration = Duration::from_millis(100);
/// Groups that are worked on at a time, each on connections of its own.
const WORKERS: usize = 16;

/// The groups of each coordinator, by number.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<SocketAddr, Vec<usize>>);

/// Finds the coordinator of each group and does something with the group there, some at a time, on a ring of its own.
/// Waits for a coordinator that is not ready or has just moved.
pub(super) fn at_coordinators<'a>(
    target: &Target,
    group_ids: impl Iterator<Item = &'a str>,
    each: impl AsyncFn(usize, &mut Asker) -> Result<(), SetupError>,
) -> anyhow::Result<Coordinators> {
    let reactor = reactor()?;
    let round = Round {
        reactor: &reactor,
        target,
        group_ids: group_ids.collect(),
        each: &each,
        next: Cell::new(0),
        found: RefCell::default(),
        failed: RefCell::default(),
    };
    let workers = (0..WORKERS.min(round.group_ids.len())).map(|_| Box::pin(round.work())).collect();
    reactor.block_on(all(workers));
    let Round { found, failed, .. } = round;
    stop(&reactor)?;
    failed.into_inner().map_or(Ok(()), Err).context("ask the coordinators")?;
    let mut coordinators = found.into_inner();
    coordinators.0.values_mut().for_each(|groups| groups.sort_unstable());
    Ok(coordinators)
}

/// Polls futures until all of them are done.
async fn all<F: Future<Output = ()>>(mut futures: Vec<Pin<Box<F>>>) {
    poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// What the workers of one round share.
struct Round<'a, E> {
    reactor: &'a Reactor,
    target: &'a Target,
    group_ids: Vec<&'a str>,
    each: &'a E,
    /// The next group that nobody works on.
    next: Cell<usize>,
    found: RefCell<Coordinators>,
    /// The first failure ends the round.
    failed: RefCell<Option<SetupError>>,
}

impl<E: AsyncFn(usize, &mut Asker) -> Result<(), SetupError>> Round<'_, E> {
    async fn work(&self) {
        if let Err(error) = self.work_on_groups().await {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    async fn work_on_groups(&self) -> Result<(), SetupError> {
        let mut asker = Asker::connect(self.reactor, self.target.bootstrap).await?;
        let mut askers: BTreeMap<SocketAddr, Asker> = BTreeMap::new();
        while self.next.get() < self.group_ids.len() && self.failed.borrow().is_none() {
            let index = self.next.replace(self.next.get() + 1);
            let mut attempts = 0;
            let address = loop {
                match self.at_coordinator(&mut asker, &mut askers, index).await {
                    Err(SetupError::Refused { code, .. }) if is_retriable(code) && attempts < ATTEMPTS_MAX => {
                        attempts += 1;
                    }
                    answer => break answer?,
                }
                self.reactor.sleep(RETRY).await;
            };
            self.found.borrow_mut().0.entry(address).or_default().push(index);
        }
        Ok(())
    }

    async fn at_coordinator(
        &self,
        asker: &mut Asker,
        askers: &mut BTreeMap<SocketAddr, Asker>,
        index: usize,
    ) -> Result<SocketAddr, SetupError> {
        let address = asker.coordinator(self.group_ids[index]).await?;
        let mut at = match askers.remove(&address) {
            Some(known) => known,
            None => Asker::connect(self.reactor, address).await?,
        };
        let done = (self.each)(index, &mut at).await;
        askers.insert(address, at);
        done.map(|()| address)
    }
}

impl Coordinators {
    /// Where connections go; `group_id` names a group by its number.
    pub(super) fn places(&self, target: &Target, group_id: impl Fn(usize) -> String) -> Vec<Place> {
        let place = |(address, groups): (&SocketAddr, &Vec<usize>)| Place {
            address: *address,
            bootstrap: target.bootstrap,
            partitions: Vec::new(),
            group_id: groups.first().map(|group| group_id(*group)),
        };
        self.0.iter().map(place).collect()
    }

    /// The groups of one of the connections to the same coordinator. No two share one, else a late commit of one could
    /// overtake a newer one of the other.
    pub(super) fn share(&self, connection: &Connection<'_>) -> anyhow::Result<Vec<usize>> {
        let places_count = self.0.len();
        let connections = connection.count.div_ceil(places_count);
        let groups = &self.0[&connection.place.address];
        let own = groups.iter().skip(connection.index / places_count).step_by(connections).copied();
        let own: Vec<usize> = own.collect();
        anyhow::ensure!(!own.is_empty(), "more --connections than --groups at {}", connection.place.address);
        Ok(own)
    }
}
