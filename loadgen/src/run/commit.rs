//! Commits and questions for what was committed: each connection gets groups of one coordinator.

use std::cell::RefCell;
use std::sync::Arc;

use super::Load;
use super::groups::at_coordinators;
use super::pipes::{Connection, run};
use crate::client::{Asker, Target, TopicSpec};
use crate::findings::Findings;
use crate::measured::Measured;
use crate::workload::{Commit, Commits, FetchOffsets};

/// Commits for `groups_count` groups, each for all partitions of the target; at the end every group is asked what it
/// has.
pub fn commit(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    prefix: &str,
    groups_count: usize,
) -> anyhow::Result<Measured> {
    let commits = Commits::new(target, prefix, groups_count, target.wall_clock_ms)?;
    let verify = || {
        let findings = RefCell::new(Findings::default());
        let coordinators = at_coordinators(target, commits.group_ids(), async |group, asker: &mut Asker| {
            let mut of_group = Findings::default();
            commits.verify(group, asker, &mut of_group).await?;
            findings.borrow_mut().merge(&of_group);
            Ok(())
        })?;
        anyhow::Ok((coordinators, findings.into_inner()))
    };
    let (coordinators, _) = verify()?;
    let places = coordinators.places(target, |group| commits.group_id(group).to_owned());
    let mut measured = run(load, topic, &places, |connection: &Connection<'_>| {
        Ok(Commit::new(&commits, coordinators.share(connection)?))
    })?;
    let (_, findings) = verify()?;
    measured.findings.merge(&findings);
    Ok(measured)
}

/// Asks `groups_count` groups, which commit once before, what they have committed for all partitions of the target.
pub fn fetch_offsets(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    prefix: &str,
    groups_count: usize,
) -> anyhow::Result<Measured> {
    let commits = Commits::new(target, prefix, groups_count, target.wall_clock_ms)?;
    let coordinators = at_coordinators(target, commits.group_ids(), async |group, asker: &mut Asker| {
        commits.commit_first(group, asker).await
    })?;
    let places = coordinators.places(target, |group| commits.group_id(group).to_owned());
    run(load, topic, &places, |connection: &Connection<'_>| {
        Ok(FetchOffsets::new(&Arc::clone(&commits), coordinators.share(connection)?))
    })
}
