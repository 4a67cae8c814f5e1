//! The numbers that requests give to what has a configuration, and the alterations of both APIs.

use ringlog_core::protocol::ErrorCode;

use crate::metadata::{AlterConfigError, ConfigResource, ControlReply};

/// A topic.
pub const TOPIC: i8 = 2;
/// A broker, or all of them with an empty name.
pub const BROKER: i8 = 4;
/// Loggers of a broker.
pub const BROKER_LOGGER: i8 = 8;
/// A group.
pub const GROUP: i8 = 32;

/// What a request names.
pub fn resource(resource_type: i8, name: &str) -> ConfigResource {
    match resource_type {
        TOPIC => ConfigResource::Topic(name.to_owned()),
        BROKER => ConfigResource::Broker(name.to_owned()),
        GROUP => ConfigResource::Group(name.to_owned()),
        other => ConfigResource::Other(other),
    }
}

/// Error code and text of each of `count` resources.
pub fn results(reply: ControlReply, count: usize) -> Vec<(ErrorCode, Option<String>)> {
    match reply {
        ControlReply::AlterConfigs(results) => results.into_iter().map(result).collect(),
        _ => vec![(ErrorCode::KAFKA_STORAGE_ERROR, None); count],
    }
}

fn result(result: Result<(), AlterConfigError>) -> (ErrorCode, Option<String>) {
    let Err(error) = result else { return (ErrorCode::NONE, None) };
    let code = match &error {
        AlterConfigError::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AlterConfigError::InvalidTopic(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        AlterConfigError::InvalidConfig(_) => ErrorCode::INVALID_CONFIG,
        AlterConfigError::InvalidRequest(_) => ErrorCode::INVALID_REQUEST,
    };
    (code, Some(error.to_string()))
}
