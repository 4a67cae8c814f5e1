//! DeleteGroups (api key 42), versions 0..=2. Removes empty groups with their offsets.
//!
//! v2 flexible
//! Errors: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use super::errors::unexpected_group_reply;
use super::gather::Gather;
use super::{Context, Request};
use crate::coordinator::group::{GroupReply, GroupRequest};

/// Asks every group's coordinator, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DeleteGroupsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let gather = Gather::new(body.groups_names.len());
    for (at, group_id) in body.groups_names.iter().enumerate() {
        let answer = gather.clone();
        let reply = Box::new(move |reply| {
            let error_code = match reply {
                GroupReply::Delete(error_code) => error_code,
                other => unexpected_group_reply(&other),
            };
            answer.put(at, error_code);
        });
        context.groups.request(group_id, GroupRequest::Delete(group_id.to_owned()), reply);
    }
    context.reactor.spawn(async move {
        let codes = gather.all().await;
        finish(request, &codes);
    });
}

fn finish(request: Request, codes: &[ErrorCode]) {
    let encoded = request.body();
    let body: DeleteGroupsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let results = body
        .groups_names
        .iter()
        .zip(codes)
        .map(|(group_id, error_code)| DeletableGroupResult { group_id, error_code: *error_code });
    request.answer(&DeleteGroupsResponse { results: results.collect(), ..Default::default() }, []);
}
