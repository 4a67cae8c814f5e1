//! FindCoordinator (api key 10), versions 0..=6. Which broker coordinates a group: this one.
//!
//! v1 key type   v3 flexible   v4 several keys   v6 share groups
//! Errors: COORDINATOR_NOT_AVAILABLE, INVALID_REQUEST for a key type that is not there. Transactions are not there: their
//! coordinator is answered with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients take as final instead of asking again.
//!
//! The first question creates `__consumer_offsets`; it is answered when the topic is there.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Context, Request};
use crate::coordinator::group::offsets_topic;
use crate::metadata::{ControlReply, ControlRequest, CreateTopicError};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// Versions below name one key, without a list.
const BATCH_VERSION: i16 = 4;

/// Answers, after the topic was created.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: FindCoordinatorRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    match body.key_type {
        GROUP if context.groups.partitions_count().is_some() => finish(context, request, ErrorCode::NONE),
        GROUP => create_topic(context, request),
        TRANSACTION => finish(context, request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        _ => finish(context, request, ErrorCode::INVALID_REQUEST),
    }
}

fn create_topic(context: &Rc<Context>, request: Request) {
    let topics = vec![offsets_topic(&context.settings.groups)];
    let context_of_reply = Rc::clone(context);
    let reply = Box::new(move |reply| {
        // "Already exists": another request creates it just now, and the client asks again.
        if let ControlReply::CreateTopics(results) = &reply
            && let Some(Err(error)) = results.first()
            && !matches!(error, CreateTopicError::AlreadyExists(_))
            && context_of_reply.groups.partitions_count().is_none()
        {
            tracing::error!(%error, "__consumer_offsets cannot be created");
        }
        let error_code = match context_of_reply.groups.partitions_count() {
            Some(_) => ErrorCode::NONE,
            None => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        };
        finish(&context_of_reply, request, error_code);
    });
    context.controller.request(ControlRequest::CreateTopics { topics, validate_only: false }, reply);
}

fn finish(context: &Context, request: Request, error_code: ErrorCode) {
    let encoded = request.body();
    let body: FindCoordinatorRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let endpoint = context.endpoint(&request);
    let coordinator = |key| match error_code {
        ErrorCode::NONE => Coordinator {
            key,
            node_id: context.settings.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            ..Default::default()
        },
        _ => {
            let error_message = (body.key_type == TRANSACTION).then_some("Transactions are not there yet.");
            Coordinator { key, node_id: -1, port: -1, error_code, error_message, ..Default::default() }
        }
    };
    let response = if request.api_version >= BATCH_VERSION {
        let coordinators = body.coordinator_keys.iter().map(coordinator).collect();
        FindCoordinatorResponse { coordinators, ..Default::default() }
    } else {
        let Coordinator { node_id, host, port, error_code, error_message, .. } = coordinator(body.key);
        FindCoordinatorResponse { error_code, error_message, node_id, host, port, ..Default::default() }
    };
    request.answer(&response, []);
}
