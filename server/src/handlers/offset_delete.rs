//! OffsetDelete (api key 47), version 0. Removes committed offsets of topics that the group does not read.
//!
//! Errors: GROUP_SUBSCRIBED_TO_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, and those of the
//! coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{DeleteOffsets, GroupReply, GroupRequest};

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: OffsetDeleteRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let is_known = |topic: &str, partition_index: i32| {
        let index = usize::try_from(partition_index);
        image.topic_by_name(topic).is_some_and(|topic| index.is_ok_and(|index| index < topic.partitions.len()))
    };
    let mut known = Vec::new();
    let topics = body.topics.iter().map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        let indexes = indexes.filter(|index| {
            known.push(is_known(topic.name, *index));
            known.last() == Some(&true)
        });
        (topic.name.to_owned(), indexes.collect())
    });
    let topics = topics.collect();
    drop(image);
    let delete = DeleteOffsets { group_id: body.group_id.to_owned(), topics };
    let reply = Box::new(move |reply| finish(request, reply, &known));
    context.groups.request(body.group_id, GroupRequest::DeleteOffsets(delete), reply);
}

fn finish(request: Request, reply: GroupReply, known: &[bool]) {
    let encoded = request.body();
    let body: OffsetDeleteRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let codes = match reply {
        GroupReply::DeleteOffsets(Ok(codes)) => codes,
        GroupReply::DeleteOffsets(Err(error_code)) => {
            return request.answer(&OffsetDeleteResponse { error_code, ..Default::default() }, []);
        }
        other => {
            let error_code = unexpected_group_reply(&other);
            return request.answer(&OffsetDeleteResponse { error_code, ..Default::default() }, []);
        }
    };
    let (mut codes, mut known) = (codes.into_iter(), known.iter());
    let mut next_code = || match known.next() {
        Some(true) => codes.next().expect("a code for each partition that was sent"),
        _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code: next_code(),
        });
        OffsetDeleteResponseTopic { name: topic.name, partitions: partitions.collect() }
    });
    request.answer(&OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }, []);
}
