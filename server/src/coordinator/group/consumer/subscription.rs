//! What members subscribe to: topics by name, and by a regular expression in RE2's syntax that a name must match whole.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use uuid::Uuid;

use super::ConsumerGroup;
use super::member::Member;
use crate::coordinator::group::Topics;

/// Memory of one compiled expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The expression, if it is one.
pub fn compile(expression: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(REGEX_BYTES_MAX).build().ok()
}

/// The topics of a member that exist.
pub fn of_member(member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
    let mut found = named(member, topics);
    found.extend(member.regex.iter().flat_map(|expression| matched(expression, topics)));
    found
}

fn named(member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
    member.topic_names.iter().filter_map(|name| topics.id(name)).collect()
}

/// The topics that an expression matches. Those of the broker itself are not among them.
fn matched(expression: &str, topics: &dyn Topics) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    if let Some(regex) = compile(expression) {
        topics.for_each(&mut |name, topic_id, is_internal| {
            if !is_internal && regex.is_match(name) {
                found.insert(topic_id);
            }
        });
    }
    found
}

impl ConsumerGroup {
    fn resolve_regexes(&self, topics: &dyn Topics) -> BTreeMap<&str, BTreeSet<Uuid>> {
        let mut resolved: BTreeMap<&str, BTreeSet<Uuid>> = BTreeMap::new();
        for expression in self.members.values().filter_map(|member| member.regex.as_deref()) {
            resolved.entry(expression).or_insert_with(|| matched(expression, topics));
        }
        resolved
    }

    /// The topics of each member that exist, in the order of the members.
    pub(super) fn subscriptions(&self, topics: &dyn Topics) -> Vec<BTreeSet<Uuid>> {
        let resolved = self.resolve_regexes(topics);
        let of_member = |member: &Member| {
            let mut found = named(member, topics);
            if let Some(matched) = member.regex.as_deref().and_then(|expression| resolved.get(expression)) {
                found.extend(matched);
            }
            found
        };
        self.members.values().map(of_member).collect()
    }

    /// Changes when a subscribed topic comes, goes, or gets partitions. The same on every start of the broker.
    pub(super) fn hash_topics(&self, topics: &dyn Topics) -> i64 {
        let subscribed: BTreeSet<Uuid> = self.subscriptions(topics).into_iter().flatten().collect();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for topic_id in &subscribed {
            let count = topics.partitions_count(*topic_id).unwrap_or(0);
            for byte in topic_id.as_bytes().iter().copied().chain(count.to_be_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        if subscribed.is_empty() { 0 } else { hash as i64 }
    }
}
