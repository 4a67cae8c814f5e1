//! ListGroups (api key 16), versions 0..=5. The groups of all coordinators of this broker.
//!
//! v3 flexible   v4 states filter   v5 types filter
//! Errors: COORDINATOR_LOAD_IN_PROGRESS and the others of a coordinator: then the list would not be whole.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::errors::unexpected_group_reply;
use super::gather::Gather;
use super::{Context, Request};
use crate::coordinator::group::{GroupListing, GroupReply, GroupRequest, ListGroups};

type Listed = Result<Vec<GroupListing>, ErrorCode>;

/// Asks every coordinator, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ListGroupsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let list = ListGroups {
        states: body.states_filter.iter().map(str::to_lowercase).collect(),
        types: body.types_filter.iter().map(str::to_lowercase).collect(),
    };
    let count = context.groups.partitions_count().unwrap_or(0);
    let gather = Gather::new(count);
    for (at, partition_index) in (0..count).zip(0..) {
        let answer = gather.clone();
        let reply = Box::new(move |reply| {
            let listed = match reply {
                GroupReply::List(listed) => listed,
                other => Err(unexpected_group_reply(&other)),
            };
            answer.put(at, listed);
        });
        context.groups.request_partition(partition_index, GroupRequest::List(list.clone()), reply);
    }
    context.reactor.spawn(async move {
        let listed = gather.all().await;
        finish(request, listed);
    });
}

fn finish(request: Request, listed: Vec<Listed>) {
    let listed: Result<Vec<Vec<GroupListing>>, ErrorCode> = listed.into_iter().collect();
    let (error_code, mut groups) = match listed {
        Ok(groups) => (ErrorCode::NONE, groups.concat()),
        Err(error_code) => (error_code, Vec::new()),
    };
    groups.sort_unstable();
    let rows = groups.iter().map(|group| ListedGroup {
        group_id: &group.group_id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: group.group_type,
    });
    request.answer(&ListGroupsResponse { error_code, groups: rows.collect(), ..Default::default() }, []);
}
