//! ListPartitionReassignments (api key 46), version 0. There are none on one node.

use std::rc::Rc;

use ringlog_core::protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::{Context, Request};

/// Answers at once.
pub fn handle(_: &Rc<Context>, request: Request) {
    let encoded = request.body();
    if let Err(error) = encoded.decode::<ListPartitionReassignmentsRequest<'_>>() {
        return request.close(&error);
    }
    request.answer(&ListPartitionReassignmentsResponse::default(), []);
}
