//! The few questions that the harness itself asks a broker, one connection each: are you there, create and delete this
//! topic, do you lead its partitions.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use ringlog_core::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopic,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Array, Message, Reader};

/// No answer within this time is an error.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer answers than this are refused.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Versions that every broker of today has.
const API_VERSIONS: i16 = 0;
const CREATE_TOPICS: i16 = 4;
const DELETE_TOPICS: i16 = 4;
const LIST_OFFSETS: i16 = 4;
/// A new topic that has no leaders after this time never will.
const LED_MAX: Duration = Duration::from_secs(60);
/// How often it is asked for.
const LED_LOOK: Duration = Duration::from_millis(20);
/// Timestamp of ListOffsets that stands for the end of a log.
const LATEST: i64 = -1;

/// Whether the broker answers ApiVersions.
pub fn is_ready(bootstrap: &str) -> bool {
    let request = ApiVersionsRequest { client_software_name: "ringlog-bench", client_software_version: "0" };
    let Ok(answer) = exchange(bootstrap, ApiKey::ApiVersions, API_VERSIONS, &request) else { return false };
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::ApiVersions, API_VERSIONS).is_ok()
        && ApiVersionsResponse::decode(&mut reader, API_VERSIONS).is_ok_and(|response| response.error_code.is_none())
}

/// Creates a topic and waits until every partition has a leader that knows it: Kafka answers earlier than that.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> io::Result<()> {
    let configs: Vec<_> =
        configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
    let topics = [CreatableTopic {
        name: topic,
        num_partitions: partitions,
        replication_factor: 1,
        assignments: Array::default(),
        configs: Array::from(configs),
    }];
    let request = CreateTopicsRequest { topics: Array::from(&topics), timeout_ms: 60_000, validate_only: false };
    let answer = exchange(bootstrap, ApiKey::CreateTopics, CREATE_TOPICS, &request)?;
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::CreateTopics, CREATE_TOPICS).map_err(io::Error::other)?;
    let response = CreateTopicsResponse::decode(&mut reader, CREATE_TOPICS).map_err(io::Error::other)?;
    match response.topics.iter().next().map(|result| result.error_code) {
        Some(ErrorCode::NONE) => {}
        Some(code) => return Err(io::Error::other(format!("CreateTopics: {code}"))),
        None => return Err(io::Error::other("CreateTopics: an empty answer")),
    }
    let until = Instant::now() + LED_MAX;
    while let Err(error) = is_led(bootstrap, topic, partitions) {
        if Instant::now() > until {
            return Err(error);
        }
        thread::sleep(LED_LOOK);
    }
    Ok(())
}

fn is_led(bootstrap: &str, topic: &str, partitions: i32) -> io::Result<()> {
    let asked = (0..partitions).map(|partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: LATEST,
    });
    let topics = [ListOffsetsTopic { name: topic, partitions: asked.collect() }];
    let request =
        ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics: Array::from(&topics), timeout_ms: 30_000 };
    let answer = exchange(bootstrap, ApiKey::ListOffsets, LIST_OFFSETS, &request)?;
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::ListOffsets, LIST_OFFSETS).map_err(io::Error::other)?;
    let response = ListOffsetsResponse::decode(&mut reader, LIST_OFFSETS).map_err(io::Error::other)?;
    for result in &response.topics {
        if let Some(waiting) = result.partitions.iter().find(|partition| !partition.error_code.is_none()) {
            let (index, code) = (waiting.partition_index, waiting.error_code);
            return Err(io::Error::other(format!("partition {index} of {topic}: {code}")));
        }
    }
    Ok(())
}

/// Deletes a topic; one that is not there is deleted already.
pub fn delete_topic(bootstrap: &str, topic: &str) -> io::Result<()> {
    let names = [topic];
    let request =
        DeleteTopicsRequest { topics: Array::default(), topic_names: Array::from(&names), timeout_ms: 30_000 };
    let answer = exchange(bootstrap, ApiKey::DeleteTopics, DELETE_TOPICS, &request)?;
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::DeleteTopics, DELETE_TOPICS).map_err(io::Error::other)?;
    let response = DeleteTopicsResponse::decode(&mut reader, DELETE_TOPICS).map_err(io::Error::other)?;
    match response.responses.iter().next().map(|result| result.error_code) {
        Some(ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(()),
        Some(code) => Err(io::Error::other(format!("DeleteTopics: {code}"))),
        None => Err(io::Error::other("DeleteTopics: an empty answer")),
    }
}

/// The answer's frame without its length.
fn exchange<'a>(bootstrap: &str, api_key: ApiKey, api_version: i16, request: &impl Message<'a>) -> io::Result<Vec<u8>> {
    let address = bootstrap.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let header = RequestHeader { api_key, api_version, correlation_id: 1, client_id: Some("ringlog-bench") };
    let frame = encode_request(Vec::new(), &header, request).map_err(io::Error::other)?;
    stream.write_all(&frame.bytes)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
