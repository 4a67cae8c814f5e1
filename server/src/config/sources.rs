//! Where the value of a key comes from, in the order in which sources count: set for the topic, for this broker, for all
//! brokers, in `server.properties`, by default.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Properties;
use super::definitions::{
    BROKER_CONFIGS, ConfigDef, GROUP_CONFIGS, TOPIC_CONFIGS, TopicConfigDef, broker_config, topic_config,
};

/// Keys and values that were set while the broker ran.
pub type DynamicConfigs = BTreeMap<String, String>;

/// A source, by its number in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set for the topic.
    DynamicTopic = 1,
    /// Set for this broker.
    DynamicBroker = 2,
    /// Set for all brokers.
    DynamicDefaultBroker = 3,
    /// In `server.properties`, or on the command line.
    StaticBroker = 4,
    /// Nothing was set.
    Default = 5,
    /// Set for the group.
    DynamicGroup = 8,
}

/// What is set for a broker.
#[derive(Debug, Clone, Copy)]
pub struct ConfigSources<'a> {
    /// For this broker.
    pub broker: Option<&'a DynamicConfigs>,
    /// For all brokers.
    pub cluster: Option<&'a DynamicConfigs>,
    /// In `server.properties`.
    pub file: &'a Properties,
}

/// A value that a key could have, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym<'a> {
    /// The key.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Where it is set.
    pub source: ConfigSource,
}

/// A key as DescribeConfigs shows it. Values of secrets are in it: see [`ConfigDef::is_sensitive`].
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedConfig<'a> {
    /// The key.
    pub name: &'a str,
    /// What is known of it; `None` for a key of `server.properties` that nobody knows.
    pub def: Option<&'static ConfigDef>,
    /// What counts.
    pub value: Option<Cow<'a, str>>,
    /// Where that comes from.
    pub source: ConfigSource,
    /// All that is set for it, the first counts.
    pub synonyms: Vec<ConfigSynonym<'a>>,
}

impl PartialEq for ConfigDef {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl<'a> ConfigSources<'a> {
    /// What is set for a broker's key.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.set(key).next().map(|(value, _)| value)
    }

    /// What is set for a broker's key while it runs.
    pub(super) fn set_at_runtime(&self, key: &str) -> Option<&'a str> {
        self.set(key).find(|(_, source)| *source != ConfigSource::StaticBroker).map(|(value, _)| value)
    }

    /// The value of a topic's key, set, fallen back on or default; `None` is null.
    pub fn topic_value(&self, topic: &'a DynamicConfigs, key: &str) -> Option<Cow<'a, str>> {
        let known = topic_config(key).expect("the broker asks for keys that there are");
        self.value_for_topic(topic, known)
    }

    /// Every key of a topic.
    pub fn describe_topic(&self, topic: &'a DynamicConfigs) -> Vec<DescribedConfig<'a>> {
        let described = TOPIC_CONFIGS.iter().filter(|known| !known.def.is_hidden).map(|known| {
            let name = known.def.name;
            let own = topic.get(name).map(|value| ConfigSynonym { name, value, source: ConfigSource::DynamicTopic });
            let mut synonyms: Vec<_> = own.into_iter().collect();
            if let Some((first, _)) = known.broker_keys.first() {
                let keys: Vec<&'static str> = known.broker_keys.iter().map(|(key, _)| *key).collect();
                synonyms.extend(self.synonyms(first, &keys));
            }
            let value = self.value_for_topic(topic, known);
            DescribedConfig { name, def: Some(&known.def), value, source: first_source(&synonyms), synonyms }
        });
        described.collect()
    }

    /// Every key of a group.
    pub fn describe_group(&self, group: Option<&'a DynamicConfigs>) -> Vec<DescribedConfig<'a>> {
        let described = GROUP_CONFIGS.iter().map(|known| {
            let name = known.def.name;
            let own = group.and_then(|group| group.get(name));
            let own = own.map(|value| ConfigSynonym { name, value, source: ConfigSource::DynamicGroup });
            let fallback = match known.broker_key {
                Some(key) => self.synonyms(key, &[key]),
                None => {
                    let default = known.def.default.into_iter();
                    default.map(|value| ConfigSynonym { name, value, source: ConfigSource::Default }).collect()
                }
            };
            let synonyms: Vec<_> = own.into_iter().chain(fallback).collect();
            let value = synonyms.first().map(|first| Cow::Borrowed(first.value));
            DescribedConfig { name, def: Some(&known.def), value, source: first_source(&synonyms), synonyms }
        });
        described.collect()
    }

    /// Every key of the broker, and those of `server.properties` that nobody knows.
    pub fn describe_broker(&self) -> Vec<DescribedConfig<'a>> {
        let known = BROKER_CONFIGS.iter().filter(|def| !def.is_hidden || self.value(def.name).is_some());
        let unknown = self.file.iter().filter(|property| broker_config(&property.key).is_none());
        let described = known.map(|def| {
            let synonyms = self.synonyms(def.name, &family(def.name));
            let value = self.value(def.name).or(def.default).map(Cow::Borrowed);
            DescribedConfig { name: def.name, def: Some(def), value, source: first_source(&synonyms), synonyms }
        });
        let foreign = unknown.map(|property| DescribedConfig {
            name: &property.key,
            def: None,
            value: None,
            source: ConfigSource::StaticBroker,
            synonyms: Vec::new(),
        });
        described.chain(foreign).collect()
    }

    /// Keys that are set for all brokers.
    pub fn describe_cluster(&self) -> Vec<DescribedConfig<'a>> {
        let set = self.cluster.into_iter().flatten().filter_map(|(key, value)| Some((broker_config(key)?, value)));
        let described = set.map(|(def, value)| {
            let source = ConfigSource::DynamicDefaultBroker;
            let synonyms = vec![ConfigSynonym { name: def.name, value, source }];
            DescribedConfig { name: def.name, def: Some(def), value: Some(Cow::Borrowed(value)), source, synonyms }
        });
        described.collect()
    }

    fn value_for_topic(&self, topic: &'a DynamicConfigs, known: &'static TopicConfigDef) -> Option<Cow<'a, str>> {
        if let Some(value) = topic.get(known.def.name) {
            return Some(Cow::Borrowed(value));
        }
        let fallback = known.broker_keys.iter().find_map(|(key, unit)| Some((self.value(key)?, *unit)));
        match fallback {
            Some((value, 1)) => Some(Cow::Borrowed(value)),
            Some((value, unit)) => Some(Cow::Owned(in_units(value, unit).to_string())),
            None => known.def.default.map(Cow::Borrowed),
        }
    }

    /// What is set for a key, what counts first.
    fn set(&self, key: &str) -> impl Iterator<Item = (&'a str, ConfigSource)> + use<'a> {
        let broker =
            self.broker.and_then(|set| set.get(key)).map(|value| (value.as_str(), ConfigSource::DynamicBroker));
        let cluster = self.cluster.and_then(|set| set.get(key));
        let cluster = cluster.map(|value| (value.as_str(), ConfigSource::DynamicDefaultBroker));
        let file = self.file.value(key).map(|value| (value, ConfigSource::StaticBroker));
        broker.into_iter().chain(cluster).chain(file)
    }

    /// What is set for keys that mean the same, source by source; like Kafka, what stands in front of the first entry of
    /// `name` itself is left out.
    fn synonyms(&self, name: &str, keys: &[&'static str]) -> Vec<ConfigSynonym<'a>> {
        let mut found = Vec::new();
        for key in keys {
            found.extend(self.set(key).map(|(value, source)| ConfigSynonym { name: key, value, source }));
            let default = broker_config(key).and_then(|def| def.default);
            found.extend(default.map(|value| ConfigSynonym { name: key, value, source: ConfigSource::Default }));
        }
        found.sort_by_key(|synonym| synonym.source as i8);
        found.into_iter().skip_while(|synonym| synonym.name != name).collect()
    }
}

fn first_source(synonyms: &[ConfigSynonym<'_>]) -> ConfigSource {
    synonyms.first().map_or(ConfigSource::Default, |first| first.source)
}

/// The keys of a broker that mean the same in other units, the smallest first.
fn family(name: &'static str) -> Vec<&'static str> {
    let same = TOPIC_CONFIGS.iter().map(|topic| topic.broker_keys).find(|keys| keys.len() > 1 && keys[0].0 == name);
    same.map_or_else(|| vec![name], |keys| keys.iter().map(|(key, _)| *key).collect())
}

/// A value in hours or minutes as milliseconds; below zero stands for no bound.
fn in_units(value: &str, unit: i64) -> i64 {
    match value.trim().parse::<i64>() {
        Ok(count) if count >= 0 => count.saturating_mul(unit),
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `.ci/golden/describe_configs`: what Apache Kafka 4.3.1 answers with the properties below.
    const GOLDEN: &str = include_str!("../../tests/golden/describe_configs.tsv");
    const FILE: &str = include_str!("../../tests/golden/describe_configs.properties");

    fn properties() -> Properties {
        let given = Properties::parse(std::path::Path::new("golden"), FILE.as_bytes()).unwrap();
        crate::config::Settings::from_properties(given, true, "machine").unwrap().0.properties
    }

    /// Key, type, value, source, whether it is dynamic, secret, synonyms.
    fn row(config: &DescribedConfig<'_>) -> Vec<String> {
        let def = config.def.unwrap();
        let source = |source| match source {
            ConfigSource::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
            ConfigSource::Default => "DEFAULT_CONFIG",
            ConfigSource::DynamicGroup => "DYNAMIC_GROUP_CONFIG",
        };
        let synonym = |s: &ConfigSynonym<'_>| format!("{}:{}={}", source(s.source), s.name, s.value);
        let types = ["UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
        vec![
            def.name.to_owned(),
            types[def.type_code() as usize].to_owned(),
            config.value.as_deref().unwrap_or("null").to_owned(),
            source(config.source).to_owned(),
            if def.is_dynamic() { "dynamic" } else { "read-only" }.to_owned(),
            if def.is_sensitive() { "sensitive" } else { "" }.to_owned(),
            config.synonyms.iter().map(synonym).collect::<Vec<_>>().join(" "),
        ]
    }

    /// Compares all but the flag of keys that cannot be changed here.
    fn compare(resource: &str, ours: &[DescribedConfig<'_>]) {
        let theirs = GOLDEN.lines().filter_map(|line| line.strip_prefix(resource)?.strip_prefix('\t'));
        let theirs: Vec<Vec<&str>> = theirs.map(|line| line.split('\t').collect()).collect();
        let ours: Vec<_> = ours.iter().filter(|config| !config.name.starts_with("ringlog.")).collect();
        let names = |rows: Vec<&str>| rows.join(" ");
        assert_eq!(
            names(ours.iter().map(|config| config.name).collect()),
            names(theirs.iter().map(|row| row[0]).collect())
        );
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            let (mut row, def) = (row(ours), ours.def.unwrap());
            if resource == "TOPIC" || !def.acts() || !def.is_dynamic() {
                row[4] = theirs[4].to_owned();
            }
            assert_eq!(row, theirs);
        }
    }

    #[test]
    fn all_keys_are_described_as_kafka_describes_them() {
        let (file, topic) = (properties(), DynamicConfigs::new());
        let cluster = DynamicConfigs::from([("min.insync.replicas".to_owned(), "1".to_owned())]);
        let sources = ConfigSources { broker: None, cluster: Some(&cluster), file: &file };
        compare("TOPIC", &sources.describe_topic(&topic));
        compare("BROKER", &sources.describe_broker());
    }

    #[test]
    fn the_nearest_source_counts() {
        let mut file = Properties::default();
        file.set("log.retention.hours", "1");
        let set = |key: &str, value: &str| DynamicConfigs::from([(key.to_owned(), value.to_owned())]);
        let topic = DynamicConfigs::new();
        let mut sources = ConfigSources { broker: None, cluster: None, file: &file };
        assert_eq!(sources.topic_value(&topic, "retention.ms").as_deref(), Some("3600000"));
        assert_eq!(sources.topic_value(&topic, "segment.ms").as_deref(), Some("604800000"));
        let (cluster, broker) = (set("log.retention.ms", "5"), set("log.retention.ms", "6"));
        sources.cluster = Some(&cluster);
        assert_eq!(sources.topic_value(&topic, "retention.ms").as_deref(), Some("5"));
        sources.broker = Some(&broker);
        assert_eq!(sources.topic_value(&topic, "retention.ms").as_deref(), Some("6"));
        let topic = set("retention.ms", "7");
        let described = sources.describe_topic(&topic);
        let retention = described.iter().find(|config| config.name == "retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.source), (Some("7"), ConfigSource::DynamicTopic));
        let values: Vec<_> = retention.synonyms.iter().map(|synonym| synonym.value).collect();
        assert_eq!(values, ["7", "6", "5", "1", "168"]);
    }
}
