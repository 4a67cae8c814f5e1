//! Decides alterations of configs: `(state, request) -> (results, records)`, without I/O.
//!
//! Invariant: a resource is altered as a whole or not at all, and never to a value that CreateTopics or
//! `server.properties` would refuse.

use std::collections::BTreeMap;

use ringlog_core::protocol::metadata::ConfigRecord;

use super::controller::records_for;
use super::create_topics::check_topic_name;
use super::image::MetadataImage;
use super::records::{Records, resource_type};
use super::topic_config::config_sources;
use crate::config::{
    ConfigDef, DynamicConfigs, GroupSettings, Settings, broker_config, check_connections_at_runtime,
    check_group_config, check_topic_config, group_config, nearest_broker_config, topic_config,
};

/// What has a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A broker by its node id, or all of them with an empty name.
    Broker(String),
    /// A group, by its id; it need not be there.
    Group(String),
    /// Anything else, by its number.
    Other(i8),
}

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOpKind {
    /// Give it the value.
    Set,
    /// Take its value away.
    Delete,
    /// Add to a list.
    Append,
    /// Take out of a list.
    Subtract,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOp {
    /// The key.
    pub name: String,
    /// What to do.
    pub kind: ConfigOpKind,
    /// With what; `None` is null.
    pub value: Option<String>,
}

/// The changes of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigAlteration {
    /// Whose.
    pub resource: ConfigResource,
    /// In order.
    pub ops: Vec<ConfigOp>,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigs {
    /// In the order of the answer.
    pub alterations: Vec<ConfigAlteration>,
    /// What is not set is deleted (AlterConfigs), or stays (IncrementalAlterConfigs).
    pub is_replacement: bool,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// Why a resource is not altered. The texts are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    /// INVALID_TOPIC_EXCEPTION.
    #[error("{0}")]
    InvalidTopic(String),
    /// INVALID_CONFIG.
    #[error("{0}")]
    InvalidConfig(String),
    /// INVALID_REQUEST.
    #[error("{0}")]
    InvalidRequest(String),
}

/// The results in the order of the request, and the records.
pub type AlteredConfigs = (Vec<Result<(), AlterConfigError>>, Records);

use AlterConfigError::{InvalidConfig, InvalidRequest, InvalidTopic, UnknownTopic};

/// Alters configs. With `validate_only` there are no records.
pub fn alter_configs(image: &MetadataImage, settings: &Settings, request: &AlterConfigs) -> AlteredConfigs {
    let mut records = records_for(image);
    let results = request.alterations.iter().map(|alteration| {
        let twice = request.alterations.iter().filter(|other| other.resource == alteration.resource).count() > 1;
        if twice {
            return Err(InvalidRequest("Each resource must appear at most once.".to_owned()));
        }
        let changes = decide(image, settings, alteration, request.is_replacement)?;
        if !request.validate_only {
            let (resource_type, resource_name) = match &alteration.resource {
                ConfigResource::Topic(name) => (resource_type::TOPIC, name),
                ConfigResource::Broker(name) => (resource_type::BROKER, name),
                ConfigResource::Group(name) => (resource_type::GROUP, name),
                ConfigResource::Other(_) => unreachable!("refused by `decide`"),
            };
            records.extend(changes.iter().map(|(name, value)| {
                let value = value.as_deref();
                ConfigRecord { resource_type, resource_name, name, value }
            }));
        }
        Ok(())
    });
    let results = results.collect();
    (results, records)
}

/// Keys that change, and to what.
type KeyChanges = BTreeMap<String, Option<String>>;

fn decide(
    image: &MetadataImage,
    settings: &Settings,
    alteration: &ConfigAlteration,
    is_replacement: bool,
) -> Result<KeyChanges, AlterConfigError> {
    let none = DynamicConfigs::new();
    let current = match &alteration.resource {
        ConfigResource::Topic(name) => {
            check_topic_name(name).map_err(InvalidTopic)?;
            let topic = image.topic_by_name(name).ok_or_else(|| UnknownTopic(name.clone()))?;
            &topic.configs
        }
        ConfigResource::Broker(name) => {
            if !name.is_empty() && *name != settings.node_id.to_string() {
                let text = format!("Unexpected broker id, expected {} or empty string, but received {name}", {
                    settings.node_id
                });
                return Err(InvalidRequest(text));
            }
            image.broker_configs(name).unwrap_or(&none)
        }
        ConfigResource::Group(name) if name.is_empty() => {
            return Err(InvalidRequest("A group must be named: there are no configs of all groups.".to_owned()));
        }
        ConfigResource::Group(name) => image.group_configs().get(name).unwrap_or(&none),
        ConfigResource::Other(number) => {
            return Err(InvalidRequest(format!("Configs of resource type {number} cannot be altered here.")));
        }
    };
    let mut changes = KeyChanges::new();
    if is_replacement {
        changes.extend(current.keys().map(|key| (key.clone(), None)));
    }
    let mut seen = Vec::new();
    for op in &alteration.ops {
        if seen.contains(&&op.name) {
            return Err(InvalidRequest("Error due to duplicate config keys".to_owned()));
        }
        seen.push(&op.name);
        let is_topic = matches!(alteration.resource, ConfigResource::Topic(_));
        let effective = || match is_topic {
            true => config_sources(image, settings.node_id, &settings.properties)
                .topic_value(current, &op.name)
                .map(|value| value.into_owned()),
            false => current.get(&op.name).cloned(),
        };
        let def = match alteration.resource {
            ConfigResource::Topic(_) => topic_config(&op.name).map(|known| &known.def),
            ConfigResource::Broker(_) => broker_config(&op.name),
            ConfigResource::Group(_) => group_config(&op.name).map(|known| &known.def),
            ConfigResource::Other(_) => unreachable!("refused above"),
        };
        changes.insert(op.name.clone(), apply(op, def, effective)?);
    }
    changes.retain(|key, value| current.get(key) != value.as_ref());
    for (key, value) in &changes {
        match alteration.resource {
            ConfigResource::Topic(_) => check_for_topic(key, value.as_deref())?,
            ConfigResource::Broker(_) => check_for_broker(key, value.as_deref())?,
            ConfigResource::Group(_) => check_for_group(&settings.groups, key, value.as_deref())?,
            ConfigResource::Other(_) => unreachable!("refused above"),
        }
    }
    if let ConfigResource::Group(_) = alteration.resource {
        check_times_of_group(&settings.groups, current, &changes)?;
    }
    Ok(changes)
}

/// The value of a key behind an operation; `None` deletes it.
fn apply(
    op: &ConfigOp,
    def: Option<&ConfigDef>,
    effective: impl Fn() -> Option<String>,
) -> Result<Option<String>, AlterConfigError> {
    let name = match op.kind {
        ConfigOpKind::Delete => return Ok(None),
        ConfigOpKind::Set => "SET",
        ConfigOpKind::Append => "APPEND",
        ConfigOpKind::Subtract => "SUBTRACT",
    };
    let null = || InvalidRequest(format!("Null value not supported for: {name}({})", op.name));
    let value = op.value.as_deref().ok_or_else(null)?.trim();
    let parts = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    if op.kind == ConfigOpKind::Set {
        return Ok(Some(value.to_owned()));
    }
    if def.is_some_and(|def| !def.is_list()) {
        return Err(InvalidConfig(format!("Can't {name} to key {} because its type is not LIST.", op.name)));
    }
    let mut list = parts(&effective().unwrap_or_default());
    let given = parts(value);
    match op.kind {
        ConfigOpKind::Append => {
            for part in given {
                if !list.contains(&part) {
                    list.push(part);
                }
            }
        }
        _ => list.retain(|part| !given.contains(part)),
    }
    Ok(Some(list.join(",")))
}

fn check_for_topic(key: &str, value: Option<&str>) -> Result<(), AlterConfigError> {
    match value {
        Some(value) => check_topic_config(key, Some(value)).map_err(InvalidConfig),
        // Whatever it is, it may be taken away.
        None => Ok(()),
    }
}

fn check_for_broker(key: &str, value: Option<&str>) -> Result<(), AlterConfigError> {
    let Some(value) = value else { return Ok(()) };
    let Some(def) = broker_config(key) else {
        let hint = nearest_broker_config(key).map_or(String::new(), |near| format!(", did you mean {near}?"));
        return Err(InvalidRequest(format!("Unknown broker config name: {key}{hint}")));
    };
    if !def.is_dynamic() {
        let why = if def.acts() { "" } else { ": it has no effect on this broker" };
        return Err(InvalidRequest(format!("Cannot update these configs dynamically: [{key}]{why}")));
    }
    // Kafka answers so for brokers, and INVALID_CONFIG for topics.
    def.check_named(value).map_err(InvalidRequest)?;
    check_connections_at_runtime(key, value).map_err(InvalidRequest)
}

fn check_for_group(settings: &GroupSettings, key: &str, value: Option<&str>) -> Result<(), AlterConfigError> {
    let Some(value) = value else { return Ok(()) };
    check_group_config(key, value).map_err(InvalidConfig)?;
    settings.check_consumer_bounds(key, value).map_err(InvalidConfig)
}

/// A session must hold a heartbeat.
fn check_times_of_group(
    settings: &GroupSettings,
    current: &DynamicConfigs,
    changes: &KeyChanges,
) -> Result<(), AlterConfigError> {
    let mut configs = current.clone();
    for (key, value) in changes {
        match value {
            Some(value) => _ = configs.insert(key.clone(), value.clone()),
            None => _ = configs.remove(key),
        }
    }
    let times = settings.consumer_times(Some(&configs));
    if times.session_timeout_ms > times.heartbeat_interval_ms {
        return Ok(());
    }
    let text = "consumer.session.timeout.ms must be longer than consumer.heartbeat.interval.ms";
    Err(InvalidConfig(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use ringlog_core::protocol::metadata::TopicRecord;
    use uuid::Uuid;

    use super::*;
    use crate::config::Properties;

    fn settings() -> Settings {
        Settings::from_properties(Properties::default(), false, "machine").unwrap().0
    }

    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        let mut records = Records::default();
        records.push(TopicRecord { name: "t", topic_id: Uuid::from_u128(1) });
        image.replay_all(0, &records).unwrap();
        image
    }

    fn request(resource: ConfigResource, ops: &[(&str, ConfigOpKind, Option<&str>)]) -> AlterConfigs {
        let ops = ops.iter().map(|(name, kind, value)| ConfigOp {
            name: (*name).to_owned(),
            kind: *kind,
            value: value.map(str::to_owned),
        });
        let alterations = vec![ConfigAlteration { resource, ops: ops.collect() }];
        AlterConfigs { alterations, is_replacement: false, validate_only: false }
    }

    fn alter(image: &mut MetadataImage, request: &AlterConfigs) -> Result<(), String> {
        let (mut results, records) = alter_configs(image, &settings(), request);
        assert!(results[0].is_ok() || records.is_empty());
        image.replay_all(image.end_offset(), &records).unwrap();
        results.remove(0).map_err(|error| error.to_string())
    }

    fn topic() -> ConfigResource {
        ConfigResource::Topic("t".to_owned())
    }

    fn configs(image: &MetadataImage) -> String {
        let topic = image.topic_by_name("t").unwrap();
        topic.configs.iter().map(|(key, value)| format!("{key}={value} ")).collect()
    }

    use ConfigOpKind::{Append, Delete, Set, Subtract};

    #[test]
    fn set_delete_append_subtract() {
        let mut image = image();
        let ops = [("retention.ms", Set, Some("5 ")), ("cleanup.policy", Append, Some("compact"))];
        alter(&mut image, &request(topic(), &ops)).unwrap();
        assert_eq!(configs(&image), "cleanup.policy=delete,compact retention.ms=5 ");
        let ops = [("retention.ms", Delete, None), ("cleanup.policy", Subtract, Some("delete"))];
        alter(&mut image, &request(topic(), &ops)).unwrap();
        assert_eq!(configs(&image), "cleanup.policy=compact ");
        let before = image.end_offset();
        alter(&mut image, &request(topic(), &[("cleanup.policy", Append, Some("compact"))])).unwrap();
        assert_eq!(image.end_offset(), before, "nothing changes, nothing is written");
    }

    #[test]
    fn a_replacement_deletes_what_it_does_not_name() {
        let mut image = image();
        let ops = [("retention.ms", Set, Some("5")), ("segment.ms", Set, Some("6"))];
        alter(&mut image, &request(topic(), &ops)).unwrap();
        let replacement = request(topic(), &[("retention.ms", Set, Some("7"))]);
        alter(&mut image, &AlterConfigs { is_replacement: true, ..replacement }).unwrap();
        assert_eq!(configs(&image), "retention.ms=7 ");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut image = image();
        let mut check = |resource, ops: &[_], expected: &str| {
            let error = alter(&mut image, &request(resource, ops)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let broker = |name: &str| ConfigResource::Broker(name.to_owned());
        check(topic(), &[("retention.ms", Set, Some("5")), ("segment.ms", Set, Some("no"))], "type LONG");
        check(topic(), &[("retention.m", Set, Some("5"))], "did you mean retention.ms?");
        check(topic(), &[("retention.ms", Set, None)], "Null value not supported for: SET(retention.ms)");
        check(topic(), &[("retention.ms", Append, Some("5"))], "type is not LIST");
        check(topic(), &[("retention.ms", Set, Some("5")), ("retention.ms", Delete, None)], "duplicate config keys");
        check(topic(), &[("ringlog.durability", Set, Some("hope"))], "one of: sync, page-cache");
        check(ConfigResource::Topic("u".to_owned()), &[("retention.ms", Set, Some("5"))], "does not exist");
        check(ConfigResource::Topic("u/v".to_owned()), &[("retention.ms", Set, Some("5"))], "'u/v' contains");
        check(topic(), &[("cleanup.policy", Set, Some("compact,burn"))], "Invalid value burn for configuration");
        check(broker("2"), &[("log.retention.ms", Set, Some("5"))], "expected 1 or empty string, but received 2");
        check(broker("1"), &[("node.id", Set, Some("5"))], "dynamically: [node.id]");
        check(broker(""), &[("num.io.threads", Set, Some("5"))], "no effect on this broker");
        check(broker(""), &[("log.retention.m", Set, Some("5"))], "did you mean log.retention.ms?");
        check(broker(""), &[("log.retention.ms", Set, Some("-5"))], "at least -1");
        check(ConfigResource::Other(8), &[], "resource type 8");
        let group = |name: &str| ConfigResource::Group(name.to_owned());
        const SESSION: &str = "consumer.session.timeout.ms";
        check(group(""), &[(SESSION, Set, Some("46000"))], "must be named");
        check(
            group("g"),
            &[(SESSION, Set, Some("44999"))],
            "greater than or equal to group.consumer.min.session.timeout.ms",
        );
        check(
            group("g"),
            &[(SESSION, Set, Some("60001"))],
            "less than or equal to group.consumer.max.session.timeout.ms",
        );
        check(group("g"), &[(SESSION, Set, Some("soon"))], "type INT");
        check(group("g"), &[("share.session.timeout.ms", Set, Some("46000"))], "no effect on this broker");
        check(
            group("g"),
            &[("consumer.session.timeout", Set, Some("46000"))],
            "did you mean consumer.session.timeout.ms?",
        );
        let before = configs(&image);
        assert_eq!(before, "");
    }

    #[test]
    fn brokers_and_validation_only() {
        let mut image = image();
        let broker = request(ConfigResource::Broker(String::new()), &[("log.retention.ms", Set, Some("5"))]);
        alter(&mut image, &AlterConfigs { validate_only: true, ..broker.clone() }).unwrap();
        assert_eq!(image.broker_configs(""), None);
        alter(&mut image, &broker).unwrap();
        assert_eq!(image.broker_configs("").unwrap()["log.retention.ms"], "5");
        let twice = AlterConfigs { alterations: [broker.alterations.clone(), broker.alterations].concat(), ..broker };
        let (results, _) = alter_configs(&image, &settings(), &twice);
        assert!(results.iter().all(Result::is_err));
    }

    #[test]
    fn configs_of_a_group_come_and_go() {
        let mut image = image();
        let group = || ConfigResource::Group("g".to_owned());
        alter(&mut image, &request(group(), &[("consumer.session.timeout.ms", Set, Some("46000"))])).unwrap();
        assert_eq!(image.group_configs()["g"]["consumer.session.timeout.ms"], "46000");
        alter(&mut image, &request(group(), &[("consumer.session.timeout.ms", Delete, None)])).unwrap();
        assert!(image.group_configs().is_empty());
    }
}
