//! DescribeGroups (api key 15), versions 0..=6. State and members of classic groups.
//!
//! v3 authorized operations   v4 instance id   v5 flexible   v6 GROUP_ID_NOT_FOUND
//! Errors: GROUP_ID_NOT_FOUND (a dead group before version 6), and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::errors::unavailable;
use super::gather::Gather;
use super::{Context, Request};
use crate::coordinator::group::{GroupDescription, GroupError, GroupReply, GroupRequest};

const GROUP_ID_NOT_FOUND_VERSION: i16 = 6;
/// Without access control, all that there is for a group: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub(super) const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

type Found = Result<GroupDescription, GroupError>;

/// Asks every group's coordinator, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeGroupsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let gather = Gather::new(body.groups.len());
    for (at, group_id) in body.groups.iter().enumerate() {
        let answer = gather.clone();
        let reply = Box::new(move |reply| {
            let found = match reply {
                GroupReply::Describe(found) => found,
                other => Err(unavailable(&other)),
            };
            answer.put(at, found);
        });
        context.groups.request(group_id, GroupRequest::Describe(group_id.to_owned()), reply);
    }
    context.reactor.spawn(async move {
        let found = gather.all().await;
        finish(request, &found);
    });
}

fn finish(request: Request, found: &[Found]) {
    let encoded = request.body();
    let body: DescribeGroupsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let authorized_operations = if body.include_authorized_operations { GROUP_OPERATIONS } else { i32::MIN };
    let knows_not_found = request.api_version >= GROUP_ID_NOT_FOUND_VERSION;
    let groups = body.groups.iter().zip(found).map(|(group_id, found)| match found {
        Ok(group) => DescribedGroup { authorized_operations, ..described(group_id, group) },
        Err(GroupError { error_code: ErrorCode::GROUP_ID_NOT_FOUND, message }) => DescribedGroup {
            error_code: if knows_not_found { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE },
            error_message: knows_not_found.then_some(message.as_str()),
            group_id,
            group_state: "Dead",
            ..Default::default()
        },
        Err(error) => DescribedGroup { error_code: error.error_code, group_id, ..Default::default() },
    });
    request.answer(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }, []);
}

fn described<'a>(group_id: &'a str, group: &'a GroupDescription) -> DescribedGroup<'a> {
    let members = group.members.iter().map(|member| DescribedGroupMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: group.state,
        protocol_type: &group.protocol_type,
        protocol_data: &group.protocol_name,
        members: members.collect(),
        ..Default::default()
    }
}
