//! Levels of this broker's log as configs of resource type BROKER_LOGGER, for DescribeConfigs and IncrementalAlterConfigs.

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeConfigsResourceResult, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};

use super::Context;

/// `DYNAMIC_BROKER_LOGGER_CONFIG`.
const CONFIG_SOURCE: i8 = 6;

/// Why it is not done, for the client.
pub type Refusal = (ErrorCode, String);

/// All loggers with their levels, or those that are asked for.
pub fn describe<'a>(
    context: &Context,
    broker: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult<'a>>, Refusal> {
    check_broker(context, broker)?;
    let levels = context.settings.loggers.levels().into_iter();
    let entry = |(name, level)| DescribeConfigsResourceResult {
        name,
        value: Some(level),
        config_source: CONFIG_SOURCE,
        ..Default::default()
    };
    Ok(levels.filter(|(name, _)| is_wanted(name)).map(entry).collect())
}

/// Alters levels: all, or none if one cannot be.
pub fn alter(
    context: &Context,
    altered: &IncrementalAlterConfigsResource<'_>,
    validate_only: bool,
) -> Result<(), Refusal> {
    check_broker(context, altered.resource_name)?;
    let loggers = &context.settings.loggers;
    let alter = |config: IncrementalAlterableConfig<'_>, validate_only| {
        let level = match config.config_operation {
            0 => config.value.or(Some("")),
            1 => None,
            _ => {
                let text = format!("{} is no list: levels are set or deleted", config.name);
                return Err((ErrorCode::INVALID_REQUEST, text));
            }
        };
        loggers.alter(config.name, level, validate_only).map_err(|text| (ErrorCode::INVALID_CONFIG, text))
    };
    altered.configs.iter().try_for_each(|config| alter(config, true))?;
    if validate_only {
        return Ok(());
    }
    altered.configs.iter().try_for_each(|config| alter(config, false))
}

fn check_broker(context: &Context, name: &str) -> Result<(), Refusal> {
    let node_id = context.settings.node_id;
    if name == node_id.to_string() {
        return Ok(());
    }
    Err((ErrorCode::INVALID_REQUEST, format!("Unexpected broker id, expected {node_id} but received {name}")))
}
