use std::collections::BTreeSet;

use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::harness::{GROUP, Harness, commit, heartbeat_848, join};
use crate::config::GroupSettings;
use crate::coordinator::group::{
    Assignment, CommitOffsets, ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply, GroupReply,
    GroupRequest, JoinGroup,
};

fn harness() -> Harness {
    let mut harness = Harness::new(GroupSettings::default());
    harness.topics.set(&[("t", 4), ("u", 2), ("__internal", 1)]);
    harness
}

fn beat(harness: &mut Harness, request: ConsumerHeartbeat) -> Result<ConsumerHeartbeatReply, ErrorCode> {
    match harness.ask(GroupRequest::ConsumerHeartbeat(request)) {
        GroupReply::ConsumerHeartbeat(reply) => reply.map_err(|error| error.error_code),
        other => panic!("{other:?}"),
    }
}

/// A member joins; its epoch and assignment.
fn joined(harness: &mut Harness, member_id: &str) -> (i32, Assignment) {
    let reply = beat(harness, heartbeat_848(member_id, 0)).expect("joined");
    (reply.member_epoch, reply.assignment.expect("a join is answered with the assignment"))
}

fn partitions(topic: u128, partitions: &[i32]) -> Assignment {
    Assignment::from([(Uuid::from_u128(topic), partitions.iter().copied().collect::<BTreeSet<i32>>())])
}

fn describe(harness: &mut Harness) -> ConsumerGroupDescription {
    match harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned())) {
        GroupReply::ConsumerDescribe(Ok(description)) => description,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_moves_only_after_its_revocation_is_confirmed() {
    let mut harness = harness();
    let (epoch, all) = joined(&mut harness, "a");
    assert_eq!((epoch, &all), (2, &partitions(1, &[0, 1, 2, 3])));
    let (epoch, nothing) = joined(&mut harness, "b");
    assert_eq!((epoch, &nothing), (3, &Assignment::new()), "all is still held by the first member");

    // The first member is told to give two up, and stays in its epoch until it has.
    let told = beat(&mut harness, heartbeat_848("a", 2)).expect("in time");
    let kept = told.assignment.expect("has changed");
    assert_eq!((told.member_epoch, kept.values().map(BTreeSet::len).sum::<usize>()), (2, 2));
    let group = describe(&mut harness);
    assert_eq!((group.state, &group.members[0].assigned[0].partitions[..]), ("Reconciling", &[0, 1, 2, 3][..]));
    let early = beat(&mut harness, heartbeat_848("b", 3)).expect("in time");
    assert_eq!(early.assignment, None, "not confirmed yet");
    let confirmed = ConsumerHeartbeat { owned: Some(kept.clone()), ..heartbeat_848("a", 2) };
    assert_eq!(beat(&mut harness, confirmed).expect("in time").member_epoch, 3);
    let moved = beat(&mut harness, heartbeat_848("b", 3)).expect("in time").assignment.expect("has changed");
    assert_eq!(moved.values().map(BTreeSet::len).sum::<usize>(), 2);
    assert!(moved[&Uuid::from_u128(1)].is_disjoint(&kept[&Uuid::from_u128(1)]));
    assert_eq!(describe(&mut harness).state, "Stable");
}

#[test]
fn a_lost_answer_is_given_again_and_an_old_epoch_is_fenced() {
    let mut harness = harness();
    joined(&mut harness, "a");
    joined(&mut harness, "b");
    let kept = beat(&mut harness, heartbeat_848("a", 2)).expect("told to revoke").assignment;
    let confirmed = ConsumerHeartbeat { owned: kept, ..heartbeat_848("a", 2) };
    assert_eq!(beat(&mut harness, confirmed.clone()).expect("confirmed").member_epoch, 3);
    assert_eq!(beat(&mut harness, confirmed).expect("the answer was lost").member_epoch, 3);
    assert_eq!(
        beat(&mut harness, heartbeat_848("a", 2)),
        Err(ErrorCode::FENCED_MEMBER_EPOCH),
        "says nothing of what it has"
    );
    assert_eq!(beat(&mut harness, heartbeat_848("a", 7)), Err(ErrorCode::FENCED_MEMBER_EPOCH));
    assert_eq!(beat(&mut harness, heartbeat_848("c", 1)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_commit_of_an_earlier_epoch_is_taken_for_what_the_member_has_kept() {
    let mut harness = harness();
    joined(&mut harness, "a");
    joined(&mut harness, "b");
    let kept = beat(&mut harness, heartbeat_848("a", 2)).expect("told to revoke").assignment.expect("some");
    let commit = |harness: &mut Harness, epoch, partition_index| {
        let mut request = commit("a", epoch, 5);
        request.topics[0].topic_id = Uuid::from_u128(1);
        request.topics[0].partitions[0].partition_index = partition_index;
        harness.commit(request)
    };
    let (kept_partitions, done) = (&kept[&Uuid::from_u128(1)], Ok(vec![ErrorCode::NONE]));
    for partition in 0..4 {
        assert_eq!(commit(&mut harness, 2, partition), done, "it is told to give some up, and has not confirmed");
    }
    let confirmed = ConsumerHeartbeat { owned: Some(kept.clone()), ..heartbeat_848("a", 2) };
    assert_eq!(beat(&mut harness, confirmed).expect("confirmed").member_epoch, 3);
    for _ in 0..2 {
        for partition in 0..4 {
            let wanted =
                if kept_partitions.contains(&partition) { done.clone() } else { Err(ErrorCode::STALE_MEMBER_EPOCH) };
            assert_eq!(commit(&mut harness, 2, partition), wanted);
        }
        assert_eq!(commit(&mut harness, 4, 0), Err(ErrorCode::STALE_MEMBER_EPOCH), "of an epoch to come");
        harness.reload();
    }
}

#[test]
fn who_is_not_heard_or_does_not_revoke_in_time_is_out() {
    let mut harness = harness();
    joined(&mut harness, "a");
    let (epoch, _) = joined(&mut harness, "b");
    beat(&mut harness, heartbeat_848("a", 2)).expect("told to revoke");
    for _ in 0..7 {
        harness.pass(10_000);
        let owns_all = ConsumerHeartbeat { owned: Some(partitions(1, &[0, 1, 2, 3])), ..heartbeat_848("a", 2) };
        let beaten = beat(&mut harness, owns_all);
        beat(&mut harness, heartbeat_848("b", epoch)).expect("heard");
        if beaten == Err(ErrorCode::UNKNOWN_MEMBER_ID) {
            let all = describe(&mut harness).members[0].assigned[0].partitions.len();
            assert_eq!(all, 4, "the other has all of it");
            harness.pass(45_000);
            assert_eq!(describe(&mut harness).state, "Empty");
            return;
        }
    }
    panic!("a member that never revokes stays");
}

#[test]
fn a_member_that_subscribes_to_less_gives_that_up_beside_what_it_was_told_to() {
    let mut harness = harness();
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    beat(&mut harness, ConsumerHeartbeat { topic_names: names(&["t", "u"]), ..heartbeat_848("a", 0) }).expect("joined");
    joined(&mut harness, "b");
    let kept = beat(&mut harness, heartbeat_848("a", 2)).expect("told to revoke").assignment.expect("less");
    let topics: Vec<Uuid> = kept.into_keys().collect();
    assert_eq!(topics, [1, 2].map(Uuid::from_u128));
    let less = ConsumerHeartbeat { topic_names: names(&["t"]), ..heartbeat_848("a", 2) };
    let kept = beat(&mut harness, less).expect("in time").assignment.expect("less");
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), [Uuid::from_u128(1)]);
    let a = describe(&mut harness).members.swap_remove(0);
    let held: usize = a.assigned.iter().map(|topic| topic.partitions.len()).sum();
    assert_eq!((a.member_epoch, held), (2, 6), "nothing of it is free before it says so");
}

#[test]
fn topics_that_come_and_grow_are_assigned() {
    let mut harness = harness();
    let by_regex =
        ConsumerHeartbeat { topic_names: None, regex: Some("t|n.*|__.*".to_owned()), ..heartbeat_848("a", 0) };
    let reply = beat(&mut harness, by_regex).expect("joined");
    assert_eq!(reply.assignment, Some(partitions(1, &[0, 1, 2, 3])));
    harness.topics.set(&[("t", 5), ("u", 2), ("__internal", 1), ("new", 1)]);
    let grown = beat(&mut harness, heartbeat_848("a", reply.member_epoch)).expect("in time");
    let mut wanted = partitions(1, &[0, 1, 2, 3, 4]);
    wanted.extend(partitions(4, &[0]));
    assert_eq!((grown.member_epoch, grown.assignment), (3, Some(wanted)), "but none of the broker's own");
    let bad = ConsumerHeartbeat { regex: Some("(".to_owned()), ..heartbeat_848("a", 3) };
    assert_eq!(beat(&mut harness, bad), Err(ErrorCode::INVALID_REGULAR_EXPRESSION));
}

#[test]
fn a_static_member_keeps_its_partitions_while_it_is_away() {
    let mut harness = harness();
    let as_static =
        |member_id, epoch| ConsumerHeartbeat { instance_id: Some("one".to_owned()), ..heartbeat_848(member_id, epoch) };
    let all = beat(&mut harness, as_static("a", 0)).expect("joined").assignment.expect("joined");
    assert_eq!(beat(&mut harness, as_static("b", 0)), Err(ErrorCode::UNRELEASED_INSTANCE_ID));
    beat(&mut harness, as_static("a", -2)).expect("left for a while");
    harness.reload();
    let again = beat(&mut harness, as_static("b", 0)).expect("came back");
    assert_eq!((again.member_epoch, again.assignment), (2, Some(all)), "nobody else has to move");
    assert_eq!(beat(&mut harness, as_static("a", 2)), Err(ErrorCode::FENCED_INSTANCE_ID));
}

#[test]
fn commits_and_fetches_name_the_members_epoch() {
    let mut harness = harness();
    let (epoch, _) = joined(&mut harness, "a");
    assert_eq!(harness.commit(commit("a", epoch, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(harness.commit(commit("a", epoch - 1, 6)), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(harness.commit(commit("b", epoch, 6)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(harness.commit(commit("", -1, 6)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    let old_client = CommitOffsets { knows_member_epochs: false, ..commit("a", epoch, 6) };
    assert_eq!(harness.commit(old_client), Err(ErrorCode::UNSUPPORTED_VERSION));
    assert_eq!(harness.committed(), 5);
    let mut fetch = |member_id, epoch| harness.fetch(member_id, epoch, Uuid::nil());
    assert_eq!(fetch(Some("a"), epoch), Ok(5));
    assert_eq!(fetch(Some("a"), epoch - 1), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(fetch(Some("a"), -1), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(fetch(Some("b"), epoch), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_group_has_room_for_a_bound_of_what_its_members_say() {
    let mut harness = harness();
    let more_than_half = |member_id: &str, epoch, digit: char| {
        let topic_names = Some((0..700).map(|at| format!("{at}-{}", digit.to_string().repeat(30_000))).collect());
        ConsumerHeartbeat { topic_names, ..heartbeat_848(member_id, epoch) }
    };
    let epoch = beat(&mut harness, more_than_half("a", 0, '0')).expect("joined").member_epoch;
    harness.reload();
    assert_eq!(beat(&mut harness, more_than_half("b", 0, '0')), Err(ErrorCode::GROUP_MAX_SIZE_REACHED));
    let mut classic = JoinGroup { requires_known_member_id: false, ..join("", &["range"]) };
    let user_data = vec![0; 20 << 20];
    classic.protocols[0].metadata = [&[0; 6], &(user_data.len() as i32).to_be_bytes()[..], &user_data].concat().into();
    let GroupReply::Join(refused) = harness.ask(GroupRequest::Join(classic)) else { panic!("another answer") };
    assert_eq!(refused.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(describe(&mut harness).members.len(), 1);
    beat(&mut harness, more_than_half("a", epoch, '1')).expect("in the place of the others");
    joined(&mut harness, "b");
    assert_eq!(beat(&mut harness, more_than_half("b", 0, '1')), Err(ErrorCode::GROUP_MAX_SIZE_REACHED));
    assert_eq!(describe(&mut harness).members.len(), 2);
    beat(&mut harness, heartbeat_848("a", -1)).expect("left");
    beat(&mut harness, more_than_half("b", 0, '1')).expect("there is room");
}

#[test]
fn a_group_is_there_again_after_a_restart_until_it_is_deleted() {
    let mut harness = harness();
    joined(&mut harness, "a");
    joined(&mut harness, "b");
    let before = describe(&mut harness);
    harness.reload();
    assert_eq!(describe(&mut harness), before);
    for (member_id, epoch) in [("a", 2), ("b", 3)] {
        beat(&mut harness, heartbeat_848(member_id, epoch)).expect("known");
    }
    let delete = GroupRequest::Delete(GROUP.to_owned());
    assert_eq!(harness.ask(delete.clone()), GroupReply::Delete(ErrorCode::NON_EMPTY_GROUP));
    for member_id in ["a", "b"] {
        beat(&mut harness, heartbeat_848(member_id, -1)).expect("left");
    }
    harness.reload();
    assert_eq!(describe(&mut harness).state, "Empty");
    assert_eq!(harness.ask(delete), GroupReply::Delete(ErrorCode::NONE));
    harness.reload();
    assert_eq!(harness.state(), "Dead");
}

#[test]
fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let mut harness = harness();
    let (ids, generation) = harness.stable_group_after_delay();
    assert_eq!(harness.commit(commit(&ids, generation, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(harness.leave(&ids, None), ErrorCode::NONE);
    joined(&mut harness, "a");
    harness.reload();
    assert_eq!(describe(&mut harness).members.len(), 1);
    assert_eq!(harness.committed(), 5);
    beat(&mut harness, heartbeat_848("a", -1)).expect("left");
    harness.stable_group_after_delay();
    harness.reload();
    assert_eq!((harness.state(), harness.committed()), ("Stable", 5));
}

#[test]
fn a_group_has_times_of_its_own() {
    let mut harness = harness();
    let set = |key: &str, value: &str| (format!("consumer.{key}.ms"), value.to_owned());
    let own = [set("session.timeout", "50000"), set("heartbeat.interval", "60000")];
    harness.configs.insert(GROUP.to_owned(), own.into());
    let reply = beat(&mut harness, heartbeat_848("a", 0)).expect("joined");
    assert_eq!(reply.heartbeat_interval_ms, 15_000, "no more than the broker's bound");
    harness.pass(49_000);
    assert_eq!(describe(&mut harness).members.len(), 1, "past the broker's 45 s");
    harness.pass(2000);
    assert_eq!(describe(&mut harness).members.len(), 0);
}
