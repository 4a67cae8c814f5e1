//! Kafka's error code for each inner error. One exhaustive match per error, so that a new one does not compile until
//! somebody decides its code.

use ringlog_core::log::AppendError;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::record::{BatchError, Rejection};

use crate::partition::PartitionError;

/// For a batch refused by validation.
pub fn batch_error(error: &BatchError) -> ErrorCode {
    match error.rejection() {
        Rejection::CorruptMessage => ErrorCode::CorruptMessage,
        Rejection::MessageTooLarge => ErrorCode::MessageTooLarge,
        Rejection::RecordListTooLarge => ErrorCode::RecordListTooLarge,
        Rejection::InvalidTimestamp => ErrorCode::InvalidTimestamp,
        Rejection::UnsupportedCompressionType => ErrorCode::UnsupportedCompressionType,
        Rejection::InvalidRecord => ErrorCode::InvalidRecord,
    }
}

/// For anything a partition refused; `by_id`: the request named its topic by id.
pub fn partition_error(error: &PartitionError, by_id: bool) -> ErrorCode {
    match error {
        PartitionError::Unknown if by_id => ErrorCode::UnknownTopicId,
        PartitionError::Unknown => ErrorCode::UnknownTopicOrPartition,
        PartitionError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
        PartitionError::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
        PartitionError::OffsetOutOfRange => ErrorCode::OffsetOutOfRange,
        PartitionError::Append(error) => append_error(error),
        PartitionError::Storage => ErrorCode::KafkaStorageError,
        // Retriable for producers and consumers alike.
        PartitionError::Busy => ErrorCode::NotLeaderOrFollower,
    }
}

fn append_error(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Storage => ErrorCode::KafkaStorageError,
    }
}
