//! AlterClientQuotas (api key 49), versions 0..=1. Sets and takes away quotas of users, clients and addresses; durable,
//! and acting on every shard, before it is answered.
//!
//! v1 flexible
//! Errors: INVALID_REQUEST, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    AlterClientQuotasEntityResult, AlterClientQuotasEntry, AlterClientQuotasEntryResult, AlterClientQuotasRequest,
    AlterClientQuotasResponse,
};

use super::{Context, Request};
use crate::metadata::{AlterClientQuotas, AlterQuotaError, ControlReply, ControlRequest, QuotaAlteration};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: AlterClientQuotasRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let alterations = body.entries.iter().map(|entry| alteration(&entry)).collect();
    let alter = AlterClientQuotas { alterations, validate_only: body.validate_only };
    context.controller.request(ControlRequest::AlterClientQuotas(alter), Box::new(move |reply| finish(request, reply)));
}

fn alteration(entry: &AlterClientQuotasEntry<'_>) -> QuotaAlteration {
    let names = entry.entity.iter();
    let ops = entry.ops.iter().map(|op| (op.key.to_owned(), (!op.remove).then_some(op.value)));
    QuotaAlteration {
        entity: names.map(|one| (one.entity_type.to_owned(), one.entity_name.map(str::to_owned))).collect(),
        ops: ops.collect(),
    }
}

fn finish(request: Request, reply: ControlReply) {
    let encoded = request.body();
    let body: AlterClientQuotasRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let results: Vec<Option<Result<(), AlterQuotaError>>> = match reply {
        ControlReply::AlterClientQuotas(results) => results.into_iter().map(Some).collect(),
        _ => vec![None; body.entries.len()],
    };
    let entries = body.entries.iter().zip(&results).map(|(entry, result)| {
        let (error_code, error_message) = match result {
            Some(Ok(())) => (ErrorCode::NONE, None),
            Some(Err(error)) => (ErrorCode::INVALID_REQUEST, Some(error.0.as_str())),
            None => (ErrorCode::KAFKA_STORAGE_ERROR, None),
        };
        let entity = entry
            .entity
            .iter()
            .map(|one| AlterClientQuotasEntityResult { entity_type: one.entity_type, entity_name: one.entity_name });
        AlterClientQuotasEntryResult { error_code, error_message, entity: entity.collect() }
    });
    request.answer(&AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }, []);
}
