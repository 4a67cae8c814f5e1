//! Heartbeat (api key 12), versions 0..=4. Keeps a member in its group and tells it when to join again.
//!
//! v3 instance id   v4 flexible
//! Errors: REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{GroupReply, GroupRequest, Heartbeat};

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: HeartbeatRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let heartbeat = Heartbeat {
        group_id: body.group_id.to_owned(),
        generation_id: body.generation_id,
        member_id: body.member_id.to_owned(),
        group_instance_id: body.group_instance_id.map(str::to_owned),
    };
    let reply = Box::new(move |reply| {
        let error_code = match reply {
            GroupReply::Heartbeat(error_code) => error_code,
            other => unexpected_group_reply(&other),
        };
        request.answer(&HeartbeatResponse { error_code, ..Default::default() }, []);
    });
    context.groups.request(body.group_id, GroupRequest::Heartbeat(heartbeat), reply);
}
