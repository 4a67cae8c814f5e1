//! A client of one connection, which stays on its shard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Message, Reader};
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
