//! DeleteTopics (api key 20), versions 1..=6. Durable before it is answered.
//!
//! v4 flexible   v5 error messages   v6 by name or by id
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUEST, TOPIC_DELETION_DISABLED, KAFKA_STORAGE_ERROR;
//! THROTTLING_QUOTA_EXCEEDED from v5 on.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ringlog_core::wire::DecodeError;
use uuid::Uuid;

use super::mutations::{EXCEEDED, within_quota};
use super::{Body, Context, Request};
use crate::metadata::{ControlReply, ControlRequest};

/// One asked-for topic: what is known of it, or why it cannot be deleted.
struct Asked {
    name: Option<String>,
    topic_id: Uuid,
    error: ErrorCode,
}

/// Finds the topics and asks the controller.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let mut asked = match look_up(context, &request.body(), request.api_version) {
        Ok(asked) => asked,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let found = || asked.iter().filter(|topic| topic.error.is_none());
    let partitions = found().map(|topic| image.topic(&topic.topic_id).map_or(0, |known| known.partitions.len()));
    let is_strict = request.api_version >= 5;
    let within = within_quota(context, &mut request, is_strict, partitions);
    drop(image);
    for (topic, within) in asked.iter_mut().filter(|topic| topic.error.is_none()).zip(within) {
        if !within {
            topic.error = ErrorCode::THROTTLING_QUOTA_EXCEEDED;
        }
    }
    let found = asked.iter().filter(|topic| topic.error.is_none()).map(|topic| topic.topic_id).collect();
    let deleting = ControlRequest::DeleteTopics(found);
    context.controller.request(deleting, Box::new(move |reply| finish(request, asked, reply)));
}

fn look_up(context: &Context, encoded: &Body, api_version: i16) -> Result<Vec<Asked>, DecodeError> {
    let body: DeleteTopicsRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let look_up = |state: DeleteTopicState<'_>| {
        let found = match state.name {
            Some(_) if !state.topic_id.is_nil() => Err(ErrorCode::INVALID_REQUEST),
            Some(name) => image.topic_by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            None => image.topic(&state.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
        };
        match found {
            Ok(topic) => Asked {
                name: Some(topic.name.to_string()),
                topic_id: topic.topic_id,
                error: if context.settings.delete_topics {
                    ErrorCode::NONE
                } else {
                    ErrorCode::TOPIC_DELETION_DISABLED
                },
            },
            Err(error) => Asked { name: state.name.map(str::to_owned), topic_id: state.topic_id, error },
        }
    };
    Ok(if api_version >= 6 {
        body.topics.iter().map(look_up).collect()
    } else {
        body.topic_names
            .iter()
            .map(|name| look_up(DeleteTopicState { name: Some(name), ..Default::default() }))
            .collect()
    })
}

fn finish(request: Request, mut asked: Vec<Asked>, reply: ControlReply) {
    let mut results = match reply {
        ControlReply::DeleteTopics(results) => Some(results.into_iter()),
        _ => None,
    };
    for topic in asked.iter_mut().filter(|topic| topic.error.is_none()) {
        topic.error = match results.as_mut().map(Iterator::next) {
            Some(Some(Ok(()))) => ErrorCode::NONE,
            Some(_) => ErrorCode::UNKNOWN_TOPIC_ID,
            None => ErrorCode::KAFKA_STORAGE_ERROR,
        };
    }
    let responses = asked.iter().map(|topic| DeletableTopicResult {
        name: topic.name.as_deref(),
        topic_id: topic.topic_id,
        error_code: topic.error,
        error_message: (topic.error == ErrorCode::THROTTLING_QUOTA_EXCEEDED).then_some(EXCEEDED),
    });
    let (responses, throttle_time_ms) = (responses.collect(), request.throttle_time_ms());
    request.answer(&DeleteTopicsResponse { throttle_time_ms, responses }, []);
}
