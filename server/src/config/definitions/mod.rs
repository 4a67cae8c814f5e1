//! The definitions of all keys, of the broker, of topics and of groups: one table that `server.properties`, CreateTopics, the
//! alteration of configs and their description share.
//!
//! Invariant: a key either says what it does here, or is accepted without effect; which, is in its row.

#[rustfmt::skip]
mod broker;
#[rustfmt::skip]
mod group;
#[rustfmt::skip]
mod topic;

pub use broker::BROKER_CONFIGS;
pub use group::{GROUP_CONFIGS, GroupConfigDef};
pub use topic::{TOPIC_CONFIGS, TopicConfigDef};

const INT_MAX: i64 = i32::MAX as i64;
const INT_MIN: i64 = i32::MIN as i64;
const SHORT_MAX: i64 = i16::MAX as i64;
const SHORT_MIN: i64 = i16::MIN as i64;
const LONG_MAX: i64 = i64::MAX;
const LONG_MIN: i64 = i64::MIN;

/// The type of a value and which values it takes; numbers with their bounds, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 32 bits.
    Int(i64, i64),
    /// 16 bits.
    Short(i64, i64),
    /// 64 bits.
    Long(i64, i64),
    /// A floating point number.
    Double(f64, f64),
    /// Any text.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// Some of these with commas between them, or none.
    ListOf(&'static [&'static str]),
    /// A Java class.
    Class,
    /// A secret: never shown.
    Password,
}

/// When a value can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// With a restart.
    ReadOnly,
    /// For one broker or all, while it runs.
    PerBroker,
    /// The same, and it is meant for all.
    ClusterWide,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Its value where none is given; `None` is null.
    pub default: Option<&'static str>,
    update: Update,
    /// What it does; empty if it does nothing here.
    effect: &'static str,
    /// Not described, as in Kafka.
    pub is_hidden: bool,
}

const fn inert(name: &'static str, kind: Kind, default: Option<&'static str>, update: Update) -> ConfigDef {
    ConfigDef { name, kind, default, update, effect: "", is_hidden: false }
}

const fn acts(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    update: Update,
    effect: &'static str,
) -> ConfigDef {
    ConfigDef { name, kind, default, update, effect, is_hidden: false }
}

const fn hidden(def: ConfigDef) -> ConfigDef {
    ConfigDef { is_hidden: true, ..def }
}

impl ConfigDef {
    /// Whether it has an effect on this broker.
    pub fn acts(&self) -> bool {
        !self.effect.is_empty()
    }

    /// Whether it can be changed while the broker runs. What has no effect cannot.
    pub fn is_dynamic(&self) -> bool {
        self.acts() && self.update != Update::ReadOnly
    }

    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether its value is a list that can be appended to.
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::ListOf(_))
    }

    /// What it does, for people.
    pub fn documentation(&self) -> &'static str {
        if self.acts() { self.effect } else { "Accepted as in Apache Kafka; has no effect on this broker." }
    }

    /// The number of its type in DescribeConfigs.
    pub fn type_code(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::Text | Kind::OneOf(_) => 2,
            Kind::Int(..) => 3,
            Kind::Short(..) => 4,
            Kind::Long(..) => 5,
            Kind::Double(..) => 6,
            Kind::List | Kind::ListOf(_) => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }

    /// Why a value is not one of this key; the text is for the client and names both. Of a list, it is the part that is
    /// wrong.
    pub fn check_named(&self, value: &str) -> Result<(), String> {
        self.check(value).map_err(|reason| {
            let wrong = match self.kind {
                Kind::ListOf(names) => super::values::split_list(value).into_iter().find(|part| !names.contains(part)),
                _ => None,
            };
            format!("Invalid value {} for configuration {}: {reason}", wrong.unwrap_or(value), self.name)
        })
    }

    /// Why a value is not one of this key; the text is for the client and does not repeat key and value.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let value = value.trim();
        match self.kind {
            Kind::Boolean if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") => Ok(()),
            Kind::Boolean => Err("Expected value to be either true or false".to_owned()),
            Kind::Int(min, max) => check_whole(value, "INT", INT_MIN..=INT_MAX, min, max),
            Kind::Short(min, max) => check_whole(value, "SHORT", SHORT_MIN..=SHORT_MAX, min, max),
            Kind::Long(min, max) => check_whole(value, "LONG", LONG_MIN..=LONG_MAX, min, max),
            Kind::Double(min, max) => match value.parse::<f64>() {
                Ok(number) => check_bounds(number, min, max),
                Err(_) => Err("Not a number of type DOUBLE".to_owned()),
            },
            Kind::OneOf(names) if !names.contains(&value) => {
                Err(format!("String must be one of: {}", names.join(", ")))
            }
            Kind::ListOf(names) => check_list(value, names),
            Kind::OneOf(_) | Kind::Text | Kind::List | Kind::Class | Kind::Password => Ok(()),
        }
    }
}

fn check_whole(
    value: &str,
    type_name: &str,
    of_type: std::ops::RangeInclusive<i64>,
    min: i64,
    max: i64,
) -> Result<(), String> {
    match value.parse::<i64>() {
        Ok(number) if of_type.contains(&number) => check_bounds(number, min, max),
        _ => Err(format!("Not a number of type {type_name}")),
    }
}

fn check_bounds<T: PartialOrd + std::fmt::Display>(number: T, min: T, max: T) -> Result<(), String> {
    if number < min {
        Err(format!("Value must be at least {min}"))
    } else if number > max {
        Err(format!("Value must be no more than {max}"))
    } else {
        Ok(())
    }
}

fn check_list(value: &str, names: &[&str]) -> Result<(), String> {
    let mut seen = Vec::new();
    for part in super::values::split_list(value) {
        if !names.contains(&part) {
            return Err(format!("String must be one of: {}", names.join(", ")));
        }
        if seen.contains(&part) {
            return Err(format!("'{part}' is there twice"));
        }
        seen.push(part);
    }
    Ok(())
}

/// The definition of a broker's key.
pub fn broker_config(name: &str) -> Option<&'static ConfigDef> {
    let at = BROKER_CONFIGS.binary_search_by(|def| def.name.cmp(name)).ok()?;
    Some(&BROKER_CONFIGS[at])
}

/// The definition of a topic's key.
pub fn topic_config(name: &str) -> Option<&'static TopicConfigDef> {
    let at = TOPIC_CONFIGS.binary_search_by(|topic| topic.def.name.cmp(name)).ok()?;
    Some(&TOPIC_CONFIGS[at])
}

/// The broker's key that `key` was probably meant to be.
pub fn nearest_broker_config(key: &str) -> Option<&'static str> {
    nearest(key, BROKER_CONFIGS.iter().map(|def| def.name))
}

/// The topic's key that `key` was probably meant to be.
pub fn nearest_topic_config(key: &str) -> Option<&'static str> {
    nearest(key, TOPIC_CONFIGS.iter().filter(|topic| !topic.def.is_hidden).map(|topic| topic.def.name))
}

fn nearest(key: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let (distance, known) = names.map(|known| (strsim::damerau_levenshtein(key, known), known)).min()?;
    (distance <= 1 + key.len() / 5).then_some(known)
}

/// The definition of a group's key.
pub fn group_config(name: &str) -> Option<&'static GroupConfigDef> {
    let at = GROUP_CONFIGS.binary_search_by(|group| group.def.name.cmp(name)).ok()?;
    Some(&GROUP_CONFIGS[at])
}

/// Why a group cannot have this value; the text is for the client.
pub fn check_group_config(key: &str, value: &str) -> Result<(), String> {
    let Some(GroupConfigDef { def, .. }) = group_config(key) else {
        let near = nearest(key, GROUP_CONFIGS.iter().map(|group| group.def.name));
        let hint = near.map_or(String::new(), |near| format!(", did you mean {near}?"));
        return Err(format!("Unknown group config name: {key}{hint}"));
    };
    if !def.acts() {
        return Err(format!("Cannot set {key}: it has no effect on this broker"));
    }
    def.check_named(value)
}

/// Why a topic cannot have this value; the text is for the client. `None` is null.
pub fn check_topic_config(key: &str, value: Option<&str>) -> Result<(), String> {
    let Some(topic) = topic_config(key) else {
        let hint = nearest_topic_config(key).map_or(String::new(), |near| format!(", did you mean {near}?"));
        return Err(format!("Unknown topic config name: {key}{hint}"));
    };
    let Some(value) = value else {
        return Err(format!("Null value not supported for topic configs: {key}"));
    };
    topic.def.check_named(value)?;
    match (key, value.trim()) {
        ("remote.storage.enable", value) if value.eq_ignore_ascii_case("true") => {
            Err("Tiered storage functionality is disabled in the broker. Topic cannot be configured with remote log \
                 storage."
                .to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_their_defaults_are_values() {
        assert!(BROKER_CONFIGS.is_sorted_by_key(|def| def.name));
        assert!(TOPIC_CONFIGS.is_sorted_by_key(|topic| topic.def.name));
        assert!(GROUP_CONFIGS.is_sorted_by_key(|group| group.def.name));
        for def in BROKER_CONFIGS.iter().chain(TOPIC_CONFIGS.iter().map(|topic| &topic.def)) {
            assert_eq!(def.default.map_or(Ok(()), |value| def.check(value)), Ok(()), "{}", def.name);
        }
        for (key, _) in TOPIC_CONFIGS.iter().flat_map(|topic| topic.broker_keys) {
            assert!(broker_config(key).is_some(), "{key}");
        }
        for group in GROUP_CONFIGS {
            let of_broker = group.broker_key.map(|key| broker_config(key).expect(key));
            assert_eq!(of_broker.map_or(group.def.default, |def| def.default), group.def.default, "{}", group.def.name);
        }
    }

    #[test]
    fn values_of_topics() {
        for (key, value) in [
            ("cleanup.policy", "compact, delete"),
            ("cleanup.policy", ""),
            ("retention.ms", "-1"),
            ("segment.bytes", " 1048576 "),
            ("internal.segment.bytes", "4096"),
            ("min.cleanable.dirty.ratio", "0.5"),
            ("preallocate", "FALSE"),
            ("ringlog.durability", "page-cache"),
        ] {
            assert_eq!(check_topic_config(key, Some(value)), Ok(()), "{key}={value}");
        }
        for (key, value, reason) in [
            ("cleanup.policy", "shred", "one of: compact, delete"),
            ("cleanup.policy", "delete,delete", "twice"),
            ("retention.ms", "-2", "at least -1"),
            ("segment.bytes", "4096", "at least 1048576"),
            ("segment.bytes", "many", "Not a number of type INT"),
            ("segment.bytes", "4294967296", "Not a number of type INT"),
            ("min.insync.replicas", "0", "at least 1"),
            ("min.cleanable.dirty.ratio", "1.5", "no more than 1"),
            ("preallocate", "yes", "true or false"),
            ("remote.storage.enable", "true", "Tiered storage"),
            ("compression.type", "brotli", "one of: uncompressed"),
            ("ringlog.durability", "maybe", "sync, page-cache"),
            ("nonsense", "1", "Unknown topic config name: nonsense"),
            ("retention.mss", "1", "did you mean retention.ms?"),
        ] {
            let error = check_topic_config(key, Some(value)).unwrap_err();
            assert!(error.contains(reason), "{key}={value}: {error}");
        }
        assert!(check_topic_config("retention.ms", None).is_err());
    }

    #[test]
    fn a_slip_finds_its_key_and_noise_finds_none() {
        assert_eq!(nearest_broker_config("num.partition"), Some("num.partitions"));
        assert_eq!(nearest_broker_config("log.segments.byte"), Some("log.segment.bytes"));
        assert_eq!(nearest_broker_config("ringlog.durabilty"), Some("ringlog.durability"));
        assert_eq!(nearest_broker_config("frobnicate"), None);
    }
}
