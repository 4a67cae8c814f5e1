//! Commits: the coordinators are looked up, each connection gets groups of one of them, and at the end every group is
//! asked what it has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::reactor::Reactor;

use super::pipes::{Connection, Place, run};
use super::{Load, is_retriable, reactor, stop};
use crate::client::{Asker, SetupError, Target, TopicSpec};
use crate::findings::Findings;
use crate::measured::Measured;
use crate::workload::{Commit, Commits};

/// How often a coordinator is asked for, with a pause of `RETRY` in between: the first commit creates the topic of offsets.
const ATTEMPTS_MAX: usize = 300;
const RETRY: Duration = Duration::from_millis(100);

/// Commits for `groups_count` groups, each for all partitions of the target.
pub fn commit(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    prefix: &str,
    groups_count: usize,
) -> anyhow::Result<Measured> {
    let commits = Commits::new(target, prefix, groups_count, target.wall_clock_ms)?;
    let mut findings = Findings::default();
    let coordinators = ask_on_a_ring(target, &commits, &mut findings)?;
    let places: Vec<Place> =
        coordinators.keys().map(|address| place(*address, target, &coordinators, &commits)).collect();
    let mut measured = run(load, topic, &places, |connection: &Connection<'_>| {
        let groups = &coordinators[&connection.place.address];
        let own = share(groups, connection, places.len());
        anyhow::ensure!(!own.is_empty(), "more --connections than --groups at {}", connection.place.address);
        Ok(Commit::new(&commits, own))
    })?;
    ask_on_a_ring(target, &commits, &mut measured.findings)?;
    Ok(measured)
}

/// The groups of each coordinator, by number.
type Coordinators = BTreeMap<SocketAddr, Vec<usize>>;

fn place(address: SocketAddr, target: &Target, coordinators: &Coordinators, commits: &Commits) -> Place {
    let group_id = commits.group_ids().nth(coordinators[&address][0]).map(str::to_owned);
    Place { address, bootstrap: target.bootstrap, partitions: Vec::new(), group_id }
}

/// The groups of one of the connections to the same coordinator. No two share one, else a late commit of one could
/// overtake a newer one of the other.
fn share(groups: &[usize], connection: &Connection<'_>, places_count: usize) -> Vec<usize> {
    let connections = connection.count.div_ceil(places_count);
    groups.iter().skip(connection.index / places_count).step_by(connections).copied().collect()
}

fn ask_on_a_ring(target: &Target, commits: &Commits, findings: &mut Findings) -> anyhow::Result<Coordinators> {
    let reactor = reactor()?;
    let asked = reactor.block_on(ask_all(&reactor, target, commits, findings));
    stop(&reactor)?;
    asked.context("ask the coordinators")
}

/// Asks each group's coordinator what it has, and waits for one that is not ready or has just moved.
async fn ask_all(
    reactor: &Reactor,
    target: &Target,
    commits: &Commits,
    findings: &mut Findings,
) -> Result<Coordinators, SetupError> {
    let mut asker = Asker::connect(reactor, target.bootstrap).await?;
    let mut coordinators = Coordinators::new();
    let mut askers: BTreeMap<SocketAddr, Asker> = BTreeMap::new();
    for (index, group_id) in commits.group_ids().enumerate() {
        let mut attempts = 0;
        let address = loop {
            match ask(reactor, &mut asker, &mut askers, (commits, index, group_id), findings).await {
                Err(SetupError::Refused { code, .. }) if is_retriable(code) && attempts < ATTEMPTS_MAX => attempts += 1,
                answer => break answer?,
            }
            reactor.sleep(RETRY).await;
        };
        coordinators.entry(address).or_default().push(index);
    }
    Ok(coordinators)
}

async fn ask(
    reactor: &Reactor,
    asker: &mut Asker,
    askers: &mut BTreeMap<SocketAddr, Asker>,
    (commits, index, group_id): (&Commits, usize, &str),
    findings: &mut Findings,
) -> Result<SocketAddr, SetupError> {
    let address = asker.coordinator(group_id).await?;
    let mut at = match askers.remove(&address) {
        Some(known) => known,
        None => Asker::connect(reactor, address).await?,
    };
    let verified = commits.verify(index, &mut at, findings).await;
    askers.insert(address, at);
    verified.map(|()| address)
}
