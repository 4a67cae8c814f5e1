//! Contiguous ranges: of each topic, the members that subscribe to it get one range each, in a fixed order.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Assignment, MemberSpec};

/// See [`super::Assignor::Range`].
pub fn assign(members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32) -> Vec<Assignment> {
    let mut assignments = vec![Assignment::new(); members.len()];
    for (topic_id, mut subscribers) in subscribers(members) {
        // Static members first, by instance id, so that a restart under another member id moves nothing.
        subscribers.sort_by_key(|at| {
            let MemberSpec { member_id, instance_id, .. } = members[*at];
            (instance_id.is_none(), instance_id, member_id)
        });
        let (count, members_count) = (partitions_count(topic_id), subscribers.len() as i32);
        let (quota, larger) = (count / members_count, count % members_count);
        let mut first = 0;
        for (place, at) in (0..).zip(subscribers) {
            let end = first + quota + i32::from(place < larger);
            if end > first {
                assignments[at].insert(topic_id, (first..end).collect());
            }
            first = end;
        }
    }
    assignments
}

/// The members that subscribe to each topic.
pub fn subscribers(members: &[MemberSpec<'_>]) -> BTreeMap<Uuid, Vec<usize>> {
    let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        for topic_id in member.subscribed {
            subscribers.entry(*topic_id).or_default().push(at);
        }
    }
    subscribers
}
