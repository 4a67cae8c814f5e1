//! DescribeConfigs (api key 32), versions 1..=4. Every key of topics and of this broker, from what the shard knows.
//!
//! v3 types and documentation   v4 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use ringlog_core::wire::Array;

use super::config_resources::{BROKER, BROKER_LOGGER, GROUP, TOPIC};
use super::{Context, Request, broker_loggers};
use crate::config::{ConfigSources, ConfigSynonym, DescribedConfig, DynamicConfigs, broker_config};
use crate::metadata::{MetadataImage, TopicImage, check_topic_name, config_sources};

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeConfigsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let found: Vec<Result<Vec<DescribedConfig<'_>>, (ErrorCode, String)>> =
        body.resources.iter().map(|resource| describe(context, &image, &resource)).collect();
    let results = body.resources.iter().zip(&found).map(|(resource, found)| {
        let DescribeConfigsResource { resource_type, resource_name, configuration_keys } = resource;
        let empty = DescribeConfigsResult { resource_type, resource_name, ..Default::default() };
        let is_wanted = |name: &str| match &configuration_keys {
            None => true,
            // Kafka 2.x clients send an empty list for all keys.
            Some(keys) => keys.is_empty() || keys.iter().any(|key| key == name),
        };
        match found {
            Ok(_) if resource_type == BROKER_LOGGER => {
                let configs = broker_loggers::describe(context, resource_name, is_wanted);
                DescribeConfigsResult { configs: configs.unwrap_or_default().into(), ..empty }
            }
            Ok(configs) => {
                let wanted = configs.iter().filter(|config| is_wanted(config.name));
                DescribeConfigsResult { configs: wanted.map(|config| entry(config, &body)).collect(), ..empty }
            }
            Err((error_code, message)) => {
                DescribeConfigsResult { error_code: *error_code, error_message: Some(message), ..empty }
            }
        }
    });
    request.answer(&DescribeConfigsResponse { results: results.collect(), ..Default::default() }, []);
}

fn describe<'a>(
    context: &'a Context,
    image: &'a MetadataImage,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<DescribedConfig<'a>>, (ErrorCode, String)> {
    let sources = sources(context, image);
    let name = resource.resource_name;
    match resource.resource_type {
        TOPIC => match image.topic_by_name(name) {
            Some(topic) => {
                let TopicImage { configs, .. } = &**topic;
                Ok(sources.describe_topic(configs))
            }
            None => match check_topic_name(name) {
                Ok(()) => Err((
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    "This server does not host this topic-partition.".to_owned(),
                )),
                Err(text) => Err((ErrorCode::INVALID_TOPIC_EXCEPTION, text)),
            },
        },
        BROKER if name.is_empty() => Ok(sources.describe_cluster()),
        BROKER if name == context.settings.node_id.to_string() => Ok(sources.describe_broker()),
        BROKER => {
            let node_id = context.settings.node_id;
            let text = format!("Unexpected broker id, expected {node_id} or empty string, but received {name}");
            Err((ErrorCode::INVALID_REQUEST, text))
        }
        BROKER_LOGGER => broker_loggers::describe(context, name, |_| false).map(|_| Vec::new()),
        GROUP if name.is_empty() => Err((ErrorCode::INVALID_REQUEST, "Group name must not be empty".to_owned())),
        GROUP => Ok(sources.describe_group(image.group_configs().get(name))),
        other => Err((ErrorCode::INVALID_REQUEST, format!("Unsupported resource type: {other}"))),
    }
}

fn entry<'a>(config: &'a DescribedConfig<'_>, body: &DescribeConfigsRequest<'_>) -> DescribeConfigsResourceResult<'a> {
    let is_sensitive = config.def.is_none_or(|def| def.is_sensitive());
    let shown = |value: Option<&'a str>| value.filter(|_| !is_sensitive);
    let synonym = |synonym: &'a ConfigSynonym<'_>| DescribeConfigsSynonym {
        name: synonym.name,
        value: shown(Some(synonym.value)),
        source: synonym.source as i8,
    };
    let synonyms = if body.include_synonyms { config.synonyms.iter().map(synonym).collect() } else { Array::default() };
    DescribeConfigsResourceResult {
        name: config.name,
        value: shown(config.value.as_deref()),
        read_only: config.def.is_none_or(|def| is_of_broker(config) && !def.is_dynamic()),
        config_source: config.source as i8,
        is_sensitive,
        synonyms,
        config_type: config.def.map_or(0, |def| def.type_code()),
        documentation: config.def.filter(|_| body.include_documentation).map(|def| def.documentation()),
    }
}

/// The keys of topics and groups are never shown as fixed.
fn is_of_broker(config: &DescribedConfig<'_>) -> bool {
    broker_config(config.name).is_some_and(|known| config.def.is_some_and(|def| std::ptr::eq(def, known)))
}

/// The configuration of a topic that is created with `configs`, as CreateTopics answers it.
pub(super) fn describe_new_topic<'a>(
    context: &'a Context,
    image: &'a MetadataImage,
    configs: &'a DynamicConfigs,
) -> Vec<DescribedConfig<'a>> {
    sources(context, image).describe_topic(configs)
}

fn sources<'a>(context: &'a Context, image: &'a MetadataImage) -> ConfigSources<'a> {
    config_sources(image, context.settings.node_id, &context.settings.properties)
}
