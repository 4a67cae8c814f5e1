//! Legal requests that no client sends: every array empty, with duplicates, with names that do not exist, and with as many
//! elements as are allowed. Each gets its answer, and the broker lives on. One too many closes the connection.

mod outside;

use std::io::{Read, Write};
use std::net::TcpStream;

use outside::{ANY_PORT, Broker, ask};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::record::{BatchBuilder, NewRecord};
use ringlog_core::wire::{Array, Message, Reader, Records};

/// The bound on elements in all arrays of a request.
const ELEMENTS_MAX: usize = 200_000;

fn frame<'a>(api_key: ApiKey, api_version: i16, request: &impl Message<'a>) -> Vec<u8> {
    let header = RequestHeader { api_key, api_version, correlation_id: 9, client_id: Some("odd") };
    encode_request(Vec::new(), &header, request).unwrap().bytes[4..].to_vec()
}

/// Sends a request and reads its answer with `look`.
fn exchange<'a, T>(
    broker: &Broker,
    api_key: ApiKey,
    api_version: i16,
    request: &impl Message<'a>,
    look: impl FnOnce(&mut Reader<'_>, i16) -> T,
) -> T {
    let answer = ask(broker.addresses[0], &frame(api_key, api_version, request));
    let mut reader = Reader::new(&answer);
    let header = ResponseHeader::decode(&mut reader, api_key, api_version).unwrap();
    assert_eq!(header.correlation_id, 9);
    let result = look(&mut reader, api_version);
    assert_eq!(reader.remaining(), 0, "{api_key:?} {api_version}");
    result
}

macro_rules! answers {
    ($broker:expr, $key:ident, $version:expr, $request:expr, $response:ident, $look:expr) => {
        exchange($broker, ApiKey::$key, $version, &$request, |reader, version| {
            let response = $response::decode(reader, version).unwrap();
            #[allow(clippy::redundant_closure_call, reason = "the closure sees a borrowed answer")]
            ($look)(&response)
        })
    };
}

fn started(folder: &tempfile::TempDir) -> Broker {
    Broker::start(folder.path(), &[&ANY_PORT[..], &["--override", "auto.create.topics.enable=false"]].concat())
}

fn create(broker: &Broker, names: &[&str]) -> Vec<ErrorCode> {
    let topics = names.iter().map(|name| CreatableTopic {
        name,
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    });
    let request = CreateTopicsRequest { topics: topics.collect(), timeout_ms: 10_000, ..Default::default() };
    answers!(broker, CreateTopics, 7, request, CreateTopicsResponse, |response: &CreateTopicsResponse<'_>| {
        response.topics.iter().map(|topic| topic.error_code).collect()
    })
}

#[test]
fn empty_arrays_have_empty_answers() {
    let folder = tempfile::tempdir().unwrap();
    let broker = started(&folder);
    for version in 3..=13 {
        let request = ProduceRequest { acks: -1, timeout_ms: 1000, ..Default::default() };
        let count =
            answers!(&broker, Produce, version, request, ProduceResponse, |r: &ProduceResponse<'_>| r.responses.len());
        assert_eq!(count, 0);
    }
    for version in 4..=18 {
        let request = FetchRequest { max_wait_ms: 60_000, min_bytes: 1, ..Default::default() };
        let count =
            answers!(&broker, Fetch, version, request, FetchResponse, |r: &FetchResponse<'_>| r.responses.len());
        assert_eq!(count, 0);
    }
    for version in 1..=11 {
        let request = ListOffsetsRequest { replica_id: -1, ..Default::default() };
        let count = answers!(&broker, ListOffsets, version, request, ListOffsetsResponse, |r: &ListOffsetsResponse<
            '_,
        >| r.topics.len());
        assert_eq!(count, 0);
    }
    for version in 1..=13 {
        let request = MetadataRequest { topics: Some(Array::default()), ..Default::default() };
        let count =
            answers!(&broker, Metadata, version, request, MetadataResponse, |r: &MetadataResponse<'_>| r.topics.len());
        assert_eq!(count, 0);
    }
    assert_eq!(create(&broker, &[]), []);
    for version in 1..=6 {
        let request = DeleteTopicsRequest { timeout_ms: 1000, ..Default::default() };
        let count =
            answers!(&broker, DeleteTopics, version, request, DeleteTopicsResponse, |r: &DeleteTopicsResponse<'_>| r
                .responses
                .len());
        assert_eq!(count, 0);
    }
}

#[test]
fn duplicates_and_unknown_names_each_have_their_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let broker = started(&folder);
    assert_eq!(
        create(&broker, &["t", "twice", "twice"]),
        [ErrorCode::NONE, ErrorCode::INVALID_REQUEST, ErrorCode::INVALID_REQUEST]
    );
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;

    let names = ["t", "absent", "t", "absent"];
    let topics = names.iter().map(|name| MetadataRequestTopic { name: Some(name), ..Default::default() });
    let request = MetadataRequest { topics: Some(topics.collect()), ..Default::default() };
    let errors: Vec<ErrorCode> =
        answers!(&broker, Metadata, 9, request, MetadataResponse, |r: &MetadataResponse<'_>| {
            r.topics.iter().map(|topic| topic.error_code).collect()
        });
    assert_eq!(errors, [ErrorCode::NONE, unknown, ErrorCode::NONE, unknown]);

    let partitions: Vec<ListOffsetsPartition> = [0, 0, 7, -1, i32::MAX]
        .map(|partition_index| ListOffsetsPartition { partition_index, timestamp: -1, ..Default::default() })
        .into();
    let topics = ["t", "absent"].map(|name| ListOffsetsTopic { name, partitions: partitions[..].into() });
    let request = ListOffsetsRequest { replica_id: -1, topics: topics[..].into(), ..Default::default() };
    let errors: Vec<ErrorCode> =
        answers!(&broker, ListOffsets, 5, request, ListOffsetsResponse, |r: &ListOffsetsResponse<'_>| {
            r.topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|partition| partition.error_code).collect::<Vec<_>>())
                .collect()
        });
    assert_eq!(errors[..5], [ErrorCode::NONE, ErrorCode::NONE, unknown, unknown, unknown]);
    assert_eq!(errors[5..], [unknown; 5]);

    let mut builder = BatchBuilder::new();
    builder.push(NewRecord { value: Some(b"v"), ..Default::default() });
    let batch = builder.build();
    let data = [0, 0, 1].map(|index| PartitionProduceData { index, records: Some(Records::Bytes(&batch)) });
    let null = [PartitionProduceData { index: 0, records: None }];
    let topic_data = [
        TopicProduceData { name: "t", partition_data: data[..].into(), ..Default::default() },
        TopicProduceData { name: "absent", partition_data: data[..].into(), ..Default::default() },
        TopicProduceData { name: "t", partition_data: null[..].into(), ..Default::default() },
    ];
    let request =
        ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: topic_data[..].into(), ..Default::default() };
    let outcomes: Vec<(ErrorCode, i64)> =
        answers!(&broker, Produce, 9, request, ProduceResponse, |r: &ProduceResponse<'_>| {
            let all = r.responses.iter().map(|topic| topic.partition_responses);
            all.flat_map(|p| p.iter().map(|p| (p.error_code, p.base_offset)).collect::<Vec<_>>()).collect()
        });
    assert_eq!(outcomes[..2], [(ErrorCode::NONE, 0), (ErrorCode::NONE, 1)]);
    assert_eq!(outcomes[2..6], [(unknown, -1); 4]);
    assert!(!outcomes[6].0.is_none(), "no records at all");
}

#[test]
fn as_many_elements_as_are_allowed_and_one_more() {
    let folder = tempfile::tempdir().unwrap();
    let broker = started(&folder);
    for (count, is_answered) in [(ELEMENTS_MAX, true), (ELEMENTS_MAX + 1, false)] {
        let asked = vec![MetadataRequestTopic { name: Some(""), ..Default::default() }; count];
        let request = frame(ApiKey::Metadata, 1, &MetadataRequest { topics: Some(asked.into()), ..Default::default() });
        let mut stream = TcpStream::connect(broker.addresses[0]).unwrap();
        stream.write_all(&(request.len() as i32).to_be_bytes()).unwrap();
        stream.write_all(&request).unwrap();
        assert_eq!(stream.read_exact(&mut [0; 8]).is_ok(), is_answered, "{count}");
    }
    assert_eq!(broker.stop(), Some(0));
}
