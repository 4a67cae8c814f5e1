//! ListGroups (api key 16), versions 0..=5. The groups of all coordinators of this broker.
//!
//! v3 flexible   v4 states filter   v5 types filter
//! Errors: those of a coordinator that will be there, as COORDINATOR_LOAD_IN_PROGRESS: then the list would not be whole.

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
        let reply = Box::new(move |reply| answer.put(at, listed(reply)));
        context.groups.request_partition(partition_index, GroupRequest::List(list.clone()), reply);
    }
    context.reactor.spawn(async move {
        let listed = gather.all().await;
        finish(request, listed);
    });
}

/// A partition without a coordinator, as behind a log that has failed, has no groups: those of the others are listed.
fn listed(reply: GroupReply) -> Listed {
    match reply {
        GroupReply::List(listed) => listed,
        GroupReply::Unavailable(ErrorCode::NOT_COORDINATOR) => Ok(Vec::new()),
        other => Err(unexpected_group_reply(&other)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_listed_without_those_that_have_no_coordinator_but_not_while_one_loads() {
        let reply = |error_code| listed(GroupReply::Unavailable(error_code));
        assert_eq!(reply(ErrorCode::NOT_COORDINATOR), Ok(Vec::new()));
        let loads = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        assert_eq!(reply(loads), Err(loads));
    }
}
