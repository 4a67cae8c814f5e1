//! Who is to read which partition.
//!
//! Invariants: each partition of a subscribed topic goes to exactly one member that subscribes to it; the same input
//! gives the same output.
//!
//! The racks of members are kept, recorded and described, and have no part in this: those of Kafka (4.3) do not look at
//! them either.

mod range;
mod uniform;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Assignment;

/// The assignors of the broker, under Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Even numbers, and as few moves as possible.
    Uniform,
    /// Contiguous ranges of each topic, so that equal partitions of several topics meet at one member.
    Range,
}

/// A member as an assignor sees it.
#[derive(Debug)]
pub struct MemberSpec<'a> {
    /// Its id.
    pub member_id: &'a str,
    /// Static membership: keeps its place in the order over restarts.
    pub instance_id: Option<&'a str>,
    /// Topics that exist.
    pub subscribed: &'a BTreeSet<Uuid>,
    /// What it was to have before.
    pub current: Option<&'a Assignment>,
}

impl Assignor {
    /// By Kafka's name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// An assignment for each member, in their order.
    pub fn assign(self, members: &[MemberSpec<'_>], partitions_count: &dyn Fn(Uuid) -> i32) -> Vec<Assignment> {
        match self {
            Self::Uniform => uniform::assign(members, partitions_count),
            Self::Range => range::assign(members, partitions_count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn topic(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    struct Members {
        ids: Vec<String>,
        subscribed: Vec<BTreeSet<Uuid>>,
        current: Vec<Assignment>,
    }

    impl Members {
        fn new(subscribed: Vec<Vec<u128>>) -> Self {
            let subscribed: Vec<BTreeSet<Uuid>> =
                subscribed.into_iter().map(|topics| topics.into_iter().map(topic).collect()).collect();
            let ids = (0..subscribed.len()).map(|number| format!("m{number}")).collect();
            Self { ids, current: vec![Assignment::new(); subscribed.len()], subscribed }
        }

        fn assign(&mut self, assignor: Assignor, counts: &BTreeMap<Uuid, i32>) {
            let specs: Vec<MemberSpec<'_>> = (0..self.ids.len())
                .map(|at| MemberSpec {
                    member_id: &self.ids[at],
                    instance_id: None,
                    subscribed: &self.subscribed[at],
                    current: Some(&self.current[at]),
                })
                .collect();
            self.current = assignor.assign(&specs, &|topic_id| counts.get(&topic_id).copied().unwrap_or(0));
            self.check(counts);
        }

        fn check(&self, counts: &BTreeMap<Uuid, i32>) {
            let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
            for (at, assignment) in self.current.iter().enumerate() {
                for (topic_id, partitions) in assignment {
                    assert!(self.subscribed[at].contains(topic_id), "not subscribed");
                    for partition in partitions {
                        assert!((0..counts[topic_id]).contains(partition));
                        assert_eq!(owners.insert((*topic_id, *partition), at), None, "two owners");
                    }
                }
            }
            let wanted = counts.iter().filter(|(topic_id, _)| self.subscribed.iter().any(|s| s.contains(topic_id)));
            assert_eq!(owners.len() as i32, wanted.map(|(_, count)| *count).sum::<i32>(), "all are assigned");
        }

        fn loads(&self) -> Vec<usize> {
            self.current.iter().map(|assignment| assignment.values().map(BTreeSet::len).sum()).collect()
        }
    }

    #[test]
    fn uniform_is_even_and_moves_little() {
        let counts = BTreeMap::from([(topic(1), 7), (topic(2), 5)]);
        let mut members = Members::new(vec![vec![1, 2]; 3]);
        members.assign(Assignor::Uniform, &counts);
        assert_eq!(members.loads(), [4, 4, 4]);
        let before = members.current.clone();
        members.ids.push("m3".to_owned());
        members.subscribed.push(members.subscribed[0].clone());
        members.current.push(Assignment::new());
        members.assign(Assignor::Uniform, &counts);
        assert_eq!(members.loads(), [3, 3, 3, 3]);
        for (before, after) in before.iter().zip(&members.current) {
            let kept: usize =
                after.iter().map(|(topic_id, partitions)| partitions.intersection(&before[topic_id]).count()).sum();
            assert_eq!(kept, 3, "nobody gets what another had");
        }
        let settled = members.current.clone();
        members.assign(Assignor::Uniform, &counts);
        assert_eq!(members.current, settled);
    }

    #[test]
    fn uniform_has_the_shape_of_kafkas() {
        let shape = |before: &[i32], count: i32, members_count: usize| {
            let mut members = Members::new(vec![vec![1]; members_count]);
            members.current[0].insert(topic(1), before.iter().copied().collect());
            members.assign(Assignor::Uniform, &BTreeMap::from([(topic(1), count)]));
            let partitions = members.current.iter().map(|assignment| assignment.get(&topic(1)).into_iter().flatten());
            partitions.map(|partitions| partitions.copied().collect()).collect::<Vec<Vec<i32>>>()
        };
        assert_eq!(shape(&[0, 1, 2, 3, 4, 5], 6, 3), [[0, 1], [2, 3], [4, 5]]);
        assert_eq!(shape(&[0, 1, 2, 3, 4], 5, 3), [vec![0, 1], vec![2], vec![3, 4]]);
        assert_eq!(shape(&[3], 4, 3), [vec![3], vec![0], vec![1, 2]]);
        assert_eq!(shape(&[0], 1, 3), [vec![0], vec![], vec![]]);
    }

    #[test]
    fn uniform_respects_different_subscriptions() {
        let counts = BTreeMap::from([(topic(1), 6), (topic(2), 2)]);
        let mut members = Members::new(vec![vec![1, 2], vec![1], vec![2], vec![]]);
        members.assign(Assignor::Uniform, &counts);
        assert_eq!(members.loads(), [3, 3, 2, 0]);
    }

    #[test]
    fn range_gives_equal_partitions_of_topics_to_one_member() {
        let counts = BTreeMap::from([(topic(1), 5), (topic(2), 5)]);
        let mut members = Members::new(vec![vec![1, 2]; 2]);
        members.assign(Assignor::Range, &counts);
        assert_eq!(members.loads(), [6, 4]);
        for assignment in &members.current {
            assert_eq!(assignment[&topic(1)], assignment[&topic(2)]);
        }
        assert_eq!(members.current[0][&topic(1)], BTreeSet::from([0, 1, 2]));
    }
}
