//! Metadata (api key 3), versions 0..=13. Brokers, topics, partitions and their leaders.
//!
//! v1 null is all topics   v4 auto creation   v7 leader epoch   v9 flexible   v10 topic ids   v12 look-up by id
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION.
//!
//! An answer is of one image, however many loop turns it takes: all partitions of a large cluster are not written in one.
//!
//! A missing topic is created before the answer where that is asked for and allowed, so that no client ever sees a
//! partition without a leader.

mod topics;

use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
};
use ringlog_core::wire::{DecodeError, Message};

use self::topics::{FoundTopic, TopicsWriter};
use super::errors::create_topic_error;
use super::{Body, Context, Request};
use crate::coordinator::group::{OFFSETS_TOPIC, offsets_topic};
use crate::metadata::{ControlReply, ControlRequest, MetadataImage, NewTopic};

/// Answers, after missing topics were created.
pub fn handle(context: &Rc<Context>, request: Request) {
    let missing = match missing_topics(context, &request.body()) {
        Ok(missing) => missing,
        Err(error) => return request.close(&error),
    };
    if missing.is_empty() {
        return finish(context, request, &AHashMap::new());
    }
    let context_of_reply = Rc::clone(context);
    let topics = missing.iter().map(|name| new_topic(context, name)).collect();
    let creating = ControlRequest::CreateTopics { topics, validate_only: false };
    let reply = Box::new(move |reply| {
        let results = if let ControlReply::CreateTopics(results) = reply { results } else { Vec::new() };
        let refused: AHashMap<_, _> = missing
            .into_iter()
            .zip(results)
            .filter_map(|(name, result)| Some((name, create_topic_error(&result.err()?))))
            .collect();
        finish(&context_of_reply, request, &refused);
    });
    context.controller.request(creating, reply);
}

fn new_topic(context: &Context, name: &str) -> NewTopic {
    if name == OFFSETS_TOPIC {
        return offsets_topic(&context.settings.groups);
    }
    NewTopic { name: name.to_owned(), num_partitions: -1, replication_factor: -1, ..NewTopic::default() }
}

/// Names that are asked for, not there, and may be created.
fn missing_topics(context: &Context, encoded: &Body) -> Result<Vec<String>, DecodeError> {
    let body: MetadataRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    if !body.allow_auto_topic_creation || !context.settings.auto_create_topics {
        return Ok(Vec::new());
    }
    let mut seen = AHashSet::new();
    let asked = body.topics.iter().flatten().filter_map(|topic| topic.name);
    let missing = asked.filter(|name| image.topic_by_name(name).is_none() && seen.insert(*name));
    Ok(missing.map(str::to_owned).collect())
}

fn finish(context: &Rc<Context>, mut request: Request, refused: &AHashMap<String, ErrorCode>) {
    let mut topics = match found_topics(context, &request, refused) {
        Ok(found) => TopicsWriter::new(found, MetadataResponse::scope(request.api_version)),
        Err(error) => return request.close(&error),
    };
    match topics.write_some() {
        Ok(true) => return answer(context, request, topics),
        Ok(false) => {}
        Err(error) => return request.close(&error),
    }
    request.release_body();
    let context = Rc::clone(context);
    context.reactor.clone().spawn(async move {
        // Counted before it is there, so that no more requests are read than there is memory for.
        let size_bytes = topics.size_bytes_max();
        let _held = request.responder().budget().map(|budget| budget.hold(size_bytes));
        loop {
            context.reactor.yield_now().await;
            match topics.write_some() {
                _ if request.responder().is_closed() => return,
                Ok(true) => return answer(&context, request, topics),
                Ok(false) => {}
                Err(error) => return request.close(&error),
            }
        }
    });
}

fn found_topics(
    context: &Context,
    request: &Request,
    refused: &AHashMap<String, ErrorCode>,
) -> Result<Vec<FoundTopic>, DecodeError> {
    let encoded = request.body();
    let body: MetadataRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    Ok(match &body.topics {
        // Version 0 has no null: an empty list asks for all topics.
        Some(topics) if request.api_version > 0 || !topics.is_empty() => {
            topics.iter().map(|asked| find(&image, &asked, refused)).collect()
        }
        _ => image.topics().map(|topic| FoundTopic::Known(Arc::clone(topic))).collect(),
    })
}

fn find(image: &MetadataImage, asked: &MetadataRequestTopic<'_>, refused: &AHashMap<String, ErrorCode>) -> FoundTopic {
    let found = match asked.name {
        Some(name) => image.topic_by_name(name),
        None => image.topic(&asked.topic_id),
    };
    if let Some(topic) = found {
        return FoundTopic::Known(Arc::clone(topic));
    }
    let error_code = match asked.name {
        None => ErrorCode::UNKNOWN_TOPIC_ID,
        Some(name) => *refused.get(name).unwrap_or(&ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    };
    FoundTopic::Missing { error_code, name: asked.name.map(str::to_owned), topic_id: asked.topic_id }
}

fn answer(context: &Context, request: Request, topics: TopicsWriter) {
    let topics = match topics.finish() {
        Ok(topics) => topics,
        Err(error) => return request.close(&error),
    };
    let endpoint = context.endpoint(&request);
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: context.settings.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: context.settings.rack.as_deref(),
        }]
        .into(),
        cluster_id: Some(&context.cluster_id),
        controller_id: context.settings.node_id,
        topics: topics.as_array(),
        ..Default::default()
    };
    request.answer(&response, []);
}
