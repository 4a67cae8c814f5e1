//! What Kafka has and this broker has not: a configuration that asks for it is refused.

use super::super::connections::check_connections_at_runtime;
use super::super::values::Values;

/// Refuses each value of a key that asks for something which is not there.
pub fn refuse_what_is_not_there(values: &mut Values<'_>) {
    let roles = values.list("process.roles");
    let mut sorted = roles.clone();
    sorted.sort_unstable();
    if !roles.is_empty() && sorted != ["broker", "controller"] {
        values.not_there("process.roles", "only a combined node (broker,controller) is there");
    }
    for property in values.properties.iter().filter(|property| !property.value.is_empty()) {
        if let Some(reason) = what_is_not_there(&property.key, &property.value) {
            values.not_there(&property.key, reason);
        }
    }
}

/// What a key of the broker, set to this value, asks for and is not there, as a sentence.
fn what_is_not_there(key: &str, value: &str) -> Option<&'static str> {
    let of_listener = key.strip_prefix("listener.name.");
    let key = of_listener.map_or(key, |rest| rest.split_once('.').map_or(rest, |(_, rest)| rest));
    let is_true = value.eq_ignore_ascii_case("true");
    match key {
        _ if key.starts_with("ssl.") || key.contains(".ssl.") => Some("TLS is not there"),
        _ if key.starts_with("sasl.") || key.contains(".sasl.") => Some("SASL is not there"),
        "authorizer.class.name" => Some("access control is not there"),
        "principal.builder.class" | "connections.max.reauth.ms" if value != "0" => Some("authentication is not there"),
        "delegation.token.secret.key" => Some("delegation tokens are not there"),
        "alter.config.policy.class.name"
        | "client.quota.callback.class"
        | "config.providers"
        | "create.topic.policy.class.name"
        | "replica.selector.class"
        | "security.providers" => Some("Java classes cannot be loaded"),
        "remote.log.storage.system.enable" if is_true => Some("tiered storage is not there"),
        "cordoned.log.dirs" => Some("cordoned directories are not there"),
        "max.connections" | "max.connection.creation.rate" if of_listener.is_some() => {
            Some("limits of one listener are not there")
        }
        _ if key.starts_with("zookeeper.") => Some("ZooKeeper is not there, as in Kafka 4"),
        _ => None,
    }
}

/// What a key of the broker, set to this value while it runs, asks for and is not there, as a sentence.
pub fn what_is_not_there_at_runtime(key: &str, value: &str) -> Option<&'static str> {
    if check_connections_at_runtime(key, value).is_err() {
        return Some("while it runs it takes HOST:COUNT of addresses, no names");
    }
    what_is_not_there(key, value)
}

#[cfg(test)]
mod tests {
    use super::super::super::ConfigError;
    use super::super::tests::accepted;

    #[test]
    fn what_is_not_there_refuses_and_names_its_key() {
        for (key, value) in [
            ("ssl.keystore.location", "/k"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.plaintext.sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.plaintext.plain.sasl.jaas.config", "x"),
            ("authorizer.class.name", "org.example.Authorizer"),
            ("log.dirs", "/a,/b"),
            ("metadata.log.dir", "/other"),
            ("process.roles", "broker"),
            ("process.roles", "controller"),
            ("controller.quorum.voters", "1@a:1,2@b:1"),
            ("controller.quorum.bootstrap.servers", "a:1,b:1"),
            ("create.topic.policy.class.name", "x"),
            ("remote.log.storage.system.enable", "true"),
            ("listener.name.plaintext.max.connection.creation.rate", "10"),
            ("listener.name.plaintext.max.connections", "10"),
            ("zookeeper.connect", "a:2181"),
        ] {
            let problems = accepted(&[(key, value)]).unwrap_err().0;
            let names_it = |problem: &ConfigError| matches!(problem, ConfigError::NotThere { key: k, .. } if k == key);
            assert!(problems.iter().any(names_it), "{key}={value}: {problems:?}");
        }
        // Kafka 4.3.1 takes no more of it than a partition has replicas.
        let harmless = [("authorizer.class.name", ""), ("compression.type", "zstd"), ("min.insync.replicas", "2")];
        assert!(accepted(&harmless).is_ok());
    }
}
