//! The truth about groups that a run is compared with: who holds which partition, and what was committed.
//!
//! Rules:
//! - In one epoch (or generation) a partition has one owner, ever.
//! - A member holds what an answer gave it for [`LEASE`](super::LEASE) from the moment it asked; meanwhile nobody else is
//!   given any of it. Where the answer takes something away, earlier ones may have, that were lost: there it counts from the
//!   first time that it asked in vain.
//! - A committed offset is the last one that was acked, or one whose answer was lost. When a commit that a member sent in a
//!   later epoch was acked, one that another sent in an earlier epoch is refused, whether it was sent before or is sent now.
//!
//! A group of both protocols counts its epochs anew when it was empty, as in Kafka: there only the second rule holds.

use std::collections::{BTreeMap, BTreeSet};

/// All groups.
#[derive(Debug, Default)]
pub struct GroupsModel {
    groups: BTreeMap<String, GroupModel>,
    /// What happened, to see that a run is not idle.
    pub assignments: u64,
    pub acked_commits: u64,
}

#[derive(Debug)]
struct GroupModel {
    members_count: usize,
    counts_anew: bool,
    holdings: BTreeMap<String, Holding>,
    /// By partition and epoch.
    owners: BTreeMap<(i32, i32), String>,
    commits: Vec<Commits>,
}

/// What one member has.
#[derive(Debug, Clone, PartialEq)]
struct Holding {
    epoch: i32,
    partitions: BTreeSet<i32>,
    /// Virtual time at which it must take itself for expelled.
    until: u64,
}

/// Of one partition. Each commit has a higher offset than those before, so that the offset names it.
#[derive(Debug)]
struct Commits {
    last: i64,
    acked: i64,
    /// The one of the latest epoch that was acked.
    newest: Option<Sent>,
    /// Sent, and not answered, by offset.
    unknown: BTreeMap<i64, Sent>,
}

/// Who sent a commit.
#[derive(Debug, Clone)]
struct Sent {
    member: String,
    epoch: i32,
    /// It must be refused.
    is_stale: bool,
}

impl GroupsModel {
    /// There is a group with so many members, when all are there; its topic has so many partitions.
    pub fn add(&mut self, name: &str, members_count: usize, is_mixed: bool, partitions_count: usize) {
        let none = || Commits { last: -1, acked: -1, newest: None, unknown: BTreeMap::new() };
        let commits = (0..partitions_count).map(|_| none()).collect();
        let (holdings, owners) = (BTreeMap::new(), BTreeMap::new());
        let group = GroupModel { members_count, counts_anew: is_mixed, holdings, owners, commits };
        self.groups.insert(name.to_owned(), group);
    }

    fn group(&mut self, name: &str) -> &mut GroupModel {
        self.groups.get_mut(name).expect("a known group")
    }

    /// A member was told, or told again, what it has. An answer that comes too late says nothing.
    pub fn holds(&mut self, name: &str, member: &str, epoch: i32, partitions: &BTreeSet<i32>, until: u64, now: u64) {
        let group = self.group(name);
        if until <= now {
            group.holdings.remove(member);
            return;
        }
        if group.counts_anew {
            group.owners.clear();
        }
        for &partition in partitions {
            let owner = group.owners.entry((partition, epoch)).or_insert_with(|| member.to_owned());
            assert_eq!(owner, member, "{name}: two owners of partition {partition} in epoch {epoch}");
            let other = group.holdings.iter().find(|(other, holding)| {
                *other != member && holding.until > now && holding.partitions.contains(&partition)
            });
            assert!(other.is_none(), "{name}: partition {partition} is given to {member}, but {other:?} holds it");
        }
        let holding = Holding { epoch, partitions: partitions.clone(), until };
        let earlier = group.holdings.insert(member.to_owned(), holding);
        let is_new = earlier.is_none_or(|earlier| (earlier.epoch, &earlier.partitions) != (epoch, partitions));
        self.assignments += u64::from(is_new);
    }

    /// A member reads nothing any more.
    pub fn holds_nothing(&mut self, name: &str, member: &str) {
        self.group(name).holdings.remove(member);
    }

    /// Whether all members are there, and all partitions are read, in one epoch.
    pub fn is_settled(&self, now: u64) -> bool {
        self.groups.values().all(|group| {
            let live = || group.holdings.values().filter(|holding| holding.until > now);
            let epochs: BTreeSet<i32> = live().map(|holding| holding.epoch).collect();
            let read: usize = live().map(|holding| holding.partitions.len()).sum();
            live().count() == group.members_count && epochs.len() == 1 && read == group.commits.len()
        })
    }

    /// The offset of a commit that is about to be sent.
    pub fn commits(&mut self, name: &str, member: &str, epoch: i32, partition: i32) -> i64 {
        let commits = &mut self.group(name).commits[partition as usize];
        let is_stale = commits.newest.as_ref().is_some_and(|newest| newest.epoch > epoch && newest.member != member);
        commits.last += 1;
        commits.unknown.insert(commits.last, Sent { member: member.to_owned(), epoch, is_stale });
        commits.last
    }

    /// The commit was acked.
    pub fn committed(&mut self, name: &str, partition: i32, offset: i64) {
        let GroupModel { commits, counts_anew, .. } = self.group(name);
        let (commits, counts_anew) = (&mut commits[partition as usize], *counts_anew);
        let sent = commits.unknown.remove(&offset);
        // Another member may have been faster to read its answer.
        commits.acked = commits.acked.max(offset);
        if let Some(sent) = sent.filter(|_| !counts_anew) {
            assert!(
                !sent.is_stale,
                "{name}: {offset} of {sent:?} is taken for {partition}, after {:?}",
                commits.newest
            );
            commits.unknown.retain(|_, other| other.member == sent.member || other.epoch >= sent.epoch);
            if commits.newest.as_ref().is_none_or(|newest| newest.epoch < sent.epoch) {
                commits.newest = Some(sent);
            }
        }
        self.acked_commits += 1;
    }

    /// The commit was refused: it is not there, and will not be.
    pub fn refused(&mut self, name: &str, partition: i32, offset: i64) {
        self.group(name).commits[partition as usize].unknown.remove(&offset);
    }

    /// For each partition what is committed at least, unless an earlier commit was late.
    pub fn acked(&mut self, name: &str) -> Vec<i64> {
        self.group(name).commits.iter().map(|commits| commits.acked).collect()
    }

    /// The broker says that this is committed; `acked`: what was before it was asked.
    pub fn sees(&mut self, name: &str, partition: i32, offset: i64, acked: i64) {
        let commits = &self.group(name).commits[partition as usize];
        let sent = commits.unknown.get(&offset);
        assert!(sent.is_none_or(|sent| !sent.is_stale), "{name}: {offset} of {partition} is there: {sent:?}");
        assert!(offset <= commits.last, "{name}: nobody committed {offset} of partition {partition}");
        assert!(
            offset >= acked || sent.is_some(),
            "{name}: {offset} is committed of partition {partition}, {acked} was acked ({commits:?})"
        );
    }
}
