//! Even numbers of partitions, and as few moves as possible.
//!
//! Where all subscribe alike, each keeps the first partitions that it has, up to its share, and takes from what is free
//! what it lacks: the shape of Kafka's assignments. Else each partition stays where it was; what is free goes to the
//! least loaded subscriber; then partitions move from loaded members to ones with at least two fewer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use uuid::Uuid;

use super::range::subscribers;
use super::{Assignment, MemberSpec};

type Owners = BTreeMap<(Uuid, i32), usize>;

/// See [`super::Assignor::Uniform`].
pub fn assign(members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32) -> Vec<Assignment> {
    let owners = current_owners(members, partitions_count);
    let are_alike = members.windows(2).all(|pair| pair[0].subscribed == pair[1].subscribed);
    let owners = match members.first() {
        Some(first) if are_alike => {
            let topics = first.subscribed.iter();
            let all = topics.flat_map(|topic_id| (0..partitions_count(*topic_id)).map(|index| (*topic_id, index)));
            assign_alike(members.len(), all.collect(), &owners)
        }
        _ => assign_by_load(members, partitions_count, owners),
    };
    let mut assignments = vec![Assignment::new(); members.len()];
    for ((topic_id, partition), owner) in owners {
        assignments[owner].entry(topic_id).or_default().insert(partition);
    }
    assignments
}

/// Who was to have what, of what there is and is still subscribed to.
fn current_owners(members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32) -> Owners {
    let mut owners = Owners::new();
    for (at, member) in members.iter().enumerate() {
        let current =
            member.current.into_iter().flatten().filter(|(topic_id, _)| member.subscribed.contains(*topic_id));
        for (topic_id, partitions) in current {
            let count = partitions_count(*topic_id);
            for partition in partitions.iter().filter(|partition| **partition < count) {
                if let Entry::Vacant(free) = owners.entry((*topic_id, *partition)) {
                    free.insert(at);
                }
            }
        }
    }
    owners
}

/// Each member may read all partitions.
fn assign_alike(members_count: usize, all: Vec<(Uuid, i32)>, current: &Owners) -> Owners {
    // So many members have one partition more than the others.
    let (share, mut larger) = (all.len() / members_count, all.len() % members_count);
    let mut held = vec![Vec::new(); members_count];
    for (partition, owner) in current {
        held[*owner].push(*partition);
    }
    let mut owners = Owners::new();
    let mut free: Vec<(Uuid, i32)> = all.into_iter().filter(|partition| !current.contains_key(partition)).collect();
    let mut lacking = Vec::new();
    for (at, held) in held.into_iter().enumerate() {
        let quota = share + usize::from(larger > 0);
        let kept = held.len().min(quota);
        owners.extend(held[..kept].iter().map(|partition| (*partition, at)));
        free.extend(&held[kept..]);
        // One that must take something anyway leaves the larger share to others, as long as there are enough of them.
        let leaves_larger = kept < quota && members_count - at > larger;
        let takes_larger = larger > 0 && !leaves_larger;
        larger -= usize::from(takes_larger);
        lacking.push(share + usize::from(takes_larger) - kept);
    }
    let takers = lacking.into_iter().enumerate().flat_map(|(at, count)| std::iter::repeat_n(at, count));
    owners.extend(free.into_iter().zip(takers));
    owners
}

/// Members may read different topics.
fn assign_by_load(members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32, mut owners: Owners) -> Owners {
    let subscribers = subscribers(members);
    let mut loads = vec![0usize; members.len()];
    for owner in owners.values() {
        loads[*owner] += 1;
    }
    for (topic_id, subscribers) in &subscribers {
        for partition in 0..partitions_count(*topic_id) {
            owners.entry((*topic_id, partition)).or_insert_with(|| {
                let at = least_loaded(subscribers, &loads);
                loads[at] += 1;
                at
            });
        }
    }
    // Each move makes the loads more even, so this ends.
    let mut is_even = false;
    while !is_even {
        is_even = true;
        // The least loaded subscriber of a topic, until somebody's load changes.
        let mut known: Option<(Uuid, usize)> = None;
        // The last partitions go, as in Kafka: the first ones stay with who had them.
        for ((topic_id, _), owner) in owners.iter_mut().rev() {
            let least = match known {
                Some((of, least)) if of == *topic_id => least,
                _ => least_loaded(&subscribers[topic_id], &loads),
            };
            known = Some((*topic_id, least));
            if loads[least] + 1 < loads[*owner] {
                known = None;
                loads[*owner] -= 1;
                loads[least] += 1;
                *owner = least;
                is_even = false;
            }
        }
    }
    owners
}

fn least_loaded(subscribers: &[usize], loads: &[usize]) -> usize {
    *subscribers.iter().min_by_key(|at| loads[**at]).expect("a subscribed topic has a subscriber")
}
