//! One partition by Fetch: the request, and the records in its answer.

use ringlog_core::protocol::messages::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ReplicaState};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Array, DecodeError, Message, Reader};
use uuid::Uuid;

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

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct FetchOne {
    /// The partition.
    pub index: i32,
    /// From here on.
    pub offset: i64,
    /// At most, but at least one batch.
    pub bytes_max: i32,
    /// How long the broker may wait for the first byte.
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
            min_bytes: 1,
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

    /// The records of the partition, or nothing where the answer has none to check: that is a finding.
    pub fn records<'a>(
        &self,
        index: i32,
        frame: &'a [u8],
        findings: &mut Findings,
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Fetch, self.version)?;
        let response = FetchResponse::decode(&mut reader, self.version)?;
        if !response.error_code.is_none() {
            findings.error(response.error_code, || "the whole answer".to_owned());
            return Ok(None);
        }
        let partitions = response.responses.iter().next().map(|topic| topic.partitions);
        let partition = partitions.and_then(|all| all.iter().find(|partition| partition.partition_index == index));
        let Some(partition) = partition else {
            findings.problem("partition not in the answer", || format!("partition {index}"));
            return Ok(None);
        };
        if !partition.error_code.is_none() {
            findings.error(partition.error_code, || format!("partition {index}"));
            return Ok(None);
        }
        Ok(Some(partition.records.map(|records| records.bytes()).unwrap_or_default()))
    }
}
