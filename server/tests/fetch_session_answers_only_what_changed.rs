//! Fetch sessions (KIP-227) from outside: what a session answers, what its reader changes in it, and how it ends.

mod outside;

use outside::client::Client;
use outside::{ANY_PORT, Broker};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{Message, Reader};
use uuid::Uuid;

impl Client {
    fn fetch(&mut self, session: (i32, i32), topics: &[(Uuid, &[(i32, i64)])], forgotten: &[(Uuid, &[i32])]) -> Answer {
        let partitions = |wanted: &[(i32, i64)]| {
            let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 1000,
                current_leader_epoch: -1,
                ..Default::default()
            };
            wanted.iter().map(partition).collect()
        };
        let request = FetchRequest {
            min_bytes: 1,
            max_bytes: 1000,
            session_id: session.0,
            session_epoch: session.1,
            topics: topics
                .iter()
                .map(|&(topic_id, wanted)| FetchTopic { topic: "", topic_id, partitions: partitions(wanted) })
                .collect(),
            forgotten_topics_data: forgotten
                .iter()
                .map(|&(topic_id, partitions)| ForgottenTopic { topic: "", topic_id, partitions: partitions.into() })
                .collect(),
            ..Default::default()
        };
        Answer::of(&self.call(ApiKey::Fetch, 17, &request), 17)
    }
}

/// What a fetch answered: partition index, error, high watermark and bytes of records, by partition.
#[derive(Debug, PartialEq)]
struct Answer {
    error: ErrorCode,
    session_id: i32,
    partitions: Vec<(i32, ErrorCode, i64, bool)>,
}

impl Answer {
    fn of(bytes: &[u8], version: i16) -> Self {
        let response = FetchResponse::decode(&mut Reader::new(bytes), version).unwrap();
        let mut partitions = Vec::new();
        for topic in &response.responses {
            partitions.extend(topic.partitions.iter().map(|data| {
                let has_records = data.records.as_ref().is_some_and(|records| !records.bytes().is_empty());
                (data.partition_index, data.error_code, data.high_watermark, has_records)
            }));
        }
        Self { error: response.error_code, session_id: response.session_id, partitions }
    }

    fn refused(error: ErrorCode) -> Self {
        Self { error, session_id: 0, partitions: vec![] }
    }
}

const NONE: ErrorCode = ErrorCode::NONE;

#[test]
fn a_session_answers_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 3);
    let full = client.fetch((0, 0), &[(topic, &[(0, 0), (1, 0), (2, 0)])], &[]);
    let id = full.session_id;
    assert!(id > 0 && full.error == NONE);
    assert_eq!(full.partitions, [(0, NONE, 0, false), (1, NONE, 0, false), (2, NONE, 0, false)]);
    let answered = |partitions: &[_]| Answer { error: NONE, session_id: id, partitions: partitions.to_vec() };

    assert_eq!(client.fetch((id, 1), &[], &[]), answered(&[]));
    client.produce(topic, 1, b"v");
    assert_eq!(client.fetch((id, 2), &[], &[]), answered(&[(1, NONE, 1, true)]));
    // Records that the reader does not move past come again; behind them nothing is new.
    assert_eq!(client.fetch((id, 3), &[], &[]), answered(&[(1, NONE, 1, true)]));
    assert_eq!(client.fetch((id, 4), &[(topic, &[(1, 1)])], &[]), answered(&[]));

    // One partition that is not there is told of each time, as are records; forgotten ones no more.
    let out_of_range = ErrorCode::OFFSET_OUT_OF_RANGE;
    assert_eq!(client.fetch((id, 5), &[(topic, &[(0, 9)])], &[]), answered(&[(0, out_of_range, -1, false)]));
    assert_eq!(client.fetch((id, 6), &[], &[]), answered(&[(0, out_of_range, -1, false)]));
    assert_eq!(client.fetch((id, 7), &[(topic, &[(0, 0)])], &[]), answered(&[(0, NONE, 0, false)]));
    client.produce(topic, 2, b"v");
    assert_eq!(client.fetch((id, 8), &[], &[(topic, &[2, 0])]), answered(&[]));
    // The last partition that is forgotten ends the session.
    let ended = Answer { error: NONE, session_id: 0, partitions: vec![] };
    assert_eq!(client.fetch((id, 9), &[], &[(topic, &[1])]), ended);
    assert_eq!(client.fetch((id, 10), &[], &[]), Answer::refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_partition_with_many_records_does_not_starve_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 3);
    for partition in 0..3 {
        (0..30).for_each(|_| _ = client.produce(topic, partition, b"v"));
    }
    // Each answer has room for the records of one partition only, and not for all of those.
    let full = client.fetch((0, 0), &[(topic, &[(0, 0), (1, 0), (2, 0)])], &[]);
    let mut with_records = vec![];
    for epoch in 1..=3 {
        let answer = client.fetch((full.session_id, epoch), &[], &[]);
        with_records.extend(answer.partitions.iter().filter(|partition| partition.3).map(|partition| partition.0));
    }
    assert_eq!(with_records, [1, 2, 0]);
}

#[test]
fn a_session_is_refused_to_whoever_does_not_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    let start = |client: &mut Client| client.fetch((0, 0), &[(topic, &[(0, 0)])], &[]).session_id;
    let id = start(&mut client);
    assert_eq!(client.fetch((id, 2), &[], &[]), Answer::refused(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
    assert_eq!(client.fetch((id, 1), &[], &[]).session_id, id, "a refused fetch changes nothing");
    let by_name = FetchRequest { session_id: id, session_epoch: 2, ..Default::default() };
    let by_name = Answer::of(&client.call(ApiKey::Fetch, 12, &by_name), 12);
    assert_eq!(by_name, Answer::refused(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));

    // The next connection is dealt to the other shard, which does not know the session.
    let mut other = Client::connect(broker.addresses[0]);
    assert_eq!(other.fetch((id, 2), &[], &[]), Answer::refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    // The client that asks anew names the session that it gives up.
    let again = client.fetch((id, 0), &[(topic, &[(0, 0)])], &[]).session_id;
    assert!(again > 0 && again != id);
    assert_eq!(client.fetch((id, 2), &[], &[]), Answer::refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    let closed = client.fetch((again, -1), &[], &[]);
    assert_eq!(closed, Answer { error: NONE, session_id: 0, partitions: vec![] });
    assert_eq!(client.fetch((again, 1), &[], &[]), Answer::refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn a_deleted_topic_is_told_and_one_made_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    let by_id = client.fetch((0, 0), &[(topic, &[(0, 0)])], &[]).session_id;
    let named = |client: &mut Client, session_id, session_epoch| {
        let partition = FetchPartition { partition_max_bytes: 10, current_leader_epoch: -1, ..Default::default() };
        let topics = match session_epoch {
            0 => vec![FetchTopic { topic: "t", partitions: vec![partition].into(), ..Default::default() }],
            _ => vec![],
        };
        let request = FetchRequest { topics: topics.into(), session_id, session_epoch, ..Default::default() };
        Answer::of(&client.call(ApiKey::Fetch, 12, &request), 12)
    };
    let by_name = named(&mut client, 0, 0).session_id;
    let deletion = DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: None, topic_id: topic }].into(),
        timeout_ms: 10_000,
        ..Default::default()
    };
    client.call(ApiKey::DeleteTopics, 6, &deletion);
    assert_eq!(client.fetch((by_id, 1), &[], &[]).partitions, [(0, ErrorCode::UNKNOWN_TOPIC_ID, -1, false)]);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(named(&mut client, by_name, 1).partitions, [(0, unknown, -1, false)]);
    client.create("t", 1);
    assert_eq!(client.fetch((by_id, 2), &[], &[]).partitions, [(0, ErrorCode::UNKNOWN_TOPIC_ID, -1, false)]);
    assert_eq!(named(&mut client, by_name, 2).partitions, [(0, NONE, 0, false)]);
}
