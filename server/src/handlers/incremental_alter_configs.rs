//! IncrementalAlterConfigs (api key 44), versions 0..=1. Sets, deletes, appends to and subtracts from keys of a topic or a
//! broker; durable, and acting on every shard, before it is answered. Levels of loggers are of this process.
//!
//! v1 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, INVALID_REQUEST, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
};

use super::broker_loggers::{self, Refusal};
use super::config_resources::{BROKER_LOGGER, resource, results};
use super::{Context, Request};
use crate::metadata::{AlterConfigs, ConfigAlteration, ConfigOp, ConfigOpKind, ControlReply, ControlRequest};

/// Alters levels of loggers, and asks the controller for the rest.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: IncrementalAlterConfigsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let others = || body.resources.iter().filter(|altered| altered.resource_type != BROKER_LOGGER);
    let Some(alterations) = others().map(|altered| alteration(&altered)).collect() else {
        return request.close(&"an operation that there is not");
    };
    let of_loggers = body.resources.iter().filter(|altered| altered.resource_type == BROKER_LOGGER);
    let loggers: Vec<_> =
        of_loggers.map(|altered| broker_loggers::alter(context, &altered, body.validate_only)).collect();
    let alter = AlterConfigs { alterations, is_replacement: false, validate_only: body.validate_only };
    context
        .controller
        .request(ControlRequest::AlterConfigs(alter), Box::new(move |reply| finish(request, loggers, reply)));
}

fn alteration(altered: &IncrementalAlterConfigsResource<'_>) -> Option<ConfigAlteration> {
    let ops = altered.configs.iter().map(|config| {
        let kind = match config.config_operation {
            0 => ConfigOpKind::Set,
            1 => ConfigOpKind::Delete,
            2 => ConfigOpKind::Append,
            3 => ConfigOpKind::Subtract,
            _ => return None,
        };
        Some(ConfigOp { name: config.name.to_owned(), kind, value: config.value.map(str::to_owned) })
    });
    let resource = resource(altered.resource_type, altered.resource_name);
    Some(ConfigAlteration { resource, ops: ops.collect::<Option<_>>()? })
}

fn finish(request: Request, loggers: Vec<Result<(), Refusal>>, reply: ControlReply) {
    let encoded = request.body();
    let body: IncrementalAlterConfigsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut others = results(reply, body.resources.len() - loggers.len()).into_iter();
    let mut loggers = loggers.into_iter().map(|altered| match altered {
        Ok(()) => (ErrorCode::NONE, None),
        Err((error_code, text)) => (error_code, Some(text)),
    });
    let results: Vec<_> = body
        .resources
        .iter()
        .map(|altered| if altered.resource_type == BROKER_LOGGER { loggers.next() } else { others.next() })
        .map(|result| result.expect("a result for each"))
        .collect();
    let responses = body.resources.iter().zip(&results).map(|(altered, (error_code, message))| {
        IncrementalAlterConfigsResourceResponse {
            error_code: *error_code,
            error_message: message.as_deref(),
            resource_type: altered.resource_type,
            resource_name: altered.resource_name,
        }
    });
    request.answer(&IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }, []);
}
