//! Environment variables, as the Apache Kafka image reads them: `KAFKA_` and the key in upper case, with `_` for a dot,
//! `__` for an underscore and `___` for a dash. `KAFKA_LOG_RETENTION_MS` is `log.retention.ms`.

/// What the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Variable, key, value without the blanks around it, in the order of the variables' names.
    pub(super) keys: Vec<(String, String, String)>,
    /// `CLUSTER_ID`: of a directory that is formatted.
    pub(super) cluster_id: Option<String>,
    /// `KAFKA_LOG4J_ROOT_LOGLEVEL`.
    pub(super) log_level: Option<String>,
}

/// Variables of Kafka's scripts and image that are no keys.
const NOT_KEYS: [&str; 11] = [
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
];

impl Environment {
    /// Of this process.
    pub(super) fn of_this_process() -> Self {
        let variables = std::env::vars_os();
        Self::read(variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))))
    }

    fn read(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        let variables = variables.map(|(variable, value)| (variable, value.trim().to_owned()));
        for (variable, value) in variables.filter(|(_, value)| !value.is_empty()) {
            match variable.as_str() {
                "CLUSTER_ID" => environment.cluster_id = Some(value),
                "KAFKA_LOG4J_ROOT_LOGLEVEL" => environment.log_level = Some(value.to_ascii_lowercase()),
                name if NOT_KEYS.contains(&name) => {}
                name => {
                    if let Some(key) = name.strip_prefix("KAFKA_") {
                        let key = key_of(key);
                        environment.keys.push((variable, key, value));
                    }
                }
            }
        }
        environment.keys.sort();
        environment
    }
}

fn key_of(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', ".").replace("...", "-").replace("..", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `.ci/golden/environment`.
    const GOLDEN: &str = include_str!("../../tests/golden/environment.properties");

    #[test]
    fn variables_become_keys_as_in_the_image() {
        let mut lines = 0;
        for line in GOLDEN.lines() {
            let (key, variable) = match line.strip_prefix("# ") {
                Some(variable) => (None, variable),
                None => line.split_once('=').map(|(key, variable)| (Some(key), variable)).unwrap(),
            };
            let read = Environment::read([(variable.to_owned(), "x".to_owned())].into_iter());
            assert_eq!(read.keys.first().map(|(_, key, _)| key.as_str()), key, "{variable}");
            lines += 1;
        }
        assert_eq!(lines, 36);
    }

    #[test]
    fn what_is_no_key_is_left_out() {
        let variables = [
            ("PATH", "/bin"),
            ("KAFKA_NODE_ID", "7"),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
            ("KAFKA_BROKER_RACK", " "),
            ("CLUSTER_ID", "abc"),
            ("KAFKA_LOG4J_ROOT_LOGLEVEL", "DEBUG"),
            ("KAFKA_LOG_DIRS", " /data\n"),
        ];
        let read = Environment::read(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let keys: Vec<_> = read.keys.iter().map(|(_, key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(keys, [("log.dirs", "/data"), ("node.id", "7")]);
        assert_eq!((read.cluster_id.as_deref(), read.log_level.as_deref()), (Some("abc"), Some("debug")));
    }
}
