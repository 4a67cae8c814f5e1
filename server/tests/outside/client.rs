//! A client of one connection, which stays on its shard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::record::{BatchBuilder, NewRecord};
use ringlog_core::wire::{Message, Reader, Records};
use uuid::Uuid;

/// One connection.
pub struct Client(TcpStream);

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).unwrap())
    }

    /// Sends a request and returns the body of its answer.
    pub fn call<'a>(&mut self, api_key: ApiKey, api_version: i16, request: &impl Message<'a>) -> Vec<u8> {
        self.send(api_key, api_version, request);
        self.receive(api_key, api_version)
    }

    /// Sends a request; its answer is to be received later.
    pub fn send<'a>(&mut self, api_key: ApiKey, api_version: i16, request: &impl Message<'a>) {
        let header = RequestHeader { api_key, api_version, correlation_id: 7, client_id: Some("test") };
        self.0.write_all(&encode_request(Vec::new(), &header, request).unwrap().bytes).unwrap();
    }

    /// Sends a frame of these bytes; whether the broker closes the connection.
    pub fn closes_after(mut self, frame: &[u8]) -> bool {
        self.0.write_all(&(frame.len() as u32).to_be_bytes()).unwrap();
        self.0.write_all(frame).unwrap();
        self.0.read(&mut [0; 1]).is_ok_and(|count| count == 0)
    }

    /// The body of the next answer.
    pub fn receive(&mut self, api_key: ApiKey, api_version: i16) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).unwrap();
        let mut reader = Reader::new(&answer);
        ResponseHeader::decode(&mut reader, api_key, api_version).unwrap();
        reader.rest().to_vec()
    }

    /// Produces one record with this value, and returns the delay that the answer tells.
    pub fn produce(&mut self, topic_id: Uuid, index: i32, value: &[u8]) -> i32 {
        let mut builder = BatchBuilder::new();
        builder.push(NewRecord { value: Some(value), ..Default::default() });
        let batch = builder.build();
        let data = vec![PartitionProduceData { index, records: Some(Records::Bytes(&batch)) }];
        let topic_data = vec![TopicProduceData { name: "", topic_id, partition_data: data.into() }].into();
        let request = ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data, ..Default::default() };
        let answer = self.call(ApiKey::Produce, 13, &request);
        let answer = ProduceResponse::decode(&mut Reader::new(&answer), 13).unwrap();
        let topic = answer.responses.iter().next().unwrap();
        assert_eq!(topic.partition_responses.iter().next().unwrap().error_code, ErrorCode::NONE);
        answer.throttle_time_ms
    }

    /// Creates a topic.
    pub fn create(&mut self, name: &str, num_partitions: i32) -> Uuid {
        self.create_with(name, num_partitions, &[])
    }

    /// Creates a topic with these configs.
    pub fn create_with(&mut self, name: &str, num_partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let configs: Vec<_> =
            configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
        let topic = CreatableTopic {
            name,
            num_partitions,
            replication_factor: 1,
            configs: configs.into(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 10_000, ..Default::default() };
        let answer = self.call(ApiKey::CreateTopics, 7, &request);
        let answer = CreateTopicsResponse::decode(&mut Reader::new(&answer), 7).unwrap();
        let created = answer.topics.iter().next().unwrap();
        assert_eq!(created.error_code, ErrorCode::NONE);
        created.topic_id
    }

    /// Sets a config of a topic, and returns the error.
    pub fn set_config(&mut self, topic: &str, name: &str, value: &str) -> ErrorCode {
        let config = IncrementalAlterableConfig { name, config_operation: 0, value: Some(value) };
        let resource =
            IncrementalAlterConfigsResource { resource_type: 2, resource_name: topic, configs: vec![config].into() };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource].into(), validate_only: false };
        let answer = self.call(ApiKey::IncrementalAlterConfigs, 1, &request);
        let answer = IncrementalAlterConfigsResponse::decode(&mut Reader::new(&answer), 1).unwrap();
        answer.responses.iter().next().unwrap().error_code
    }

    /// All batches of partition 0 of a topic, as they are stored.
    pub fn batches(&mut self, topic_id: Uuid) -> Vec<u8> {
        let partition =
            FetchPartition { partition_max_bytes: 64 << 20, current_leader_epoch: -1, ..Default::default() };
        let topics = vec![FetchTopic { topic: "", topic_id, partitions: vec![partition].into() }].into();
        let request =
            FetchRequest { min_bytes: 0, max_bytes: 64 << 20, session_epoch: -1, topics, ..Default::default() };
        let answer = self.call(ApiKey::Fetch, 17, &request);
        let answer = FetchResponse::decode(&mut Reader::new(&answer), 17).unwrap();
        let topic = answer.responses.iter().next().unwrap();
        let partition = topic.partitions.iter().next().unwrap();
        assert_eq!(partition.error_code, ErrorCode::NONE);
        partition.records.map_or(Vec::new(), |records| records.bytes().to_vec())
    }
}
