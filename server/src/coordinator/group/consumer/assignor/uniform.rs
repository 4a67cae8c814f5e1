//! Even numbers of partitions, and as few moves as possible: each partition stays where it was; what is free goes to
//! the least loaded subscriber; then partitions move from loaded members to ones with at least two fewer.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::range::subscribers;
use super::{Assignment, MemberSpec};

/// See [`super::Assignor::Uniform`].
pub fn assign(members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32) -> Vec<Assignment> {
    let subscribers = subscribers(members);
    let mut loads = vec![0usize; members.len()];
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        for (topic_id, partitions) in member.current.into_iter().flatten() {
            if !member.subscribed.contains(topic_id) {
                continue;
            }
            let count = partitions_count(*topic_id);
            for partition in partitions.iter().filter(|partition| **partition < count) {
                if let std::collections::btree_map::Entry::Vacant(free) = owners.entry((*topic_id, *partition)) {
                    free.insert(at);
                    loads[at] += 1;
                }
            }
        }
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
    let mut assignments = vec![Assignment::new(); members.len()];
    for ((topic_id, partition), owner) in owners {
        assignments[owner].entry(topic_id).or_default().insert(partition);
    }
    assignments
}

fn least_loaded(subscribers: &[usize], loads: &[usize]) -> usize {
    *subscribers.iter().min_by_key(|at| loads[**at]).expect("a subscribed topic has a subscriber")
}
