//! Produce (API key 0), versions 3..=13.
//!
//! v5 log_start_offset   v8 record_errors (KIP-467)   v9 flexible   v10 current_leader (KIP-951)   v12 implicit partitions in transactions (KIP-890)
//! v13 topic ids (KIP-516)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::protocol::messages::{LeaderIdAndEpoch, NodeEndpoint};
use crate::wire::{Array, DecodeError, Element, Message as _, Reader, Records, Scope, read_each, tagged};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 3..=13, flexible = 9..)]
pub struct ProduceRequest<'a> {
    #[field(versions = 3..)] pub transactional_id: Option<&'a str>,
    #[field(versions = 0..)] pub acks: i16,
    #[field(versions = 0..)] pub timeout_ms: i32,
    #[field(versions = 0..)] pub topic_data: Array<'a, TopicProduceData<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicProduceData<'a> {
    #[field(versions = 0..=12)] pub name: &'a str,
    #[field(versions = 13..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partition_data: Array<'a, PartitionProduceData<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionProduceData<'a> {
    #[field(versions = 0..)] pub index: i32,
    #[field(versions = 0..)] pub records: Option<Records<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 3..=13, flexible = 9..)]
pub struct ProduceResponse<'a> {
    #[field(versions = 0..)] pub responses: Array<'a, TopicProduceResponse<'a>>,
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 10.., tag = 0)] pub node_endpoints: Array<'a, NodeEndpoint<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicProduceResponse<'a> {
    #[field(versions = 0..=12)] pub name: &'a str,
    #[field(versions = 13..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partition_responses: Array<'a, PartitionProduceResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionProduceResponse<'a> {
    #[field(versions = 0..)] pub index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub base_offset: i64,
    #[field(versions = 2.., default = -1)] pub log_append_time_ms: i64,
    #[field(versions = 5.., default = -1)] pub log_start_offset: i64,
    #[field(versions = 8..)] pub record_errors: Array<'a, BatchIndexAndErrorMessage<'a>>,
    #[field(versions = 8..)] pub error_message: Option<&'a str>,
    #[field(versions = 10.., tag = 0)] pub current_leader: LeaderIdAndEpoch,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct BatchIndexAndErrorMessage<'a> {
    #[field(versions = 8..)] pub batch_index: i32,
    #[field(versions = 8..)] pub batch_index_error_message: Option<&'a str>,
}

/// What a partition says of what was produced to it, for who wants no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedPartition<'a> {
    /// Which partition.
    pub index: i32,
    /// Whether it was done.
    pub error_code: ErrorCode,
    /// The offset of the first record; -1 if it was not done.
    pub base_offset: i64,
    /// More about the error.
    pub error_message: Option<&'a str>,
}

impl<'a> ProducedPartition<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        let index = reader.read_i32()?;
        let error_code = ErrorCode(reader.read_i16()?);
        let base_offset = reader.read_i64()?;
        let _log_append_time_ms = reader.read_i64()?;
        if scope.version >= 5 {
            let _log_start_offset = reader.read_i64()?;
        }
        let mut error_message = None;
        if scope.version >= 8 {
            read_each(reader, scope, |reader| BatchIndexAndErrorMessage::read(reader, scope).map(drop))?;
            error_message = Element::read(reader, scope)?;
        }
        if scope.flexible {
            tagged::skip(reader)?;
        }
        Ok(Self { index, error_code, base_offset, error_message })
    }
}

impl ProduceRequest<'_> {
    /// Reads a request once, for who looks at each partition once, as [`ProduceResponse::read_partitions`] does. `each` is
    /// given the topic's name (from version 13 on its id) and what was produced. Returns `acks`.
    pub fn read_partitions<'a>(
        reader: &mut Reader<'a>,
        version: i16,
        mut each: impl FnMut(&'a str, Uuid, PartitionProduceData<'a>),
    ) -> Result<i16, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let scope = Self::scope(version);
        let _transactional_id = Option::<&str>::read(reader, scope)?;
        let acks = reader.read_i16()?;
        let _timeout_ms = reader.read_i32()?;
        read_each(reader, scope, |reader| {
            let (name, topic_id) = match version {
                ..13 => (Element::read(reader, scope)?, Uuid::nil()),
                13.. => ("", reader.read_uuid()?),
            };
            read_each(reader, scope, |reader| {
                each(name, topic_id, PartitionProduceData::read(reader, scope)?);
                Ok(())
            })?;
            if scope.flexible { tagged::skip(reader) } else { Ok(()) }
        })?;
        if scope.flexible {
            tagged::skip(reader)?;
        }
        Ok(acks)
    }
}

impl ProduceResponse<'_> {
    /// Reads a response once, for who wants no more than what each partition says: iterating the arrays of a decoded one
    /// reads every partition three times. Partitions in front of a damaged one have been handed over.
    pub fn read_partitions<'a>(
        reader: &mut Reader<'a>,
        version: i16,
        mut each: impl FnMut(ProducedPartition<'a>),
    ) -> Result<(), DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let scope = Self::scope(version);
        read_each(reader, scope, |reader| {
            match version {
                ..13 => _ = <&str>::read(reader, scope)?,
                13.. => _ = Uuid::read(reader, scope)?,
            }
            read_each(reader, scope, |reader| ProducedPartition::read(reader, scope).map(&mut each))?;
            if scope.flexible { tagged::skip(reader) } else { Ok(()) }
        })?;
        let _throttle_time_ms = reader.read_i32()?;
        if scope.flexible { tagged::skip(reader) } else { Ok(()) }
    }
}
