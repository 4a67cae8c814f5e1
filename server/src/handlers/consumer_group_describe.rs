//! ConsumerGroupDescribe (api key 69), versions 0..=1. State, members and assignments of consumer groups (KIP-848).
//!
//! v1 member type
//! Errors: GROUP_ID_NOT_FOUND, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::messages::{
    ConsumerGroupDescribeAssignment, ConsumerGroupDescribeMember, ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse, ConsumerGroupDescribeTopicPartitions, ConsumerGroupDescribedGroup,
};

use super::describe_groups::GROUP_OPERATIONS;
use super::errors::unavailable;
use super::gather::Gather;
use super::{Context, Request};
use crate::coordinator::group::{
    ConsumerGroupDescription, ConsumerMemberDescription, GroupError, GroupReply, GroupRequest, TopicPartitionNames,
};

const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

type Found = Result<ConsumerGroupDescription, GroupError>;

/// Asks every group's coordinator, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ConsumerGroupDescribeRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let gather = Gather::new(body.group_ids.len());
    for (at, group_id) in body.group_ids.iter().enumerate() {
        let answer = gather.clone();
        let reply = Box::new(move |reply| {
            let found = match reply {
                GroupReply::ConsumerDescribe(found) => found,
                other => Err(unavailable(&other)),
            };
            answer.put(at, found);
        });
        context.groups.request(group_id, GroupRequest::ConsumerDescribe(group_id.to_owned()), reply);
    }
    context.reactor.spawn(async move {
        let found = gather.all().await;
        finish(request, &found);
    });
}

fn finish(request: Request, found: &[Found]) {
    let encoded = request.body();
    let body: ConsumerGroupDescribeRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let authorized_operations = if body.include_authorized_operations { GROUP_OPERATIONS } else { i32::MIN };
    let groups = body.group_ids.iter().zip(found).map(|(group_id, found)| match found {
        Ok(group) => ConsumerGroupDescribedGroup { authorized_operations, ..described(group_id, group) },
        Err(GroupError { error_code, message }) => ConsumerGroupDescribedGroup {
            error_code: *error_code,
            error_message: Some(message.as_str()).filter(|message| !message.is_empty()),
            group_id,
            ..Default::default()
        },
    });
    request.answer(&ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() }, []);
}

fn described<'a>(group_id: &'a str, group: &'a ConsumerGroupDescription) -> ConsumerGroupDescribedGroup<'a> {
    ConsumerGroupDescribedGroup {
        group_id,
        group_state: group.state,
        group_epoch: group.group_epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: group.assignor_name,
        members: group.members.iter().map(member).collect(),
        ..Default::default()
    }
}

fn member(member: &ConsumerMemberDescription) -> ConsumerGroupDescribeMember<'_> {
    ConsumerGroupDescribeMember {
        member_id: &member.member_id,
        instance_id: member.instance_id.as_deref(),
        rack_id: member.rack_id.as_deref(),
        member_epoch: member.member_epoch,
        client_id: &member.client_id,
        client_host: &member.client_host,
        subscribed_topic_names: member.subscribed_topic_names.iter().map(String::as_str).collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.as_deref(),
        assignment: assignment(&member.assigned),
        target_assignment: assignment(&member.target),
        member_type: if member.is_classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

fn assignment(topics: &[TopicPartitionNames]) -> ConsumerGroupDescribeAssignment<'_> {
    let topics = topics.iter().map(|topic| ConsumerGroupDescribeTopicPartitions {
        topic_id: topic.topic_id,
        topic_name: &topic.topic_name,
        partitions: (&topic.partitions[..]).into(),
    });
    ConsumerGroupDescribeAssignment { topic_partitions: topics.collect() }
}
