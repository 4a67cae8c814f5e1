//! InitProducerId (api key 22), versions 0..=5. A producer id for an idempotent producer.
//!
//! v2 flexible   v3 known id and epoch   v4 PRODUCER_FENCED
//! Errors: INVALID_REQUEST for an empty transactional id. Transactions are not there: a transactional id is answered
//! with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients take as final.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Context, Request};
use crate::metadata::{ControlReply, ControlRequest, PRODUCER_ID_BLOCK_LEN, ProducerIdBlock};

/// Takes the next id of this shard's block; a new block comes from the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: InitProducerIdRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    match body.transactional_id {
        Some("") => return refuse(request, ErrorCode::INVALID_REQUEST),
        Some(_) => return refuse(request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        None => {}
    }
    if let Some(producer_id) = context.producer_ids.take() {
        return accept(request, producer_id);
    }
    let context_of_reply = Rc::clone(context);
    let reply = Box::new(move |reply| match reply {
        ControlReply::ProducerIds(Ok(block)) => accept(request, context_of_reply.producer_ids.refill(block)),
        ControlReply::ProducerIds(Err(_)) => refuse(request, ErrorCode::UNKNOWN_SERVER_ERROR),
        _ => refuse(request, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    });
    context.controller.request(ControlRequest::ProducerIds, reply);
}

/// Producer ids of this shard.
#[derive(Debug, Default)]
pub struct ProducerIds {
    next: RefCell<Range<i64>>,
}

impl ProducerIds {
    fn take(&self) -> Option<i64> {
        self.next.borrow_mut().next()
    }

    /// Takes the first of a new block. What an earlier block has left is given up.
    fn refill(&self, block: ProducerIdBlock) -> i64 {
        self.next.replace(block.first + 1..block.first + PRODUCER_ID_BLOCK_LEN);
        block.first
    }
}

fn accept(request: Request, producer_id: i64) {
    request.answer(&InitProducerIdResponse { producer_id, ..Default::default() }, []);
}

fn refuse(request: Request, error_code: ErrorCode) {
    request.answer(&InitProducerIdResponse { error_code, producer_epoch: -1, ..Default::default() }, []);
}
