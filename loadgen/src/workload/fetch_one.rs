//! One partition by Fetch: the request, and the records in its answer.

use ringlog_core::protocol::messages::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ReplicaState};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Array, DecodeError, Message, Reader};
use uuid::Uuid;

use super::{Answered, refused};
use crate::client::{CLIENT_ID, SetupError, Target};
use crate::findings::Findings;

/// Outside of any fetch session (KIP-227).
const NO_SESSION: i32 = -1;

/// The topic, and how this broker is asked.
#[derive(Debug)]
pub struct FetchTarget {
    name: String,
    id: Uuid,
    version: i16,
}

/// What came back.
#[derive(Debug)]
pub enum Fetched<'a> {
    /// Record batches, the last one perhaps cut short; none where there is nothing yet.
    Records(&'a [u8]),
    /// An error, which is noted.
    Refused(Answered),
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct FetchOne {
    /// The partition.
    pub index: i32,
    /// From here on.
    pub offset: i64,
    /// At most, but at least one batch.
    pub bytes_max: i32,
    /// How much the broker waits for.
    pub bytes_min: i32,
    /// How long it waits for that at most.
    pub wait_ms: i32,
}

impl FetchTarget {
    /// In the highest version that both sides have.
    pub fn new(target: &Target) -> Result<Self, SetupError> {
        let version = target.versions.pick::<FetchRequest<'_>>(ApiKey::Fetch)?;
        Ok(Self { name: target.topic_name.clone(), id: target.topic_id, version })
    }

    /// The whole frame.
    pub fn request(&self, correlation_id: i32, one: &FetchOne) -> Vec<u8> {
        let partition = FetchPartition {
            partition: one.index,
            current_leader_epoch: -1,
            fetch_offset: one.offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: one.bytes_max,
            replica_directory_id: Uuid::nil(),
            high_watermark: i64::MAX,
        };
        let partitions = [partition];
        let topics = [FetchTopic { topic: &self.name, topic_id: self.id, partitions: Array::from(&partitions) }];
        let request = FetchRequest {
            cluster_id: None,
            replica_id: -1,
            replica_state: ReplicaState { replica_id: -1, replica_epoch: -1 },
            max_wait_ms: one.wait_ms,
            min_bytes: one.bytes_min,
            max_bytes: one.bytes_max,
            isolation_level: 0,
            session_id: 0,
            session_epoch: NO_SESSION,
            topics: Array::from(&topics),
            forgotten_topics_data: Array::default(),
            rack_id: "",
        };
        let header = RequestHeader {
            api_key: ApiKey::Fetch,
            api_version: self.version,
            correlation_id,
            client_id: Some(CLIENT_ID),
        };
        let encoded = encode_request(Vec::with_capacity(128), &header, &request).expect("nothing is null or too long");
        encoded.bytes
    }

    /// The records of the partition in an answer.
    pub fn records<'a>(
        &self,
        index: i32,
        frame: &'a [u8],
        findings: &mut Findings,
    ) -> Result<Fetched<'a>, DecodeError> {
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Fetch, self.version)?;
        let response = FetchResponse::decode(&mut reader, self.version)?;
        if !response.error_code.is_none() {
            let refused = refused(response.error_code, findings, || "the whole answer".to_owned());
            return Ok(Fetched::Refused(refused));
        }
        let partitions = response.responses.iter().next().map(|topic| topic.partitions);
        let partition = partitions.and_then(|all| all.iter().find(|partition| partition.partition_index == index));
        let Some(partition) = partition else {
            findings.problem("partition not in the answer", || format!("partition {index}"));
            return Ok(Fetched::Refused(Answered::Failed));
        };
        if !partition.error_code.is_none() {
            let refused = refused(partition.error_code, findings, || format!("partition {index}"));
            return Ok(Fetched::Refused(refused));
        }
        Ok(Fetched::Records(partition.records.map(|records| records.bytes()).unwrap_or_default()))
    }
}
