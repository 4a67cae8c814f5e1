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
        let header = RequestHeader { api_key, api_version, correlation_id: 7, client_id: Some("test") };
        self.0.write_all(&encode_request(Vec::new(), &header, request).unwrap().bytes).unwrap();
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
        let topic = CreatableTopic { name, num_partitions, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 10_000, ..Default::default() };
        let answer = self.call(ApiKey::CreateTopics, 7, &request);
        let answer = CreateTopicsResponse::decode(&mut Reader::new(&answer), 7).unwrap();
        let created = answer.topics.iter().next().unwrap();
        assert_eq!(created.error_code, ErrorCode::NONE);
        created.topic_id
    }
}
