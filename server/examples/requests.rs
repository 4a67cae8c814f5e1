//! Requests of one kind, one at a time, to a whole broker in the simulated world: what the regression gate lets
//! callgrind count (`docs/gate.md`).
//!
//! `requests` names the kinds, `requests KIND COUNT` sends so many of one. Counted is what happens inside of
//! [`broker_turn`]: neither the client nor the network, and no kernel. Virtual time, one thread and one seed make the
//! broker take the same turns in every run, however busy the machine is.

#[path = "../tests/simulation/wire.rs"]
mod wire;

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use ringlog_core::log::StoreConfig;
use ringlog_core::log::commit_log::CommitLogConfig;
use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, FetchPartition, FetchRequest,
    FetchResponse, FetchTopic, FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest,
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse, PartitionProduceData, ProduceRequest,
    ProduceResponse, TopicProduceData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::reactor::sim::{SimConfig, SimDiskConfig, SimNetConfig, SimWorld};
use ringlog_core::reactor::{Disk, Reactor};
use ringlog_core::record::{BatchBuilder, NewRecord};
use ringlog_core::wire::Records;
use ringlog_server::broker::{BrokerConfig, RunError, ShardLife, ShardMemory, Stop, seats};
use ringlog_server::config::{Properties, Settings};
use ringlog_server::meters::Doors;
use uuid::Uuid;
use wire::Link;

const SEED: u64 = 1;
/// Hosts of the simulated world.
const BROKER: u32 = 0;
const CLIENT: u32 = 1;
const LOG_DIR: &str = "/data/ringlog";
/// A start, or a request, that takes longer in virtual time never ends.
const START_MAX: Duration = Duration::from_secs(60);
const REQUEST_MAX: Duration = Duration::from_millis(100);
const TOPIC: &str = "t";
const GROUP: &str = "g";

/// What is sent.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A batch of so many records of 100 bytes.
    Produce { class: &'static str, records: usize },
    /// The one batch that the topic holds.
    Fetch,
    /// Of a group without members, for one partition.
    Commit { class: &'static str },
}

const KINDS: [(&str, Kind); 6] = [
    ("produce-1r sync", Kind::Produce { class: "sync", records: 1 }),
    ("produce-1r page-cache", Kind::Produce { class: "page-cache", records: 1 }),
    ("produce-16k page-cache", Kind::Produce { class: "page-cache", records: 150 }),
    ("fetch-small page-cache", Kind::Fetch),
    ("commit sync", Kind::Commit { class: "sync" }),
    ("commit page-cache", Kind::Commit { class: "page-cache" }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            let names: String = KINDS.iter().map(|(name, _)| format!("{name}\n")).collect();
            io::stdout().write_all(names.as_bytes()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        [name, count] => {
            let kind = KINDS.iter().find(|(known, _)| known == name);
            let (Some((_, kind)), Ok(count)) = (kind, count.parse()) else { return usage() };
            send(*kind, count);
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: requests [KIND COUNT]; without arguments it names the kinds");
    ExitCode::from(2)
}

/// A turn of the broker's only shard. Never inlined: its name tells callgrind what to count.
#[inline(never)]
fn broker_turn(life: &mut ShardLife) -> Poll<Result<(), RunError>> {
    life.turn()
}

fn send(kind: Kind, count: u32) {
    let world = SimWorld::new(SEED, world_config());
    let address = SocketAddr::new(world.host_ip(BROKER), 9_092);
    start_broker(&world, address, kind);
    let client = world.reactor(CLIENT, 0);
    let reactor = client.clone();
    world.block_on(&client, START_MAX + REQUEST_MAX * count, async move {
        let mut link = Link::connect(&reactor, address).await.expect("the broker listens");
        let topic_id = create_topic(&mut link, kind).await;
        match kind {
            Kind::Produce { records, .. } => {
                let batch = batch(records);
                for _ in 0..count {
                    produce(&mut link, topic_id, &batch).await;
                }
            }
            Kind::Fetch => {
                produce(&mut link, topic_id, &batch(1)).await;
                for _ in 0..count {
                    fetch(&mut link, topic_id).await;
                }
            }
            Kind::Commit { .. } => {
                while !has_coordinator(&mut link).await {
                    reactor.sleep(REQUEST_MAX).await;
                }
                for offset in 0..count {
                    commit(&mut link, topic_id, i64::from(offset)).await;
                }
            }
        }
    });
}

/// Every delay is the same, nothing is split: a request takes the turns that it needs.
fn world_config() -> SimConfig {
    SimConfig {
        disk: SimDiskConfig { short_per_mille: 0, ..SimDiskConfig::default() },
        net: SimNetConfig {
            delay_ns: (20_000, 20_000),
            short_per_mille: 0,
            rearm_per_mille: 0,
            ..SimNetConfig::default()
        },
        read_latency_ns: (10_000, 10_000),
        write_latency_ns: (10_000, 10_000),
        sync_latency_ns: (100_000, 100_000),
    }
}

fn start_broker(world: &SimWorld, address: SocketAddr, kind: Kind) {
    let disk = world.disk(BROKER);
    disk.create_dir_all(Path::new("/data")).expect("a healthy disk");
    let class = match kind {
        Kind::Produce { class, .. } | Kind::Commit { class } => class,
        Kind::Fetch => "page-cache",
    };
    let mut properties = Properties::default();
    for (key, value) in [
        ("listeners", format!("PLAINTEXT://{address}")),
        ("log.dirs", LOG_DIR.to_owned()),
        ("offsets.topic.num.partitions", "1".to_owned()),
        ("ringlog.durability", class.to_owned()),
    ] {
        properties.set(key, &value);
    }
    let (settings, _) = Settings::from_properties(properties, false, "counted").expect("a good configuration");
    // Small, since its files are written before the first request, and in memory here.
    let commit_log = CommitLogConfig {
        file_bytes: 8 << 20,
        file_count: 2,
        entry_bytes_max: 256 << 10,
        write_bytes_max: 256 << 10,
        ..CommitLogConfig::default()
    };
    let store = StoreConfig { commit_log, ..StoreConfig::default() };
    let memory = ShardMemory::new(None, 1 << 30, 1).expect("enough memory");
    let config = BrokerConfig { settings, store, memory, connections_max: u32::MAX, doors: Doors::new(1) };
    let ready = Arc::new(AtomicBool::new(false));
    let on_ready = Arc::clone(&ready);
    let seats = seats(config, &Stop::default(), Box::new(move |_| on_ready.store(true, Ordering::Relaxed)));
    for seat in seats {
        let mut life = seat.take(Reactor::new(world.driver(BROKER, 0)));
        world.attach(BROKER, move || match broker_turn(&mut life) {
            Poll::Pending => Ok(()),
            Poll::Ready(end) => Err(io::Error::other(format!("the broker ended: {end:?}"))),
        });
    }
    assert!(world.run_until(START_MAX, || ready.load(Ordering::Relaxed)), "the broker does not start");
}

async fn create_topic(link: &mut Link, kind: Kind) -> Uuid {
    let class = match kind {
        Kind::Produce { class, .. } => class,
        Kind::Fetch | Kind::Commit { .. } => "page-cache",
    };
    let topic = CreatableTopic {
        name: TOPIC,
        num_partitions: 1,
        replication_factor: 1,
        assignments: Default::default(),
        configs: vec![CreatableTopicConfig { name: "ringlog.durability", value: Some(class) }].into(),
    };
    let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 30_000, validate_only: false };
    let answer = link.call(ApiKey::CreateTopics, 7, &request).await.expect("an answer");
    let answer: CreateTopicsResponse<'_> = answer.decode();
    let created = answer.topics.iter().next().expect("one topic was asked");
    assert_eq!(created.error_code, ErrorCode::NONE);
    created.topic_id
}

fn batch(records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for _ in 0..records {
        builder.push(NewRecord { value: Some(&[7; 100]), ..NewRecord::default() });
    }
    builder.build()
}

async fn produce(link: &mut Link, topic_id: Uuid, batch: &[u8]) {
    let data = [PartitionProduceData { index: 0, records: Some(Records::Bytes(batch)) }];
    let topic = TopicProduceData { name: "", topic_id, partition_data: data[..].into() };
    let request =
        ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 30_000, topic_data: vec![topic].into() };
    let answer = link.call(ApiKey::Produce, 13, &request).await.expect("an answer");
    let answer: ProduceResponse<'_> = answer.decode();
    let topic = answer.responses.iter().next().expect("one topic was asked");
    let result = topic.partition_responses.iter().next().expect("one partition was asked");
    assert_eq!(result.error_code, ErrorCode::NONE);
}

async fn fetch(link: &mut Link, topic_id: Uuid) {
    let partition = FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topic = FetchTopic { topic: "", topic_id, partitions: vec![partition].into() };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic].into(),
        ..FetchRequest::default()
    };
    let answer = link.call(ApiKey::Fetch, 13, &request).await.expect("an answer");
    let answer: FetchResponse<'_> = answer.decode();
    let topic = answer.responses.iter().next().expect("one topic was asked");
    let data = topic.partitions.iter().next().expect("one partition was asked");
    assert_eq!(data.error_code, ErrorCode::NONE);
    assert!(data.records.is_some_and(|records| records.size_bytes() > 0), "there is a batch");
}

async fn has_coordinator(link: &mut Link) -> bool {
    let request = FindCoordinatorRequest { key: GROUP, key_type: 0, coordinator_keys: Default::default() };
    let answer = link.call(ApiKey::FindCoordinator, 3, &request).await.expect("an answer");
    answer.decode::<FindCoordinatorResponse<'_>>().error_code.is_none()
}

async fn commit(link: &mut Link, topic_id: Uuid, committed_offset: i64) {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset,
        committed_leader_epoch: -1,
        committed_metadata: Some(""),
    };
    let topics = [OffsetCommitRequestTopic { name: TOPIC, topic_id, partitions: vec![partition].into() }];
    let request = OffsetCommitRequest {
        group_id: GROUP,
        generation_id_or_member_epoch: -1,
        member_id: "",
        group_instance_id: None,
        retention_time_ms: -1,
        topics: topics[..].into(),
    };
    let answer = link.call(ApiKey::OffsetCommit, 8, &request).await.expect("an answer");
    let answer: OffsetCommitResponse<'_> = answer.decode();
    let topic = answer.topics.iter().next().expect("one topic was asked");
    let result = topic.partitions.iter().next().expect("one partition was asked");
    assert_eq!(result.error_code, ErrorCode::NONE);
}
