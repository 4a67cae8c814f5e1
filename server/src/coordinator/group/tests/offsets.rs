use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::harness::{COMMITTED_TOPIC, GROUP, Harness, commit};
use crate::config::GroupSettings;
use crate::coordinator::group::{CommitOffsets, DeleteOffsets, GroupReply, GroupRequest};

const DAY_MS: i64 = 24 * 60 * 60_000;

fn delete(harness: &mut Harness) -> GroupReply {
    let topics = vec![("t".to_owned(), vec![0])];
    harness.ask(GroupRequest::DeleteOffsets(DeleteOffsets { group_id: GROUP.to_owned(), topics }))
}

#[test]
fn a_consumer_without_a_group_commits_to_an_empty_group_only() {
    let mut harness = Harness::without_delay();
    assert_eq!(harness.committed(), -1);
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(harness.committed(), 5);
    harness.reload();
    assert_eq!(harness.committed(), 5);
    harness.stable_group(1);
    assert_eq!(harness.commit(commit("", -1, 6)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_member_commits_in_its_generation_only() {
    let mut harness = Harness::without_delay();
    let unknown = commit("m", 1, 5);
    let old_client = CommitOffsets { knows_member_epochs: false, ..unknown.clone() };
    assert_eq!(harness.commit(unknown), Err(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(harness.commit(old_client), Err(ErrorCode::ILLEGAL_GENERATION));
    let (ids, generation) = harness.stable_group(1);
    assert_eq!(harness.commit(commit(&ids[0], generation, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(harness.commit(commit(&ids[0], generation - 1, 6)), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(harness.commit(commit("other", generation, 6)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    harness.join_new();
    assert_eq!(harness.commit(commit(&ids[0], generation, 7)), Ok(vec![ErrorCode::NONE]), "while others join");
    assert_eq!(harness.committed(), 7);
}

#[test]
fn a_note_that_is_too_long_is_refused() {
    let mut harness = Harness::new(GroupSettings { offset_metadata_max_bytes: 3, ..GroupSettings::default() });
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::OFFSET_METADATA_TOO_LARGE]));
    assert_eq!(harness.committed(), -1);
}

#[test]
fn offsets_of_a_topic_that_is_read_are_not_deleted() {
    let mut harness = Harness::without_delay();
    assert_eq!(delete(&mut harness), GroupReply::DeleteOffsets(Err(ErrorCode::GROUP_ID_NOT_FOUND)));
    let (ids, generation) = harness.stable_group(1);
    assert_eq!(harness.commit(commit(&ids[0], generation, 5)), Ok(vec![ErrorCode::NONE]));
    assert_eq!(delete(&mut harness), GroupReply::DeleteOffsets(Ok(vec![ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC])));
    assert_eq!(harness.leave(&ids[0], None), ErrorCode::NONE);
    assert_eq!(delete(&mut harness), GroupReply::DeleteOffsets(Ok(vec![ErrorCode::NONE])));
    assert_eq!(harness.committed(), -1);
    harness.reload();
    assert_eq!(harness.committed(), -1);
}

#[test]
fn offsets_go_with_their_topic() {
    let mut harness = Harness::without_delay();
    assert_eq!(harness.commit(commit("", -1, 5)), Ok(vec![ErrorCode::NONE]));
    harness.forget_topic("other", COMMITTED_TOPIC);
    harness.forget_topic("t", Uuid::from_u128(6));
    assert_eq!(harness.committed(), 5, "committed for the topic that came after");
    let of_another = harness.fetch(None, -1, Uuid::from_u128(8));
    assert_eq!(of_another, Ok(-1), "the topic was deleted and created anew");
    harness.forget_topic("t", COMMITTED_TOPIC);
    assert_eq!((harness.committed(), harness.state()), (-1, "Dead"));
    harness.reload();
    assert_eq!((harness.committed(), harness.state()), (-1, "Dead"));
}

#[test]
fn offsets_expire_when_their_retention_is_over_and_take_an_empty_group_along() {
    let mut harness = Harness::without_delay();
    let (ids, generation) = harness.stable_group(1);
    assert_eq!(harness.commit(commit(&ids[0], generation, 5)), Ok(vec![ErrorCode::NONE]));
    for _ in 0..8 * 24 * 60 * 6 {
        assert_eq!(harness.heartbeat(&ids[0], generation), ErrorCode::NONE);
        harness.pass(9990);
    }
    assert_eq!(harness.committed(), 5, "the group reads the topic");
    assert_eq!(harness.leave(&ids[0], None), ErrorCode::NONE);
    harness.pass(6 * DAY_MS);
    assert_eq!((harness.committed(), harness.state()), (5, "Empty"), "counted from when the group became empty");
    harness.pass(DAY_MS + 600_000);
    assert_eq!((harness.committed(), harness.state()), (-1, "Dead"));
    harness.reload();
    assert_eq!((harness.committed(), harness.state()), (-1, "Dead"));
}

#[test]
fn a_client_may_ask_for_a_retention_of_its_own() {
    let mut harness = Harness::without_delay();
    let short = CommitOffsets { retention_time_ms: 1000, ..commit("", -1, 5) };
    assert_eq!(harness.commit(short), Ok(vec![ErrorCode::NONE]));
    harness.reload();
    harness.pass(601_000);
    assert_eq!(harness.committed(), -1);
}
