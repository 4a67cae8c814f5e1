//! AlterConfigs (api key 33), versions 0..=2. Replaces all that is set for a topic or a broker; durable, and acting on every
//! shard, before it is answered.
//!
//! v2 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, INVALID_REQUEST, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::messages::{AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse};

use super::config_resources::{resource, results};
use super::{Context, Request};
use crate::metadata::{AlterConfigs, ConfigAlteration, ConfigOp, ConfigOpKind, ControlReply, ControlRequest};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: AlterConfigsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let alterations = body.resources.iter().map(|altered| ConfigAlteration {
        resource: resource(altered.resource_type, altered.resource_name),
        ops: altered
            .configs
            .iter()
            .map(|config| ConfigOp {
                name: config.name.to_owned(),
                kind: ConfigOpKind::Set,
                value: config.value.map(str::to_owned),
            })
            .collect(),
    });
    let alter =
        AlterConfigs { alterations: alterations.collect(), is_replacement: true, validate_only: body.validate_only };
    context.controller.request(ControlRequest::AlterConfigs(alter), Box::new(move |reply| finish(request, reply)));
}

fn finish(request: Request, reply: ControlReply) {
    let encoded = request.body();
    let body: AlterConfigsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let results = results(reply, body.resources.len());
    let responses =
        body.resources.iter().zip(&results).map(|(altered, (error_code, message))| AlterConfigsResourceResponse {
            error_code: *error_code,
            error_message: message.as_deref(),
            resource_type: altered.resource_type,
            resource_name: altered.resource_name,
        });
    request.answer(&AlterConfigsResponse { responses: responses.collect(), ..Default::default() }, []);
}
