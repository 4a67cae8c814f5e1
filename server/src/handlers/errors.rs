//! Kafka's error code for each inner error. One exhaustive match per error, so that a new one does not compile until
//! somebody decides its code.

use ringlog_core::log::AppendError;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::record::{BatchError, Rejection};

use crate::coordinator::group::{GroupError, GroupReply};
use crate::metadata::{CreatePartitionsError, CreateTopicError};
use crate::partition::PartitionError;

/// For a batch refused by validation.
pub fn batch_error(error: &BatchError) -> ErrorCode {
    match error.rejection() {
        Rejection::CorruptMessage => ErrorCode::CORRUPT_MESSAGE,
        Rejection::MessageTooLarge => ErrorCode::MESSAGE_TOO_LARGE,
        Rejection::RecordListTooLarge => ErrorCode::RECORD_LIST_TOO_LARGE,
        Rejection::InvalidTimestamp => ErrorCode::INVALID_TIMESTAMP,
        Rejection::UnsupportedCompressionType => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        Rejection::InvalidRecord => ErrorCode::INVALID_RECORD,
    }
}

/// For anything a partition refused; `by_id`: the request named its topic by id.
pub fn partition_error(error: &PartitionError, by_id: bool) -> ErrorCode {
    match error {
        PartitionError::Unknown if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
        PartitionError::Unknown => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        PartitionError::FencedLeaderEpoch => ErrorCode::FENCED_LEADER_EPOCH,
        PartitionError::UnknownLeaderEpoch => ErrorCode::UNKNOWN_LEADER_EPOCH,
        PartitionError::OffsetOutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        PartitionError::Append(error) => append_error(error),
        // Consumers stop with it and can be told to go on behind it; KAFKA_STORAGE_ERROR they would repeat for ever.
        PartitionError::Damaged => ErrorCode::CORRUPT_MESSAGE,
        PartitionError::UnknownCodec => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        PartitionError::Refused(error) => batch_error(error),
        PartitionError::Storage => ErrorCode::KAFKA_STORAGE_ERROR,
        // Clients try again after a while.
        PartitionError::Busy => ErrorCode::REQUEST_TIMED_OUT,
    }
}

fn append_error(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::UnknownLog => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AppendError::InvalidBatch => ErrorCode::CORRUPT_MESSAGE,
        AppendError::TooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        AppendError::OutOfOrderSequence => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::InvalidProducerEpoch => ErrorCode::INVALID_PRODUCER_EPOCH,
        AppendError::DuplicateSequence => ErrorCode::DUPLICATE_SEQUENCE_NUMBER,
        AppendError::InvalidTransactionState => ErrorCode::INVALID_TXN_STATE,
        AppendError::DiskFull | AppendError::Stopped(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        // Idempotent producers must not take it for not appended, as they take KAFKA_STORAGE_ERROR.
        AppendError::MaybeAppended(_) => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        // Clients repeat it as it is.
        AppendError::Busy | AppendError::BehindRefused => ErrorCode::REQUEST_TIMED_OUT,
    }
}

/// For a topic that is not created.
pub fn create_topic_error(error: &CreateTopicError) -> ErrorCode {
    match error {
        CreateTopicError::InvalidName(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        CreateTopicError::AlreadyExists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
        CreateTopicError::DuplicateInRequest | CreateTopicError::AssignmentAndNumbers(_) => ErrorCode::INVALID_REQUEST,
        CreateTopicError::InvalidPartitions => ErrorCode::INVALID_PARTITIONS,
        CreateTopicError::TooManyPartitions => ErrorCode::POLICY_VIOLATION,
        CreateTopicError::InvalidReplicationFactor(_) => ErrorCode::INVALID_REPLICATION_FACTOR,
        CreateTopicError::InvalidAssignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        CreateTopicError::InvalidConfig(_) => ErrorCode::INVALID_CONFIG,
    }
}

/// For an answer of a group's coordinator that is not of the kind that was asked for: it says why there is none.
pub fn unexpected_group_reply(reply: &GroupReply) -> ErrorCode {
    match reply {
        GroupReply::Unavailable(error_code) => *error_code,
        other => {
            tracing::error!(?other, "an answer of another kind");
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
    }
}

/// For a topic that does not grow.
pub fn create_partitions_error(error: &CreatePartitionsError) -> ErrorCode {
    match error {
        CreatePartitionsError::UnknownTopic => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        CreatePartitionsError::DuplicateInRequest => ErrorCode::INVALID_REQUEST,
        CreatePartitionsError::InvalidPartitions(_) => ErrorCode::INVALID_PARTITIONS,
        CreatePartitionsError::InvalidAssignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        CreatePartitionsError::TooManyPartitions => ErrorCode::POLICY_VIOLATION,
    }
}

/// The same, where words go with the code: there are none.
pub fn unavailable(reply: &GroupReply) -> GroupError {
    GroupError { error_code: unexpected_group_reply(reply), message: String::new() }
}
