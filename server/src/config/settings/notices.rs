//! What is said of keys that are accepted and do nothing: unknown ones, and those without effect here.

use super::super::definitions::{broker_config, nearest_broker_config};
use super::super::{Notice, Origin, Properties};

/// Threads, queues and purgatories of a broker that is built of thread pools.
const NO_THREAD_POOLS: &[&str] = &[
    "background.threads",
    "group.coordinator.background.threads",
    "group.coordinator.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.alter.log.dirs.threads",
    "num.replica.fetchers",
    "queued.max.requests",
    "share.coordinator.threads",
];

/// What the user should know about keys that were accepted.
pub fn notices(properties: &Properties) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (mut pools, mut inert) = (Vec::new(), Vec::new());
    for property in properties.iter() {
        let key = property.key.as_str();
        if NO_THREAD_POOLS.contains(&key) {
            pools.push(key);
        } else if let Some(def) = broker_config(key) {
            if !def.acts() {
                inert.push(key);
            }
        } else if !key.starts_with("listener.name.") {
            let hint = nearest_broker_config(key).map_or(String::new(), |near| format!(", did you mean {near}?"));
            let variable = match &property.origin {
                Origin::Environment(variable) => format!(" ({variable})"),
                _ => String::new(),
            };
            notices.push(Notice::Warning(format!("unknown key {key}{variable}{hint}")));
        }
    }
    if !pools.is_empty() {
        notices.push(Notice::Info(format!("accepted, no effect (one thread per core): {}", pools.join(", "))));
    }
    if !inert.is_empty() {
        notices.push(Notice::Info(format!("accepted, no effect yet: {}", inert.join(", "))));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::tests::accepted;
    use super::*;

    #[test]
    fn unknown_keys_warn_and_keys_without_effect_inform() {
        let more = [
            ("num.partition", "3"),
            ("frobnicate", "1"),
            ("num.io.threads", "8"),
            ("num.network.threads", "3"),
            ("offsets.load.buffer.size", "1"),
        ];
        let (_, notices) = accepted(&more).unwrap();
        assert_eq!(notices[0], Notice::Warning("unknown key num.partition, did you mean num.partitions?".to_owned()));
        assert_eq!(notices[1], Notice::Warning("unknown key frobnicate".to_owned()));
        let Notice::Info(pools) = &notices[2] else { panic!("{notices:?}") };
        assert!(pools.ends_with("num.io.threads, num.network.threads"), "{pools}");
        let Notice::Info(inert) = &notices[3] else { panic!("{notices:?}") };
        assert!(inert.ends_with("offsets.load.buffer.size"), "{inert}");
    }

    #[test]
    fn thread_pools_are_keys_of_kafka() {
        assert!(NO_THREAD_POOLS.iter().all(|key| broker_config(key).is_some()));
    }
}
