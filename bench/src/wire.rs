//! The few things that the harness itself asks of a broker, one connection each: are you there, create, change and delete
//! this topic, do you lead its partitions, take these batches.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use ringlog_core::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreatableTopic, CreatableTopicConfig, CreatePartitionsRequest,
    CreatePartitionsResponse, CreatePartitionsTopic, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, IncrementalAlterableConfig, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopic, PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Array, Message, Reader, Records};

/// No answer within this time is an error.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer answers than this are refused.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Versions that every broker of today has.
const API_VERSIONS: i16 = 0;
const CREATE_TOPICS: i16 = 4;
const CREATE_PARTITIONS: i16 = 1;
const DELETE_TOPICS: i16 = 4;
const LIST_OFFSETS: i16 = 4;
const ALTER_CONFIGS: i16 = 0;
const PRODUCE: i16 = 7;
/// A new topic that has no leaders after this time never will: 1,000 partitions take Kafka ten seconds.
const LED_MAX: Duration = Duration::from_secs(300);
/// How often it is asked for.
const LED_LOOK: Duration = Duration::from_millis(20);
/// Kafka refuses more new partitions in one request than 10,000 records of metadata name.
const NEW_PARTITIONS_MAX: i32 = 5_000;
/// Resource type and operation of IncrementalAlterConfigs.
const OF_TOPIC: i8 = 2;
const SET: i8 = 0;
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
        num_partitions: partitions.min(NEW_PARTITIONS_MAX),
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
    let mut count = NEW_PARTITIONS_MAX;
    while count < partitions {
        count = (count + NEW_PARTITIONS_MAX).min(partitions);
        create_partitions(bootstrap, topic, count)?;
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

/// Adds partitions until there are `count`.
fn create_partitions(bootstrap: &str, topic: &str, count: i32) -> io::Result<()> {
    let topics = [CreatePartitionsTopic { name: topic, count, assignments: None }];
    let request = CreatePartitionsRequest { topics: Array::from(&topics), timeout_ms: 60_000, validate_only: false };
    let answer = exchange(bootstrap, ApiKey::CreatePartitions, CREATE_PARTITIONS, &request)?;
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::CreatePartitions, CREATE_PARTITIONS).map_err(io::Error::other)?;
    let response = CreatePartitionsResponse::decode(&mut reader, CREATE_PARTITIONS).map_err(io::Error::other)?;
    match response.results.iter().next().map(|result| result.error_code) {
        Some(ErrorCode::NONE) => Ok(()),
        Some(code) => Err(io::Error::other(format!("CreatePartitions: {code}"))),
        None => Err(io::Error::other("CreatePartitions: an empty answer")),
    }
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

/// Sets one of a topic's configs.
pub fn alter_topic(bootstrap: &str, topic: &str, name: &str, value: &str) -> io::Result<()> {
    let configs = [IncrementalAlterableConfig { name, config_operation: SET, value: Some(value) }];
    let resource =
        IncrementalAlterConfigsResource { resource_type: OF_TOPIC, resource_name: topic, configs: configs[..].into() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource].into(), validate_only: false };
    let answer = exchange(bootstrap, ApiKey::IncrementalAlterConfigs, ALTER_CONFIGS, &request)?;
    let mut reader = Reader::new(&answer);
    ResponseHeader::decode(&mut reader, ApiKey::IncrementalAlterConfigs, ALTER_CONFIGS).map_err(io::Error::other)?;
    let response = IncrementalAlterConfigsResponse::decode(&mut reader, ALTER_CONFIGS).map_err(io::Error::other)?;
    match response.responses.iter().next().map(|result| result.error_code) {
        Some(ErrorCode::NONE) => Ok(()),
        Some(code) => Err(io::Error::other(format!("IncrementalAlterConfigs: {code}"))),
        None => Err(io::Error::other("IncrementalAlterConfigs: an empty answer")),
    }
}

/// Sends batches to partition 0 of a topic, some ahead of their acks.
#[derive(Debug)]
pub struct Producer {
    stream: TcpStream,
    topic: String,
    in_flight: usize,
    in_flight_max: usize,
}

impl Producer {
    /// Connects.
    pub fn connect(bootstrap: &str, topic: &str, in_flight_max: usize) -> io::Result<Self> {
        Ok(Self { stream: connect(bootstrap)?, topic: topic.to_owned(), in_flight: 0, in_flight_max })
    }

    /// Sends a batch, after the oldest ack if too many are missing.
    pub fn send(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.in_flight >= self.in_flight_max {
            self.ack()?;
        }
        let data = [PartitionProduceData { index: 0, records: Some(Records::Bytes(batch)) }];
        let topic =
            TopicProduceData { name: &self.topic, topic_id: Default::default(), partition_data: data[..].into() };
        let request =
            ProduceRequest { transactional_id: None, acks: 1, timeout_ms: 30_000, topic_data: vec![topic].into() };
        send(&mut self.stream, ApiKey::Produce, PRODUCE, &request)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Waits for all acks.
    pub fn finish(mut self) -> io::Result<()> {
        while self.in_flight > 0 {
            self.ack()?;
        }
        Ok(())
    }

    fn ack(&mut self) -> io::Result<()> {
        let answer = receive(&mut self.stream)?;
        self.in_flight -= 1;
        let mut reader = Reader::new(&answer);
        ResponseHeader::decode(&mut reader, ApiKey::Produce, PRODUCE).map_err(io::Error::other)?;
        let response = ProduceResponse::decode(&mut reader, PRODUCE).map_err(io::Error::other)?;
        let topic = response.responses.iter().next().ok_or_else(|| io::Error::other("Produce: an empty answer"))?;
        let refused = topic.partition_responses.iter().find(|partition| !partition.error_code.is_none());
        refused.map_or(Ok(()), |partition| Err(io::Error::other(format!("Produce: {}", partition.error_code))))
    }
}

/// The answer's frame without its length.
fn exchange<'a>(bootstrap: &str, api_key: ApiKey, api_version: i16, request: &impl Message<'a>) -> io::Result<Vec<u8>> {
    let mut stream = connect(bootstrap)?;
    send(&mut stream, api_key, api_version, request)?;
    receive(&mut stream)
}

fn connect(bootstrap: &str) -> io::Result<TcpStream> {
    let address = bootstrap.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn send<'a>(stream: &mut TcpStream, api_key: ApiKey, api_version: i16, request: &impl Message<'a>) -> io::Result<()> {
    let header = RequestHeader { api_key, api_version, correlation_id: 1, client_id: Some("ringlog-bench") };
    let frame = encode_request(Vec::new(), &header, request).map_err(io::Error::other)?;
    stream.write_all(&frame.bytes)
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
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
