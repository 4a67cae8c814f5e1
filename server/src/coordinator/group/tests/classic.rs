use ringlog_core::protocol::ErrorCode;

use super::harness::{GROUP, Harness, commit, join, sync};
use crate::config::GroupSettings;
use crate::coordinator::group::{
    DeleteOffsets, GroupReply, GroupRequest, Heartbeat, JoinGroup, JoinReply, LeaveGroup, SyncGroup,
};

fn static_join(instance_id: &str) -> JoinGroup {
    JoinGroup { group_instance_id: Some(instance_id.to_owned()), ..join("", &["range"]) }
}

#[test]
fn a_request_names_its_group() {
    let mut harness = Harness::without_delay();
    let nameless = [
        GroupRequest::Join(JoinGroup { group_id: String::new(), ..join("", &["range"]) }),
        GroupRequest::Sync(SyncGroup::default()),
        GroupRequest::Heartbeat(Heartbeat::default()),
        GroupRequest::Leave(LeaveGroup::default()),
        GroupRequest::DeleteOffsets(DeleteOffsets::default()),
        GroupRequest::ConsumerDescribe(String::new()),
    ];
    for request in nameless {
        assert_eq!(harness.ask(request), GroupReply::Unavailable(ErrorCode::INVALID_GROUP_ID));
    }
}

#[test]
fn a_first_member_learns_its_id_joins_and_leads() {
    let mut harness = Harness::without_delay();
    let (member_id, token) = harness.join_new();
    assert_eq!(harness.take_join(token), None);
    assert_eq!(harness.state(), "PreparingRebalance");
    harness.pass(0);
    let reply = harness.take_join(token).expect("the delay is over");
    assert_eq!((reply.error_code, reply.generation_id, reply.leader.as_str()), (ErrorCode::NONE, 1, &*member_id));
    assert_eq!(reply.protocol_name.as_deref(), Some("range"));
    assert_eq!(reply.members.len(), 1);
    assert_eq!(harness.state(), "CompletingRebalance");
    assert_eq!(harness.commit(commit(&member_id, 1, 5)), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let token = harness.sync_leader(&reply);
    let synced = harness.take_sync(token).expect("the leader is answered").expect("without error");
    assert_eq!(synced.assignment, member_id);
    assert_eq!(harness.state(), "Stable");
    assert_eq!(harness.heartbeat(&member_id, 1), ErrorCode::NONE);
    assert_eq!(harness.heartbeat(&member_id, 0), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(harness.heartbeat("other", 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_initial_delay_is_extended_while_members_come_up_to_the_rebalance_timeout() {
    let mut harness = Harness::new(GroupSettings { initial_rebalance_delay_ms: 3000, ..GroupSettings::default() });
    let (_, first) = harness.join_new();
    harness.pass(2000);
    let (_, second) = harness.join_new();
    harness.pass(2000);
    assert_eq!(harness.take_join(first), None, "extended by the second member");
    harness.pass(2000);
    assert_eq!(harness.take_join(first).expect("formed").members.len(), 2);
    assert_eq!(harness.take_join(second).expect("formed").members.len(), 0, "only the leader gets the members");
}

#[test]
fn a_member_whose_session_ends_is_out_and_the_others_join_again() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(2);
    harness.pass(9000);
    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::NONE);
    harness.pass(2000);
    assert_eq!(harness.state(), "PreparingRebalance");
    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(harness.heartbeat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    let token = harness.send(GroupRequest::Join(join(&ids[0], &["range"])));
    let reply = harness.take_join(token).expect("nobody else is there");
    assert_eq!((reply.generation_id, reply.members.len()), (generation + 1, 1));
}

#[test]
fn a_follower_that_joins_and_syncs_again_has_its_whole_session() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(2);
    // More than half a session; the leader is heard all the time.
    let wait = |harness: &mut Harness| {
        harness.pass(6000);
        assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::NONE);
    };
    wait(&mut harness);
    let token = harness.send(GroupRequest::Join(join(&ids[1], &["range"])));
    assert_eq!(harness.take_join(token).expect("nothing has changed").generation_id, generation);
    wait(&mut harness);
    let token = harness.send(GroupRequest::Sync(sync(&ids[1], generation)));
    assert_eq!(harness.take_sync(token).expect("stable").expect("without error").assignment, ids[1]);
    wait(&mut harness);
    assert_eq!(harness.heartbeat(&ids[1], generation), ErrorCode::NONE);
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(2);
    let token = harness.send(GroupRequest::Join(join(&ids[0], &["range"])));
    for _ in 0..10 {
        assert_eq!(harness.take_join(token), None);
        assert_eq!(harness.heartbeat(&ids[1], generation), ErrorCode::REBALANCE_IN_PROGRESS);
        harness.pass(6000);
    }
    let reply = harness.take_join(token).expect("the rebalance timeout is over");
    assert_eq!((reply.generation_id, reply.members.len()), (generation + 1, 1));
}

#[test]
fn who_does_not_sync_in_time_is_out() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(2);
    let first = harness.send(GroupRequest::Join(join(&ids[0], &["range"])));
    let second = harness.send(GroupRequest::Join(join(&ids[1], &["range"])));
    let generation = generation + 1;
    assert_eq!(harness.take_join(first).expect("joined").generation_id, generation);
    assert_eq!(harness.take_join(second).expect("joined").generation_id, generation);
    // The leader never brings the assignment; the follower waits.
    let waiting = harness.send(GroupRequest::Sync(sync(&ids[1], generation)));
    for _ in 0..10 {
        assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::NONE);
        harness.pass(6000);
    }
    assert_eq!(harness.take_sync(waiting), Some(Err(ErrorCode::REBALANCE_IN_PROGRESS)));
    assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(harness.heartbeat(&ids[1], generation), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_protocol_that_not_all_speak_is_refused_and_the_most_preferred_is_chosen() {
    let mut harness = Harness::without_delay();
    let first = harness.ask(GroupRequest::Join(join("", &["range", "sticky"])));
    let GroupReply::Join(JoinReply { member_id, .. }) = first else { panic!("{first:?}") };
    let first = harness.send(GroupRequest::Join(join(&member_id, &["range", "sticky"])));
    let refused = harness.ask(GroupRequest::Join(join("", &["other"])));
    let GroupReply::Join(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let one_step = JoinGroup { requires_known_member_id: false, ..join("", &["sticky"]) };
    let second = harness.send(GroupRequest::Join(one_step));
    harness.pass(0);
    for token in [first, second] {
        assert_eq!(harness.take_join(token).expect("formed").protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_its_earlier_self_is_fenced() {
    let mut harness = Harness::without_delay();
    let token = harness.send(GroupRequest::Join(static_join("one")));
    harness.pass(0);
    let reply = harness.take_join(token).expect("formed");
    let earlier_id = reply.member_id.clone();
    let synced = harness.sync_leader(&reply);
    assert!(harness.take_sync(synced).is_some_and(|synced| synced.is_ok()));

    let again = harness.ask(GroupRequest::Join(static_join("one")));
    let GroupReply::Join(again) = again else { panic!("{again:?}") };
    assert_eq!((again.error_code, again.generation_id), (ErrorCode::NONE, 1));
    assert!(again.skip_assignment && again.member_id != earlier_id && again.leader == again.member_id);
    let as_static = |member_id: &str| SyncGroup { group_instance_id: Some("one".to_owned()), ..sync(member_id, 1) };
    let kept = harness.send(GroupRequest::Sync(as_static(&again.member_id)));
    let kept = harness.take_sync(kept).expect("stable").expect("without error");
    assert_eq!(kept.assignment, earlier_id, "the assignment stays");
    let fenced = harness.send(GroupRequest::Sync(as_static(&earlier_id)));
    assert_eq!(harness.take_sync(fenced), Some(Err(ErrorCode::FENCED_INSTANCE_ID)));
    assert_eq!(harness.leave("", Some("two")), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(harness.leave("", Some("one")), ErrorCode::NONE);
    assert_eq!(harness.state(), "Empty");
}

#[test]
fn a_full_group_refuses_new_members() {
    let settings = GroupSettings { max_size: 1, initial_rebalance_delay_ms: 0, ..GroupSettings::default() };
    let mut harness = Harness::new(settings);
    harness.stable_group(1);
    let refused = harness.ask(GroupRequest::Join(join("", &["range"])));
    let GroupReply::Join(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
}

#[test]
fn what_a_member_says_when_it_joins_again_replaces_what_it_said_in_the_bound_of_bytes() {
    let mut harness = Harness::without_delay();
    let more_than_half = |instance_id: &str, member_id: &str| {
        let mut request = JoinGroup { member_id: member_id.to_owned(), ..static_join(instance_id) };
        request.protocols[0].metadata = vec![0; 20 << 20].into();
        GroupRequest::Join(request)
    };
    let first = harness.send(more_than_half("one", ""));
    harness.pass(0);
    let first = harness.take_join(first).expect("formed");
    let mut code_of = |request| match harness.ask(request) {
        GroupReply::Join(reply) => (reply.error_code, reply.member_id),
        other => panic!("{other:?}"),
    };
    assert_eq!(code_of(more_than_half("one", &first.member_id)), (ErrorCode::NONE, first.member_id.clone()));
    let (code, second) = code_of(more_than_half("one", ""));
    assert!(code == ErrorCode::NONE && second != first.member_id, "{code:?}");
    assert_eq!(code_of(more_than_half("two", "")).0, ErrorCode::GROUP_MAX_SIZE_REACHED);
}

#[test]
fn a_group_is_there_again_after_a_restart() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(3);
    harness.reload();
    assert_eq!(harness.state(), "Stable");
    for member_id in &ids {
        assert_eq!(harness.heartbeat(member_id, generation), ErrorCode::NONE);
        let token = harness.send(GroupRequest::Sync(sync(member_id, generation)));
        let synced = harness.take_sync(token).expect("stable").expect("without error");
        assert_eq!(synced.assignment, *member_id);
    }
    harness.pass(20_000);
    assert_eq!(harness.state(), "Empty", "nobody was heard since");
    harness.reload();
    assert_eq!(harness.state(), "Empty");
}

#[test]
fn a_group_that_nobody_joined_is_forgotten() {
    let mut harness = Harness::without_delay();
    let refused = harness.ask(GroupRequest::Join(join("", &["range"])));
    assert!(matches!(refused, GroupReply::Join(JoinReply { error_code: ErrorCode::MEMBER_ID_REQUIRED, .. })));
    assert_eq!(harness.state(), "Empty");
    harness.pass(10_000);
    assert_eq!(harness.state(), "Dead");
}

#[test]
fn an_empty_group_is_deleted_with_its_offsets() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(1);
    assert_eq!(harness.commit(commit(&ids[0], generation, 5)), Ok(vec![ErrorCode::NONE]));
    let delete = GroupRequest::Delete(GROUP.to_owned());
    assert_eq!(harness.ask(delete.clone()), GroupReply::Delete(ErrorCode::NON_EMPTY_GROUP));
    assert_eq!(harness.leave(&ids[0], None), ErrorCode::NONE);
    assert_eq!(harness.ask(delete.clone()), GroupReply::Delete(ErrorCode::NONE));
    assert_eq!(harness.ask(delete), GroupReply::Delete(ErrorCode::GROUP_ID_NOT_FOUND));
    harness.reload();
    assert_eq!((harness.state(), harness.committed()), ("Dead", -1));
}
