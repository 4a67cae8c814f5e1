//! Members of groups, of both protocols, and the writers of compacted topics.

mod classic;
mod consumer;
mod keyed;
mod member;
mod model;
mod refusing_log;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::reactor::sim::Clockwork;

pub use keyed::KeyedTopic;
pub use member::{MemberPlan, Protocol};
pub use model::GroupsModel;

use super::bench::Client;
use super::wire::Link;

/// What all members read.
const TOPIC: &str = "read";
/// Of members.
const SESSION_TIMEOUT_MS: i32 = 120;
const REBALANCE_TIMEOUT_MS: i32 = 80;
/// A member that was not heard for this long may be out: the rebalance timeout, which the coordinator counts in whole ms.
const LEASE: Duration = Duration::from_millis(78);

/// Configuration of a broker whose groups live as fast as the simulation, and whose cleaner and retention never rest.
pub const SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "3"),
    ("ringlog.internal.segment.bytes", "6000"),
    ("group.initial.rebalance.delay.ms", "5"),
    ("group.min.session.timeout.ms", "1"),
    ("group.consumer.min.session.timeout.ms", "1"),
    ("group.consumer.session.timeout.ms", "120"),
    ("group.consumer.min.heartbeat.interval.ms", "1"),
    ("group.consumer.heartbeat.interval.ms", "10"),
    ("group.consumer.assignment.interval.ms", "25"),
    ("log.cleaner.backoff.ms", "20"),
    ("log.cleaner.min.cleanable.ratio", "0.1"),
    ("log.retention.check.interval.ms", "30"),
];

/// What a run has besides the broker.
#[derive(Debug, Clone)]
pub struct Plan {
    pub partitions_count: usize,
    pub members: Vec<MemberPlan>,
    pub keyed: Vec<Rc<KeyedTopic>>,
}

impl Plan {
    /// Of the run's seed.
    pub fn new(clock: &Clockwork, is_changing: bool) -> Self {
        let mut members = Vec::new();
        for group in 0..1 + clock.below(3) {
            // Groups of one protocol, and of both.
            let protocols = [
                &[Protocol::Classic][..],
                &[Protocol::Consumer],
                &[Protocol::Consumer],
                &[Protocol::Classic, Protocol::Consumer],
            ][clock.below(4) as usize];
            for number in 0..2 + clock.below(3) {
                members.push(MemberPlan {
                    group: format!("group {group}"),
                    protocol: protocols[clock.below(protocols.len() as u64) as usize],
                    instance_id: (clock.below(4) == 0).then(|| format!("static {number}")),
                });
            }
        }
        let keyed = (0..1 + clock.below(2)).map(|number| {
            let policy = if clock.below(3) == 0 { "compact,delete" } else { "compact" };
            let mut configs = vec![("cleanup.policy", policy), ("retention.bytes", "20000")];
            configs.push(("delete.retention.ms", if clock.below(2) == 0 { "0" } else { "100" }));
            Rc::new(KeyedTopic::new(format!("keyed{number}"), configs, is_changing))
        });
        Self { partitions_count: 1 + clock.below(6) as usize, members, keyed: keyed.collect() }
    }

    /// Whether nothing is under way.
    pub fn is_done(&self) -> bool {
        self.keyed.iter().all(|topic| !topic.is_pending.get())
    }
}

/// Starts all clients: `client` makes one.
pub fn start(plan: &Plan, mut client: impl FnMut() -> Client) {
    start_topics(client(), plan);
    plan.members.iter().for_each(|member| member::start(client(), member.clone()));
    plan.keyed.iter().for_each(|topic| keyed::start(client(), Rc::clone(topic)));
}

/// Compares all that is committed and written with the model.
pub async fn verify(client: &Client, plan: &Plan) {
    for member in &plan.members {
        member::verify(client, member).await;
    }
    for topic in &plan.keyed {
        keyed::verify(client, topic).await;
    }
}

/// A client that creates all topics; the model is told of the groups.
fn start_topics(client: Client, plan: &Plan) {
    for member in &plan.members {
        let of_group = || plan.members.iter().filter(|other| other.group == member.group);
        let is_mixed = of_group().any(|other| other.protocol != member.protocol);
        client.bench.groups.borrow_mut().add(&member.group, of_group().count(), is_mixed, plan.partitions_count);
    }
    let plan = plan.clone();
    client.reactor.clone().spawn(async move {
        while let Err(error) = create_topics(&client, &plan).await {
            client.note(|| format!("topics: {error}"));
            client.pause(10_000).await;
        }
    });
}

async fn create_topics(client: &Client, plan: &Plan) -> io::Result<()> {
    let mut link = Link::connect(&client.reactor, client.bench.broker).await?;
    create(&mut link, TOPIC, plan.partitions_count, &[]).await?;
    for topic in &plan.keyed {
        create(&mut link, &topic.name, 1, &topic.configs).await?;
    }
    Ok(())
}

async fn create(link: &mut Link, name: &str, partitions_count: usize, configs: &[(&str, &str)]) -> io::Result<()> {
    let configs = configs.iter().map(|&(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
    let topic = CreatableTopic {
        name,
        num_partitions: partitions_count as i32,
        replication_factor: 1,
        assignments: Default::default(),
        configs,
    };
    let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 30_000, validate_only: false };
    let answer = link.call(ApiKey::CreateTopics, 7, &request).await?;
    let answer: CreateTopicsResponse<'_> = answer.decode();
    match answer.topics.iter().next().expect("one topic was asked").error_code {
        // Or by an attempt whose answer was lost.
        ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
        code => Err(io::Error::other(format!("create {name}: {code}"))),
    }
}

/// Whether a coordinator says that it is not there now: ask again later.
fn is_unavailable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::COORDINATOR_NOT_AVAILABLE
    )
}
