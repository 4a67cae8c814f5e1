//! A coordinator behind a log that takes no records: until the broker is started again, or for a moment.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    FindCoordinatorRequest, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::reactor::Reactor;
use ringlog_core::reactor::sim::{Crash, DiskCall, DiskFault, SimConfig, SimWorld};
use uuid::Uuid;

use super::super::changes::set_config;
use super::super::machine::{Machine, tight_store};
use super::super::wire::Link;
use super::{SETTINGS, TOPIC, create};

const GROUP: &str = "group";

async fn commit(link: &mut Link) -> io::Result<ErrorCode> {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: 7,
        committed_leader_epoch: -1,
        committed_metadata: None,
    };
    let topic = OffsetCommitRequestTopic { name: TOPIC, topic_id: Uuid::nil(), partitions: vec![partition].into() };
    let request = OffsetCommitRequest {
        group_id: GROUP,
        generation_id_or_member_epoch: -1,
        member_id: "",
        group_instance_id: None,
        retention_time_ms: -1,
        topics: vec![topic].into(),
    };
    let committed = link.call(ApiKey::OffsetCommit, 9, &request).await?;
    let committed: OffsetCommitResponse<'_> = committed.decode();
    let topic = committed.topics.iter().next().expect("one topic was sent");
    Ok(topic.partitions.iter().next().expect("one partition was sent").error_code)
}

/// A connection, when the coordinator has loaded its log.
async fn connect(reactor: &Reactor, broker: SocketAddr) -> io::Result<Link> {
    let mut link = Link::connect(reactor, broker).await?;
    // Where nothing can be created, it was before.
    let _ = create(&mut link, TOPIC, 1, &[]).await;
    let request = FindCoordinatorRequest { key: "", key_type: 0, coordinator_keys: vec![GROUP].into() };
    link.call(ApiKey::FindCoordinator, 4, &request).await?;
    reactor.sleep(Duration::from_millis(20)).await;
    Ok(link)
}

/// What the coordinator says to a commit, and to a look at what is committed.
async fn commit_and_look(reactor: Reactor, broker: SocketAddr) -> io::Result<(ErrorCode, ErrorCode)> {
    let mut link = connect(&reactor, broker).await?;
    let committed = commit(&mut link).await?;
    reactor.sleep(Duration::from_millis(20)).await;
    let group = OffsetFetchRequestGroup { group_id: GROUP, member_id: None, member_epoch: -1, topics: None };
    let request = OffsetFetchRequest { groups: vec![group].into(), ..OffsetFetchRequest::default() };
    let seen = link.call(ApiKey::OffsetFetch, 9, &request).await?;
    let seen: OffsetFetchResponse<'_> = seen.decode();
    let seen = seen.groups.iter().next().expect("one group was asked").error_code;
    Ok((committed, seen))
}

fn ask(machine: &Machine, client: u32) -> (ErrorCode, ErrorCode) {
    let reactor = machine.world.reactor(client, 0);
    let answers = commit_and_look(reactor.clone(), machine.address());
    machine.world.block_on(&reactor, Duration::from_secs(5), answers).expect("a healthy network")
}

#[test]
fn it_is_not_there_until_the_restart_which_may_find_what_was_refused() {
    let store = tight_store(2, 1, 1 << 20);
    let mut machine = Machine::new(SimWorld::new(1, SimConfig::default()), store, SETTINGS);
    let start = |machine: &mut Machine| {
        machine.start(1);
        machine.wait_until_ready().expect("a healthy disk");
    };
    start(&mut machine);
    assert_eq!(ask(&machine, 1), (ErrorCode::NONE, ErrorCode::NONE));
    machine.disk().inject(DiskFault::eio("commit-", DiskCall::Write).sticky());
    assert_eq!(ask(&machine, 2), (ErrorCode::NOT_COORDINATOR, ErrorCode::NOT_COORDINATOR));
    machine.crash(Crash::Process);
    start(&mut machine);
    assert_eq!(ask(&machine, 3), (ErrorCode::NONE, ErrorCode::NONE));
}

/// What commits are told while the log of the coordinator changes its durability class again and again.
async fn commit_through_changes(reactor: Reactor, broker: SocketAddr) -> io::Result<Vec<ErrorCode>> {
    let (mut link, mut admin) = (connect(&reactor, broker).await?, Link::connect(&reactor, broker).await?);
    let changing = Rc::new(Cell::new(true));
    let (is_changing, changer) = (Rc::clone(&changing), reactor.clone());
    reactor.spawn(async move {
        for class in ["page-cache", "sync"].repeat(20) {
            let code = set_config(&mut admin, "__consumer_offsets", ("ringlog.durability", class)).await;
            assert_eq!(code.expect("a healthy network"), ErrorCode::NONE);
            changer.sleep(Duration::from_millis(5)).await;
        }
        is_changing.set(false);
    });
    let mut answers = Vec::new();
    while changing.get() {
        answers.push(commit(&mut link).await?);
    }
    Ok(answers)
}

#[test]
fn what_finds_no_room_for_a_moment_is_only_late() {
    let mut machine = Machine::new(SimWorld::new(1, SimConfig::default()), tight_store(2, 1, 1 << 20), SETTINGS);
    machine.start(1);
    machine.wait_until_ready().expect("a healthy disk");
    let reactor = machine.world.reactor(1, 0);
    let commits = commit_through_changes(reactor.clone(), machine.address());
    let answers = machine.world.block_on(&reactor, Duration::from_secs(20), commits).expect("a healthy network");
    assert!(answers.len() > 40, "{}", answers.len());
    assert_eq!(answers.iter().find(|answer| **answer != ErrorCode::NONE), None);
}
