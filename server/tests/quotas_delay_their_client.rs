//! Client quotas from outside: they are described, they delay whoever exceeds them, a restart keeps them. No test waits:
//! an answer tells the delay before it begins.

mod outside;

use outside::client::Client;
use outside::{ANY_PORT, Broker};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{Message, Reader};
use uuid::Uuid;

/// Sets quotas of all client ids.
fn set(client: &mut Client, quotas: &[(&str, f64)]) -> ErrorCode {
    let entity = vec![AlterClientQuotasEntity { entity_type: "client-id", entity_name: None }];
    let ops = quotas.iter().map(|&(key, value)| AlterClientQuotasOp { key, value, remove: false }).collect();
    let entries = vec![AlterClientQuotasEntry { entity: entity.into(), ops }].into();
    let answer = client.call(ApiKey::AlterClientQuotas, 1, &AlterClientQuotasRequest { entries, validate_only: false });
    let answer = AlterClientQuotasResponse::decode(&mut Reader::new(&answer), 1).unwrap();
    answer.entries.iter().next().unwrap().error_code
}

/// The quotas of all client ids.
fn described(client: &mut Client) -> Vec<(String, f64)> {
    let component = DescribeClientQuotasComponent { entity_type: "client-id", match_type: 1, r#match: None };
    let request = DescribeClientQuotasRequest { components: vec![component].into(), strict: true };
    let answer = client.call(ApiKey::DescribeClientQuotas, 1, &request);
    let answer = DescribeClientQuotasResponse::decode(&mut Reader::new(&answer), 1).unwrap();
    let values = answer.entries.unwrap().iter().map(|entry| entry.values).next();
    values.map_or(vec![], |values| values.iter().map(|value| (value.key.to_owned(), value.value)).collect())
}

/// The delay that the answer tells, its session id, and how many topics it is about.
fn fetch(client: &mut Client, topic_id: Uuid, session: (i32, i32)) -> (i32, i32, usize) {
    let wanted = FetchPartition { partition_max_bytes: 1 << 20, current_leader_epoch: -1, ..Default::default() };
    let request = FetchRequest {
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_id: session.0,
        session_epoch: session.1,
        topics: vec![FetchTopic { topic: "", topic_id, partitions: vec![wanted].into() }].into(),
        ..Default::default()
    };
    let answer = client.call(ApiKey::Fetch, 17, &request);
    let answer = FetchResponse::decode(&mut Reader::new(&answer), 17).unwrap();
    assert_eq!(answer.error_code, ErrorCode::NONE);
    (answer.throttle_time_ms, answer.session_id, answer.responses.len())
}

#[test]
fn whoever_exceeds_a_quota_is_told_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let connect = || Client::connect(broker.addresses[0]);
    let mut admin = connect();
    let topic = admin.create("t", 1);
    let produced_freely = connect().produce(topic, 0, &[b'v'; 100_000]);
    let (read_freely, _, topics) = fetch(&mut connect(), topic, (0, -1));
    assert_eq!((produced_freely, read_freely, topics), (0, 0, 1));

    assert_eq!(set(&mut admin, &[("producer_byte_rate", 1000.0), ("consumer_byte_rate", 15_000.0)]), ErrorCode::NONE);
    // 100,000 bytes take 100 s at this rate, of which the windows span 11 at most. Connections of both shards count.
    let first = connect().produce(topic, 0, &[b'v'; 100_000]);
    let second = connect().produce(topic, 0, &[b'v'; 100_000]);
    assert!((89_000..95_000).contains(&first), "{first}");
    assert!(second > first + 80_000, "{second}");
    // 150,000 bytes may be read at once.
    let mut reader = connect();
    let (delay, session, topics) = fetch(&mut reader, topic, (0, 0));
    assert!(delay == 0 && session > 0 && topics == 1, "{delay}");
    let (delay, same, topics) = fetch(&mut reader, topic, (session, 1));
    assert!(delay > 0 && same == session && topics == 0, "{delay}");
    assert_eq!(set(&mut admin, &[("consumer_byte_rate", -1.0)]), ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_restart_keeps_quotas() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut admin = Client::connect(broker.addresses[0]);
    assert_eq!(described(&mut admin), []);
    assert_eq!(set(&mut admin, &[("producer_byte_rate", 1.0), ("request_percentage", 0.5)]), ErrorCode::NONE);
    let quotas = [("producer_byte_rate".to_owned(), 1.0), ("request_percentage".to_owned(), 0.5)];
    assert_eq!(described(&mut admin), quotas);
    assert_eq!(broker.stop(), Some(0));
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut admin = Client::connect(broker.addresses[0]);
    assert_eq!(described(&mut admin), quotas);
    let topic = admin.create("t", 1);
    assert!(admin.produce(topic, 0, &[b'v'; 1000]) > 0);
}

/// Error and delay.
fn create(client: &mut Client, version: i16, name: &str, num_partitions: i32) -> (ErrorCode, i32) {
    let topic = CreatableTopic { name, num_partitions, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 10_000, ..Default::default() };
    let answer = client.call(ApiKey::CreateTopics, version, &request);
    let answer = CreateTopicsResponse::decode(&mut Reader::new(&answer), version).unwrap();
    (answer.topics.iter().next().unwrap().error_code, answer.throttle_time_ms)
}

#[test]
fn whoever_changes_too_many_partitions_is_refused_or_told_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let connect = || Client::connect(broker.addresses[0]);
    assert_eq!(set(&mut connect(), &[("controller_mutation_rate", 0.5)]), ErrorCode::NONE);
    // 100 partitions take 200 s at this rate, of which the windows span 11 at most.
    assert_eq!(create(&mut connect(), 7, "a", 100), (ErrorCode::NONE, 0), "any number at first");
    let (error_code, delay) = create(&mut connect(), 7, "b", 1);
    assert_eq!(error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    assert!((185_000..200_000).contains(&delay), "{delay}");

    let topics = vec![CreatePartitionsTopic { name: "a", count: 101, assignments: None }].into();
    let request = CreatePartitionsRequest { topics, timeout_ms: 10_000, validate_only: false };
    let answer = connect().call(ApiKey::CreatePartitions, 3, &request);
    let answer = CreatePartitionsResponse::decode(&mut Reader::new(&answer), 3).unwrap();
    assert_eq!(answer.results.iter().next().unwrap().error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    let topics = vec![DeleteTopicState { name: Some("a"), topic_id: Uuid::nil() }].into();
    let request = DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() };
    let answer = connect().call(ApiKey::DeleteTopics, 6, &request);
    let answer = DeleteTopicsResponse::decode(&mut Reader::new(&answer), 6).unwrap();
    assert_eq!(answer.responses.iter().next().unwrap().error_code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);

    // Versions that do not know the error: done, and the delay grows.
    let (error_code, later) = create(&mut connect(), 5, "c", 10);
    assert_eq!(error_code, ErrorCode::NONE);
    assert!(later > delay + 15_000, "{later}");
    assert_eq!(set(&mut connect(), &[("controller_mutation_rate", 0.0)]), ErrorCode::INVALID_REQUEST);
}
