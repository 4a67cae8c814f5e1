//! Heartbeat (api key 12), versions 0..=4. Keeps a member in its group and tells it when to join again.
//!
//! v3 instance id   v4 flexible
//! Errors: REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, and those of the coordinator but
//! COORDINATOR_LOAD_IN_PROGRESS.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
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
        request.answer(&HeartbeatResponse { error_code: error_code(&reply), ..Default::default() }, []);
    });
    context.groups.request(body.group_id, GroupRequest::Heartbeat(heartbeat), reply);
}

/// While the coordinator loads, nothing is wrong, as in Kafka: some clients take any error for the end of their membership,
/// and whoever is a member has its whole session when the log is loaded.
fn error_code(reply: &GroupReply) -> ErrorCode {
    match reply {
        GroupReply::Heartbeat(error_code) => *error_code,
        GroupReply::Unavailable(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => ErrorCode::NONE,
        other => unexpected_group_reply(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_while_their_coordinator_loads() {
        let reply = |code| error_code(&GroupReply::Unavailable(code));
        assert_eq!(reply(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), ErrorCode::NONE);
        assert_eq!(reply(ErrorCode::NOT_COORDINATOR), ErrorCode::NOT_COORDINATOR);
    }
}
