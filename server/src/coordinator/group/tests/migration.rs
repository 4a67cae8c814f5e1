//! A group that changes its protocol while it has members.

use std::collections::BTreeSet;

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_protocol::ConsumerProtocolAssignment;
use uuid::Uuid;

use super::harness::{GROUP, Harness, assignment, commit, heartbeat_848, join, owning, sync};
use crate::config::{GroupSettings, MigrationPolicy};
use crate::coordinator::group::{
    ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply, GroupReply, GroupRequest, JoinGroup, JoinReply,
};

const PARTITIONS: i32 = 6;

fn harness(migration_policy: MigrationPolicy) -> Harness {
    let settings = GroupSettings { migration_policy, initial_rebalance_delay_ms: 0, ..GroupSettings::default() };
    let mut harness = Harness::new(settings);
    harness.topics.set(&[("t", PARTITIONS)]);
    harness.assignment_of = |_, at| assignment("t", &[at as i32 * 3, at as i32 * 3 + 1, at as i32 * 3 + 2]);
    harness
}

fn beat(harness: &mut Harness, request: ConsumerHeartbeat) -> Result<ConsumerHeartbeatReply, ErrorCode> {
    match harness.ask(GroupRequest::ConsumerHeartbeat(request)) {
        GroupReply::ConsumerHeartbeat(reply) => reply.map_err(|error| error.error_code),
        other => panic!("{other:?}"),
    }
}

fn describe(harness: &mut Harness) -> Option<ConsumerGroupDescription> {
    match harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned())) {
        GroupReply::ConsumerDescribe(description) => description.ok(),
        other => panic!("{other:?}"),
    }
}

/// Joins a consumer group, where a join is answered at once.
fn classic_join(harness: &mut Harness, request: JoinGroup) -> JoinReply {
    let token = harness.send(GroupRequest::Join(request));
    harness.take_join(token).expect("answered at once")
}

/// The partitions of the member.
fn classic_sync(harness: &mut Harness, member_id: &str, generation: i32) -> Vec<i32> {
    let token = harness.send(GroupRequest::Sync(sync(member_id, generation)));
    let reply = harness.take_sync(token).expect("answered at once").expect("of this generation");
    let (_, assignment) = ConsumerProtocolAssignment::from_bytes(&reply.assignment).expect("an assignment");
    assignment.assigned_partitions.iter().flat_map(|topic| topic.partitions.iter().collect::<Vec<_>>()).collect()
}

/// A group of two classic members, and one of the consumer protocol that has just joined.
fn upgraded() -> (Harness, Vec<String>, i32) {
    let mut harness = harness(MigrationPolicy::Bidirectional);
    let (ids, generation) = harness.stable_group(2);
    let reply = beat(&mut harness, heartbeat_848("new", 0)).expect("joined");
    assert_eq!(reply.member_epoch, generation + 1);
    assert!(reply.assignment.expect("of a join").is_empty(), "all is held by the others");
    (harness, ids, generation)
}

#[test]
fn a_consumer_member_makes_a_consumer_group_and_the_classic_ones_move_over() {
    let (mut harness, ids, generation) = upgraded();
    let group = describe(&mut harness).expect("a consumer group");
    assert_eq!(group.members.iter().map(|member| member.is_classic).collect::<Vec<_>>().len(), 3);
    assert_eq!(group.members.iter().filter(|member| member.is_classic).count(), 2);
    assert_eq!(harness.commit(commit(&ids[0], generation, 5)), Ok(vec![ErrorCode::NONE]), "still of its generation");
    assert_eq!(harness.commit(commit(&ids[0], generation + 1, 5)), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(harness.fetch(Some(&ids[0]), generation + 1, Uuid::nil()), Err(ErrorCode::ILLEGAL_GENERATION));
    harness.reload();

    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let held = [0, 1, 2];
    let told = classic_join(&mut harness, owning(join(&ids[0], &["range"]), &held));
    assert_eq!((told.error_code, told.generation_id), (ErrorCode::NONE, generation), "it must give one up first");
    let kept = classic_sync(&mut harness, &ids[0], generation);
    let given_up: Vec<i32> = held.into_iter().filter(|partition| !kept.contains(partition)).collect();
    assert_eq!((kept.len(), given_up.len()), (2, 1));
    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS, "it has to confirm");
    let moved = classic_join(&mut harness, owning(join(&ids[0], &["range"]), &kept));
    assert_eq!(moved.generation_id, generation + 1);
    assert_eq!(classic_sync(&mut harness, &ids[0], generation + 1), kept);
    assert_eq!(harness.heartbeat(&ids[0], generation + 1), ErrorCode::NONE);
    let freed = beat(&mut harness, heartbeat_848("new", generation + 1)).expect("in time").assignment;
    assert_eq!(freed.expect("one is free").into_values().flatten().collect::<Vec<_>>(), given_up);
}

#[test]
fn the_last_consumer_member_leaves_a_classic_group_behind() {
    let (mut harness, ids, generation) = upgraded();
    let nothing = owning(join(&ids[0], &["range"]), &[]);
    assert_eq!(classic_join(&mut harness, nothing).generation_id, generation + 1, "it holds nothing to give up");
    assert_eq!(beat(&mut harness, heartbeat_848("new", -1)).map(|reply| reply.member_epoch), Ok(-1));
    assert_eq!(harness.state(), "PreparingRebalance");
    assert_eq!(harness.heartbeat(&ids[0], generation + 1), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(harness.commit(commit(&ids[0], generation + 1, 5)), Ok(vec![ErrorCode::NONE]));
    harness.reload();
    assert_eq!(describe(&mut harness), None);
    assert_eq!(harness.heartbeat(&ids[0], generation + 1), ErrorCode::REBALANCE_IN_PROGRESS, "not all is read yet");
    let joins: Vec<_> =
        ids.iter().map(|member_id| harness.send(GroupRequest::Join(join(member_id, &["range"])))).collect();
    let replies: Vec<JoinReply> = joins.into_iter().filter_map(|token| harness.take_join(token)).collect();
    assert!(!replies.is_empty() && replies.iter().all(|reply| reply.error_code == ErrorCode::NONE));
}

#[test]
fn what_a_classic_member_holds_stays_its_own_when_the_group_changes_there_and_back() {
    for is_revoking in [false, true] {
        let (mut harness, ids, generation) = upgraded();
        if is_revoking {
            classic_join(&mut harness, owning(join(&ids[0], &["range"]), &[0, 1, 2]));
            assert_eq!(classic_sync(&mut harness, &ids[0], generation).len(), 2, "one is to be given up");
        }
        beat(&mut harness, heartbeat_848("new", -1)).expect("left");
        assert_eq!(harness.state(), "PreparingRebalance");
        let reply = beat(&mut harness, heartbeat_848("newer", 0)).expect("joined");
        assert!(reply.assignment.expect("of a join").is_empty(), "all is held by the others, which have not joined");
    }
}

#[test]
fn the_policy_and_the_members_may_stand_against_it() {
    let join_848 = || heartbeat_848("new", 0);
    let mut disabled = harness(MigrationPolicy::Downgrade);
    let (ids, generation) = disabled.stable_group(2);
    assert_eq!(beat(&mut disabled, join_848()), Err(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(disabled.heartbeat(&ids[0], generation), ErrorCode::NONE, "nothing has happened");

    let mut malformed = harness(MigrationPolicy::Bidirectional);
    malformed.assignment_of = |_, _| Bytes::from_static(b"??");
    malformed.stable_group(1);
    assert_eq!(beat(&mut malformed, join_848()), Err(ErrorCode::GROUP_ID_NOT_FOUND));

    let mut custom = harness(MigrationPolicy::Bidirectional);
    custom.assignment_of = |_, _| {
        let whole = assignment("t", &[0]);
        [&whole[..whole.len() - 4], b"\0\0\0\x01!"].concat().into()
    };
    custom.stable_group(1);
    assert_eq!(beat(&mut custom, join_848()), Err(ErrorCode::GROUP_ID_NOT_FOUND), "the assignor's data would be lost");
    assert_eq!(custom.state(), "Stable");

    let mut upgrade_only = harness(MigrationPolicy::Upgrade);
    upgrade_only.stable_group(1);
    beat(&mut upgrade_only, join_848()).expect("joined");
    beat(&mut upgrade_only, heartbeat_848("new", -1)).expect("left");
    assert!(describe(&mut upgrade_only).is_some(), "it stays a consumer group");
}

#[test]
fn a_group_that_may_not_change_takes_no_members_of_the_other_protocol() {
    let mut harness = harness(MigrationPolicy::Disabled);
    beat(&mut harness, heartbeat_848("new", 0)).expect("joined");
    let refused = classic_join(&mut harness, join("", &["range"]));
    assert_eq!(refused.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn an_administrator_removes_members_of_either_protocol() {
    let (mut harness, ids, _) = upgraded();
    let is_static = ConsumerHeartbeat { instance_id: Some("i".to_owned()), ..heartbeat_848("static", 0) };
    beat(&mut harness, is_static).expect("joined");
    assert_eq!(harness.leave("other", Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(harness.leave("", Some("i")), ErrorCode::NONE);
    assert_eq!(harness.leave(&ids[0], None), ErrorCode::NONE);
    assert_eq!(harness.leave("new", None), ErrorCode::NONE);
    assert_eq!(describe(&mut harness), None, "one classic member is left, of a classic group");
}

#[test]
fn members_that_wait_in_a_classic_group_are_told_to_join_again() {
    let mut harness = harness(MigrationPolicy::Bidirectional);
    let (ids, _) = harness.stable_group(2);
    let waiting = harness.send(GroupRequest::Join(join(&ids[0], &["range"])));
    assert!(harness.take_join(waiting).is_none());
    beat(&mut harness, heartbeat_848("new", 0)).expect("joined");
    let told = harness.take_join(waiting).expect("answered");
    assert_eq!((told.error_code, told.member_id), (ErrorCode::REBALANCE_IN_PROGRESS, ids[0].clone()));
}

#[test]
fn a_static_member_changes_the_protocol_and_keeps_its_partitions() {
    let mut harness = harness(MigrationPolicy::Bidirectional);
    let is_static = |request: JoinGroup| JoinGroup { group_instance_id: Some("i".to_owned()), ..request };
    let token = harness.send(GroupRequest::Join(is_static(join("", &["range"]))));
    harness.pass(0);
    let reply = harness.take_join(token).expect("joined");
    harness.sync_leader(&reply);
    let take_over = |member_id| ConsumerHeartbeat { instance_id: Some("i".to_owned()), ..heartbeat_848(member_id, 0) };
    let moved = beat(&mut harness, take_over("new")).expect("takes over");
    let mine: BTreeSet<i32> = moved.assignment.expect("of a join").into_values().flatten().collect();
    assert_eq!(mine, (0..PARTITIONS).collect());
    assert_eq!(beat(&mut harness, take_over("other")), Err(ErrorCode::UNRELEASED_INSTANCE_ID));

    let back = harness.send(GroupRequest::Join(is_static(join("", &["range"]))));
    let back = harness.take_join(back).expect("answered");
    assert_eq!((back.error_code, describe(&mut harness)), (ErrorCode::NONE, None), "nobody else is left");
    assert_eq!(beat(&mut harness, heartbeat_848("new", 1)), Err(ErrorCode::GROUP_ID_NOT_FOUND));
}

#[test]
fn a_classic_member_has_its_own_session_and_its_time_to_join() {
    let (mut harness, ids, generation) = upgraded();
    let mut epoch = generation + 1;
    let mut pass = |harness: &mut Harness| {
        harness.pass(5000);
        epoch = beat(harness, heartbeat_848("new", epoch)).expect("in time").member_epoch;
        let code = harness.heartbeat(&ids[0], generation);
        (describe(harness).expect("there").members.len(), code)
    };
    assert_eq!(pass(&mut harness), (3, ErrorCode::REBALANCE_IN_PROGRESS));
    pass(&mut harness);
    assert_eq!(pass(&mut harness), (2, ErrorCode::REBALANCE_IN_PROGRESS), "10 s without a heartbeat");
    for _ in 0..8 {
        pass(&mut harness);
    }
    assert_eq!(pass(&mut harness), (2, ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(pass(&mut harness), (1, ErrorCode::UNKNOWN_MEMBER_ID), "60 s without the join that it was told of");
}
