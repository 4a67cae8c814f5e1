//! `group.consumer.assignment.interval.ms`: between two target assignments of a group lies some time, however many join.

use std::collections::BTreeSet;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;

use super::harness::{GROUP, Harness, assignment, heartbeat_848, join, sync};
use crate::config::GroupSettings;
use crate::coordinator::group::{
    ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply, GroupReply, GroupRequest,
};

fn harness() -> Harness {
    let mut harness = Harness::new(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() });
    harness.topics.set(&[("t", 4), ("u", 2)]);
    harness.assignment_interval_ms = 1000;
    harness
}

fn beat(harness: &mut Harness, request: ConsumerHeartbeat) -> ConsumerHeartbeatReply {
    match harness.ask(GroupRequest::ConsumerHeartbeat(request)) {
        GroupReply::ConsumerHeartbeat(reply) => reply.expect("a member"),
        other => panic!("{other:?}"),
    }
}

fn partitions(reply: &ConsumerHeartbeatReply) -> Option<usize> {
    reply.assignment.as_ref().map(|assignment| assignment.values().map(BTreeSet::len).sum())
}

fn describe(harness: &mut Harness) -> ConsumerGroupDescription {
    match harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned())) {
        GroupReply::ConsumerDescribe(description) => description.expect("a group"),
        other => panic!("{other:?}"),
    }
}

/// How many targets were computed so far.
fn targets(harness: &Harness) -> usize {
    let decode = |key: &[u8], value: Option<&[u8]>| {
        let record = CoordinatorRecord::decode(key, value).expect("own bytes");
        matches!(record, Some(CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(_, Some(_))))
    };
    harness.log.iter().filter(|record| decode(&record.key, record.value.as_deref())).count()
}

#[test]
fn a_storm_of_joins_computes_few_targets() {
    let mut harness = harness();
    let first = beat(&mut harness, heartbeat_848("first", 0));
    assert_eq!((first.member_epoch, partitions(&first)), (2, Some(4)), "the first target waits for nothing");
    for number in 0..100 {
        let joined = beat(&mut harness, heartbeat_848(&format!("m{number}"), 0));
        assert_eq!((joined.member_epoch, partitions(&joined)), (2, Some(0)));
        harness.pass(9);
    }
    let group = describe(&mut harness);
    assert_eq!((group.state, group.group_epoch, group.assignment_epoch, targets(&harness)), ("Assigning", 102, 2, 1));
    harness.reload();
    let early = beat(&mut harness, heartbeat_848("first", 2));
    assert_eq!((early.member_epoch, early.assignment), (2, None), "900 ms, across a restart");
    harness.pass(100);
    let kept = beat(&mut harness, heartbeat_848("first", 2));
    assert_eq!((kept.member_epoch, partitions(&kept)), (2, Some(1)), "gives up what others are to have");
    assert_eq!((describe(&mut harness).assignment_epoch, targets(&harness)), (102, 2));
    let released = ConsumerHeartbeat { owned: kept.assignment, ..heartbeat_848("first", 2) };
    assert_eq!(beat(&mut harness, released).member_epoch, 102);
    let given: usize =
        (0..100).filter_map(|number| partitions(&beat(&mut harness, heartbeat_848(&format!("m{number}"), 2)))).sum();
    assert_eq!((given, describe(&mut harness).state, targets(&harness)), (3, "Stable", 2));
}

#[test]
fn a_wall_clock_that_went_back_keeps_nobody_waiting() {
    let mut harness = harness();
    beat(&mut harness, heartbeat_848("a", 0));
    harness.now.wall_ms -= 3_600_000;
    beat(&mut harness, heartbeat_848("b", 0));
    assert_eq!((describe(&mut harness).state, targets(&harness)), ("Reconciling", 2));
}

#[test]
fn a_group_has_an_interval_of_its_own_within_the_bounds() {
    let mut harness = harness();
    let own = |ms: &str| [("consumer.assignment.interval.ms".to_owned(), ms.to_owned())].into();
    harness.configs.insert(GROUP.to_owned(), own("20000"));
    beat(&mut harness, heartbeat_848("a", 0));
    beat(&mut harness, heartbeat_848("b", 0));
    harness.pass(14_000);
    beat(&mut harness, heartbeat_848("b", 2));
    assert_eq!(targets(&harness), 1, "more than the 1 s of the broker");
    harness.pass(1000);
    beat(&mut harness, heartbeat_848("b", 2));
    assert_eq!(targets(&harness), 2, "the longest that can be set is 15 s");
    harness.configs.insert(GROUP.to_owned(), own("0"));
    beat(&mut harness, heartbeat_848("c", 0));
    assert_eq!(targets(&harness), 3);
}

#[test]
fn what_a_member_no_longer_subscribes_to_goes_at_once() {
    let mut harness = harness();
    let subscribes = |topics: &[&str], request| ConsumerHeartbeat {
        topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        ..request
    };
    let both = beat(&mut harness, subscribes(&["t", "u"], heartbeat_848("a", 0)));
    assert_eq!(partitions(&both), Some(6));
    let one = beat(&mut harness, subscribes(&["t"], heartbeat_848("a", 2)));
    assert_eq!((one.member_epoch, partitions(&one), targets(&harness)), (2, Some(4), 1), "of the target of before");
    let released = ConsumerHeartbeat { owned: one.assignment, ..heartbeat_848("a", 2) };
    assert_eq!(beat(&mut harness, released).member_epoch, 2);
    harness.reload();
    let again = beat(&mut harness, subscribes(&["u", "t"], heartbeat_848("a", 2)));
    assert_eq!((again.member_epoch, partitions(&again), targets(&harness)), (2, Some(6), 1));
    let gone = beat(&mut harness, subscribes(&["none"], heartbeat_848("a", 2)));
    assert_eq!(partitions(&gone), Some(0));
    harness.pass(1000);
    let released = ConsumerHeartbeat { owned: gone.assignment, ..heartbeat_848("a", 2) };
    assert_eq!((beat(&mut harness, released).member_epoch, targets(&harness)), (5, 2));
}

#[test]
fn a_classic_member_joins_again_when_that_brings_a_target() {
    let mut harness = harness();
    harness.assignment_of = |_, _| assignment("t", &[0, 1, 2, 3]);
    let (ids, generation) = harness.stable_group(1);
    beat(&mut harness, heartbeat_848("new", 0));
    let rejoin = |harness: &mut Harness, generation| {
        assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
        let token = harness.send(GroupRequest::Join(join(&ids[0], &["range"])));
        let joined = harness.take_join(token).expect("answered at once");
        let token = harness.send(GroupRequest::Sync(sync(&ids[0], joined.generation_id)));
        harness.take_sync(token).expect("answered at once").expect("synced");
        joined.generation_id
    };
    let generation = rejoin(&mut harness, generation);
    beat(&mut harness, heartbeat_848("another", 0));
    let before = targets(&harness);
    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::NONE, "there is nothing new yet");
    harness.pass(1000);
    let generation = rejoin(&mut harness, generation);
    assert_eq!((targets(&harness), harness.heartbeat(&ids[0], generation)), (before + 1, ErrorCode::NONE));
    assert!(describe(&mut harness).members.iter().all(|member| member.member_epoch <= generation));
}
