//! ListConfigResources (api key 74), versions 0..=1. Topics, brokers and groups have configs; client metrics are not there.
//!
//! v0 client metrics only   v1 resource types (KIP-1142)
//! Errors: UNSUPPORTED_VERSION, for a type that nobody knows.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse, ListedConfigResource};

use super::config_resources::{BROKER, GROUP, TOPIC};
use super::{Context, Request};

/// All that Kafka has: topics, brokers, loggers of brokers, client metrics, groups.
const KNOWN: [i8; 5] = [TOPIC, BROKER, 8, 16, GROUP];

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ListConfigResourcesRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    if body.resource_types.iter().any(|resource_type| !KNOWN.contains(&resource_type)) {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        return request.answer(&ListConfigResourcesResponse { error_code, ..Default::default() }, []);
    }
    let is_asked = |wanted: i8| {
        request.api_version > 0 && (body.resource_types.is_empty() || body.resource_types.iter().any(|t| t == wanted))
    };
    let image = context.metadata.image();
    let node_id = context.settings.node_id.to_string();
    let mut config_resources = Vec::new();
    if is_asked(TOPIC) {
        let topic = |name| ListedConfigResource { resource_name: name, resource_type: TOPIC };
        config_resources.extend(image.topics().map(|found| topic(&*found.name)));
    }
    if is_asked(BROKER) {
        config_resources.push(ListedConfigResource { resource_name: &node_id, resource_type: BROKER });
    }
    if is_asked(GROUP) {
        let group = |name| ListedConfigResource { resource_name: name, resource_type: GROUP };
        config_resources.extend(image.group_configs().keys().map(|group_id| group(group_id.as_str())));
    }
    let config_resources = config_resources.into();
    request.answer(&ListConfigResourcesResponse { config_resources, ..Default::default() }, []);
}
