//! What members subscribe to: topics by name, and by a regular expression that a name must match whole.
//!
//! Invariant: each member of the group is counted once, with what it subscribes to now.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use uuid::Uuid;

use super::member::Member;
use super::re2::to_regex;
use crate::coordinator::group::Topics;

/// Memory of one compiled expression.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Expressions of one group whose topics are kept; those of more are looked for each time.
const RESOLVED_MAX: usize = 256;

/// The expression, if it is one: also by itself, which `a)|(?:b` is not.
pub fn compile(expression: &str) -> Option<Regex> {
    let expression = to_regex(expression);
    let build = |expression: &str| RegexBuilder::new(expression).size_limit(REGEX_BYTES_MAX).build().ok();
    build(&expression)?;
    build(&format!("^(?:{expression})$"))
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

/// What the members of a group subscribe to, counted as they come and go: a heartbeat does not ask all of them.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Members by the name of a topic.
    names: BTreeMap<String, usize>,
    expressions: BTreeMap<String, Expression>,
}

#[derive(Debug, Default)]
struct Expression {
    members: usize,
    /// What it matched when it was last resolved.
    topics: Option<BTreeSet<Uuid>>,
}

impl Subscriptions {
    /// A member has come.
    pub fn add(&mut self, member: &Member) {
        for name in &member.topic_names {
            match self.names.get_mut(name) {
                Some(members) => *members += 1,
                None => _ = self.names.insert(name.clone(), 1),
            }
        }
        if let Some(expression) = &member.regex {
            self.expressions.entry(expression.clone()).or_default().members += 1;
        }
    }

    /// A member has gone.
    pub fn remove(&mut self, member: &Member) {
        for name in &member.topic_names {
            let members = self.names.get_mut(name).expect("counted when it came");
            *members -= 1;
            if *members == 0 {
                self.names.remove(name);
            }
        }
        if let Some(expression) = &member.regex {
            let found = self.expressions.get_mut(expression).expect("counted when it came");
            found.members -= 1;
            if found.members == 0 {
                self.expressions.remove(expression);
            }
        }
    }

    /// Whether a member subscribes by this expression.
    pub fn has_expression(&self, expression: &str) -> bool {
        self.expressions.contains_key(expression)
    }

    /// Whether a member reads the topic.
    pub fn contains(&self, topic: &str) -> bool {
        let matches = |expression: &String| compile(expression).is_some_and(|regex| regex.is_match(topic));
        self.names.contains_key(topic) || self.expressions.keys().any(matches)
    }

    /// Looks for the topics of expressions: of all if topics `have_changed`, else of those that are new.
    pub fn resolve(&mut self, topics: &dyn Topics, have_changed: bool) {
        for (at, (expression, found)) in self.expressions.iter_mut().enumerate() {
            if have_changed || at >= RESOLVED_MAX {
                found.topics = None;
            }
            if at < RESOLVED_MAX {
                found.topics.get_or_insert_with(|| matched(expression, topics));
            }
        }
    }

    fn matched(&self, expression: &str, topics: &dyn Topics) -> Cow<'_, BTreeSet<Uuid>> {
        match self.expressions.get(expression) {
            Some(Expression { topics: Some(resolved), .. }) => Cow::Borrowed(resolved),
            _ => Cow::Owned(matched(expression, topics)),
        }
    }

    /// Whether a topic is one of a member.
    pub fn filter_of(&self, member: &Member, topics: &dyn Topics) -> impl Fn(&Uuid) -> bool {
        let named = named(member, topics);
        let matched = member.regex.as_deref().map(|expression| self.matched(expression, topics));
        move |topic_id| named.contains(topic_id) || matched.as_ref().is_some_and(|matched| matched.contains(topic_id))
    }

    /// The topics of a member that exist.
    pub fn of_member(&self, member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
        let mut found = named(member, topics);
        if let Some(expression) = &member.regex {
            found.extend(&*self.matched(expression, topics));
        }
        found
    }

    /// Changes when a subscribed topic comes, goes, or gets partitions. The same on every start of the broker.
    pub fn hash(&self, topics: &dyn Topics) -> i64 {
        let mut subscribed: BTreeSet<Uuid> = self.names.keys().filter_map(|name| topics.id(name)).collect();
        for expression in self.expressions.keys() {
            subscribed.extend(&*self.matched(expression, topics));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::group::tests::harness::TestTopics;

    fn member(names: &[&str], regex: Option<&str>) -> Member {
        let topic_names = names.iter().map(|name| (*name).to_owned()).collect();
        Member { topic_names, regex: regex.map(str::to_owned), ..Member::new("m".into()) }
    }

    #[test]
    fn an_expression_is_one_by_itself_and_matches_whole_names() {
        assert!(compile("a)|(?:b").is_none());
        let matched = |expression| {
            let regex = compile(expression).expect("an expression");
            ["a", "b", "ab", "ba"].map(|topic| regex.is_match(topic))
        };
        assert_eq!(matched("a|b"), [true, true, false, false]);
    }

    #[test]
    fn expressions_are_read_as_by_re2j() {
        let matches = |expression, topic| compile(expression).expect("an expression").is_match(topic);
        assert!(matches(r"\Qa.b\E", "a.b") && !matches(r"\Qa.b\E", "aab") && matches(r"\141", "a"));
        assert!(matches("[a&&b]", "a") && matches("[a~~c]", "c") && matches("[a[b]]", "b]") && matches("[a-c-e]", "-"));
        let refused = [r"\1", "[ab--a]", "a**b)", "(", r"[\Qa\E]", r"a\E"];
        assert!(refused.iter().all(|expression| compile(expression).is_none()));
    }

    #[test]
    fn members_are_counted_as_they_come_and_go() {
        let (mut subscriptions, mut topics) = (Subscriptions::default(), TestTopics::default());
        topics.set(&[("t", 1), ("u", 1)]);
        let members = [member(&["t"], None), member(&["t"], Some("u")), member(&[], Some("u"))];
        members.iter().for_each(|member| subscriptions.add(member));
        let hash = subscriptions.hash(&topics);
        subscriptions.remove(&members[0]);
        subscriptions.remove(&members[2]);
        assert_eq!((subscriptions.contains("t"), subscriptions.contains("u")), (true, true));
        assert_eq!(subscriptions.hash(&topics), hash, "the other member reads both");
        subscriptions.remove(&members[1]);
        assert_eq!((subscriptions.contains("t"), subscriptions.has_expression("u")), (false, false));
        assert_eq!(subscriptions.hash(&topics), 0);
    }

    #[test]
    fn topics_of_expressions_are_kept_until_topics_change() {
        let (mut subscriptions, mut topics) = (Subscriptions::default(), TestTopics::default());
        topics.set(&[("u", 1)]);
        let reader = member(&[], Some("u|v"));
        subscriptions.add(&reader);
        subscriptions.resolve(&topics, true);
        topics.set(&[("u", 1), ("v", 1)]);
        let mut count = |have_changed| {
            subscriptions.resolve(&topics, have_changed);
            subscriptions.of_member(&reader, &topics).len()
        };
        assert_eq!((count(false), count(true)), (1, 2));
    }

    #[test]
    fn no_more_than_a_bound_of_expressions_keep_their_topics_and_all_match() {
        let (mut subscriptions, mut topics) = (Subscriptions::default(), TestTopics::default());
        topics.set(&[("t", 1)]);
        let readers: Vec<Member> = (0..2 * RESOLVED_MAX).map(|at| member(&[], Some(&format!("t|{at}")))).collect();
        readers.iter().for_each(|member| subscriptions.add(member));
        subscriptions.resolve(&topics, true);
        assert_eq!(subscriptions.expressions.values().filter(|found| found.topics.is_some()).count(), RESOLVED_MAX);
        let [t, unknown] = [1, 2].map(Uuid::from_u128);
        assert!(readers.iter().all(|member| subscriptions.of_member(member, &topics) == BTreeSet::from([t])));
        let filters = || readers.iter().map(|member| subscriptions.filter_of(member, &topics));
        assert!(filters().all(|is_read| is_read(&t) && !is_read(&unknown)));
    }
}
