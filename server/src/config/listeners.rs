//! `listeners`, `advertised.listeners` and what belongs to them, in all forms that Kafka takes.

use std::fmt;

use super::values::{Values, split_list};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Upper case, `PLAINTEXT` most of the time.
    pub name: String,
    /// A name or an address without brackets; `None` means all interfaces.
    pub host: Option<String>,
    /// 0 lets the system choose.
    pub port: u16,
}

/// Where clients are told to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of its listener.
    pub name: String,
    /// A name or an address without brackets, never empty and never a wildcard.
    pub host: String,
    /// 0 stands for the port that the listener was given by the system.
    pub port: u16,
}

/// Where the HTTP side listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpListener {
    /// A name or an address without brackets, never empty.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
}

impl HttpListener {
    /// `HOST:PORT`; the host must be said, so that nobody opens it to a network by leaving something out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match parse_address(text)? {
            ("", _) => Err("has no host: name the address to listen on, as in 127.0.0.1:9644"),
            (host, port) => Ok(Self { host: host.to_owned(), port }),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, &self.name, self.host.as_deref().unwrap_or_default(), self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, &self.name, &self.host, self.port)
    }
}

fn write_endpoint(f: &mut fmt::Formatter<'_>, name: &str, host: &str, port: u16) -> fmt::Result {
    match host.contains(':') {
        true => write!(f, "{name}://[{host}]:{port}"),
        false => write!(f, "{name}://{host}:{port}"),
    }
}

/// All of it, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listeners {
    /// For clients, in the order given.
    pub(super) client: Vec<Listener>,
    /// One for each of `client`, in the same order.
    pub(super) advertised: Vec<Endpoint>,
    /// The controller's, which the metadata records. Nothing listens there.
    pub(super) controller: Endpoint,
    /// The one of `client` that brokers use among themselves.
    pub(super) inter_broker: String,
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const CONTROLLER_NAMES: &str = "controller.listener.names";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const INTER_BROKER: &str = "inter.broker.listener.name";

/// Resolves the listeners; `machine_name` is advertised for a listener on all interfaces.
pub(super) fn resolve(values: &mut Values<'_>, machine_name: &str) -> Listeners {
    let listeners = parse_list(values, LISTENERS, "PLAINTEXT://:9092");
    let advertised = parse_list(values, ADVERTISED, "");
    for (index, listener) in listeners.iter().enumerate() {
        let earlier = &listeners[..index];
        if earlier.iter().any(|other| other.name == listener.name) {
            values.contradiction(LISTENERS, format!("{} is there twice", listener.name));
        } else if listener.port != 0 && earlier.iter().any(|o| (&o.host, o.port) == (&listener.host, listener.port)) {
            values.contradiction(LISTENERS, format!("{listener} uses the port of another listener"));
        }
    }

    let controller_names = controller_names(values, &listeners);
    check_protocols(values, &listeners, &controller_names);
    let is_controller = |listener: &Listener| controller_names.contains(&listener.name);
    let client: Vec<Listener> = listeners.iter().filter(|l| !is_controller(l)).cloned().collect();
    if client.is_empty() {
        values.contradiction(LISTENERS, "there is none for clients");
    }
    for endpoint in &advertised {
        if !listeners.iter().any(|listener| listener.name == endpoint.name) {
            values.contradiction(ADVERTISED, format!("{} is not among the listeners", endpoint.name));
        }
        if endpoint.host.as_deref().is_some_and(is_wildcard) {
            values.contradiction(ADVERTISED, format!("{endpoint}: nobody can connect to a wildcard address"));
        }
    }
    let endpoint_of = |listener: &Listener| {
        let given = advertised.iter().find(|endpoint| endpoint.name == listener.name);
        let (host, port) = given.map_or((&listener.host, listener.port), |given| (&given.host, given.port));
        let host = host.clone().filter(|host| !is_wildcard(host)).unwrap_or_else(|| machine_name.to_owned());
        Endpoint { name: listener.name.clone(), host, port }
    };
    let controller = listeners.iter().find(|l| is_controller(l)).map(&endpoint_of);
    let inter_broker = inter_broker(values, &client);
    Listeners {
        advertised: client.iter().map(&endpoint_of).collect(),
        controller: controller.unwrap_or_else(default_controller),
        client,
        inter_broker,
    }
}

/// What is recorded as the controller's endpoint when the file names none.
fn default_controller() -> Endpoint {
    Endpoint { name: "CONTROLLER".to_owned(), host: "127.0.0.1".to_owned(), port: 9093 }
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
}

fn controller_names(values: &mut Values<'_>, listeners: &[Listener]) -> Vec<String> {
    let names: Vec<String> = values.list(CONTROLLER_NAMES).iter().map(|name| name.to_ascii_uppercase()).collect();
    if names.is_empty() {
        return vec!["CONTROLLER".to_owned()];
    }
    for name in &names {
        if !listeners.iter().any(|listener| listener.name == *name) {
            values.contradiction(CONTROLLER_NAMES, format!("{name} is not among the listeners"));
        }
    }
    names
}

/// Only PLAINTEXT is there. A map may mention protocols that no listener uses.
fn check_protocols(values: &mut Values<'_>, listeners: &[Listener], controller_names: &[String]) {
    let mut map = Vec::new();
    for entry in values.list(PROTOCOL_MAP) {
        match entry.split_once(':') {
            Some((name, protocol)) => {
                map.push((name.trim().to_ascii_uppercase(), protocol.trim().to_ascii_uppercase()))
            }
            None => _ = values.invalid::<()>(PROTOCOL_MAP, format!("'{entry}' is not of the form NAME:PROTOCOL")),
        }
    }
    for listener in listeners {
        let mapped = map.iter().find(|(name, _)| *name == listener.name).map(|(_, protocol)| protocol.as_str());
        match mapped {
            Some("PLAINTEXT") => {}
            Some(protocol @ ("SSL" | "SASL_PLAINTEXT" | "SASL_SSL")) => {
                values.not_there(PROTOCOL_MAP, format!("{} is {protocol}, and only PLAINTEXT is there", listener.name));
            }
            Some(protocol) => {
                _ = values.invalid::<()>(PROTOCOL_MAP, format!("'{protocol}' is not a security protocol"));
            }
            None if matches!(listener.name.as_str(), "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") => {
                values.not_there(LISTENERS, format!("{} is not there, only PLAINTEXT is", listener.name));
            }
            None if listener.name == "PLAINTEXT" || controller_names.contains(&listener.name) => {}
            None => {
                values.contradiction(PROTOCOL_MAP, format!("no protocol for the listener {}", listener.name));
            }
        }
    }
}

fn inter_broker(values: &mut Values<'_>, client: &[Listener]) -> String {
    if let Some(protocol) = values.text("security.inter.broker.protocol")
        && !protocol.eq_ignore_ascii_case("PLAINTEXT")
    {
        values.not_there("security.inter.broker.protocol", format!("{protocol} is not there, only PLAINTEXT is"));
    }
    let first = client.first().map(|listener| listener.name.clone()).unwrap_or_default();
    let Some(name) = values.text(INTER_BROKER).map(str::to_ascii_uppercase) else {
        let plaintext = client.iter().find(|listener| listener.name == "PLAINTEXT");
        return plaintext.map_or(first, |listener| listener.name.clone());
    };
    if !client.iter().any(|listener| listener.name == name) {
        values.contradiction(INTER_BROKER, format!("{name} is not among the listeners for clients"));
        return first;
    }
    name
}

fn parse_list(values: &mut Values<'_>, key: &str, default: &str) -> Vec<Listener> {
    let mut parsed = Vec::new();
    for text in split_list(values.text(key).unwrap_or(default)) {
        match parse(text) {
            Ok(listener) => parsed.push(listener),
            Err(reason) => _ = values.invalid::<()>(key, format!("'{text}' {reason}")),
        }
    }
    parsed
}

/// `NAME://HOST:PORT`, where HOST may be empty.
fn parse(text: &str) -> Result<Listener, &'static str> {
    let (name, address) = text.split_once("://").ok_or("is not of the form NAME://HOST:PORT")?;
    let (host, port) = parse_address(address)?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err("has no usable listener name");
    }
    Ok(Listener {
        name: name.to_ascii_uppercase(),
        host: Some(host).filter(|host| !host.is_empty()).map(str::to_owned),
        port,
    })
}

/// `HOST:PORT`, where HOST may be empty, a name, an IPv4 address or an IPv6 address in brackets.
fn parse_address(address: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("has no port")?;
    let port = port.parse().map_err(|_| "has no port between 0 and 65535")?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or("has an open bracket")?,
        None if host.contains(':') => return Err("has an IPv6 address without brackets"),
        None => host,
    };
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-%._:".contains(c)) {
        return Err("has a character that no host name has");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigError, Properties};
    use super::*;

    fn resolved(pairs: &[(&str, &str)]) -> Result<Listeners, Vec<ConfigError>> {
        let mut properties = Properties::default();
        for (key, value) in pairs {
            properties.set(key, value);
        }
        let mut values = Values::new(&properties);
        let listeners = resolve(&mut values, "machine");
        if values.problems.is_empty() { Ok(listeners) } else { Err(values.problems) }
    }

    fn shown(endpoints: &[Endpoint]) -> Vec<String> {
        endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_of_address() {
        let all = "PLAINTEXT://:9092,V4://127.0.0.1:1,V6://[::1]:2,NAME://broker-1.example.org:3,ANY://[::]:0";
        let map = "PLAINTEXT:PLAINTEXT,V4:PLAINTEXT,V6:PLAINTEXT,NAME:PLAINTEXT,ANY:PLAINTEXT,X:SSL";
        let listeners = resolved(&[(LISTENERS, all), (PROTOCOL_MAP, map)]).unwrap();
        assert_eq!(
            shown(&listeners.advertised),
            [
                "PLAINTEXT://machine:9092",
                "V4://127.0.0.1:1",
                "V6://[::1]:2",
                "NAME://broker-1.example.org:3",
                "ANY://machine:0"
            ]
        );
        assert_eq!(listeners.client[0].host, None);
        assert_eq!(listeners.client[2].to_string(), "V6://[::1]:2");
        assert_eq!(listeners.inter_broker, "PLAINTEXT");
    }

    #[test]
    fn a_combined_node_of_kafka() {
        let listeners = resolved(&[
            (LISTENERS, "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"),
            (ADVERTISED, "PLAINTEXT://localhost:19092,CONTROLLER://localhost:19093"),
            (CONTROLLER_NAMES, "CONTROLLER"),
            (INTER_BROKER, "PLAINTEXT"),
            (PROTOCOL_MAP, "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL"),
        ])
        .unwrap();
        assert_eq!(listeners.client.len(), 1);
        assert_eq!(shown(&listeners.advertised), ["PLAINTEXT://localhost:19092"]);
        assert_eq!(listeners.controller.to_string(), "CONTROLLER://localhost:19093");
    }

    #[test]
    fn only_plaintext_is_there() {
        for pairs in [
            &[(LISTENERS, "SSL://:9093")][..],
            &[(LISTENERS, "SASL_SSL://:9093")],
            &[(LISTENERS, "A://:1"), (PROTOCOL_MAP, "A:SASL_PLAINTEXT")],
            &[("security.inter.broker.protocol", "SSL")],
        ] {
            let problems = resolved(pairs).unwrap_err();
            assert!(matches!(problems[0], ConfigError::NotThere { .. }), "{pairs:?}: {problems:?}");
        }
    }

    #[test]
    fn contradictions_name_their_key() {
        for (key, pairs) in [
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://:1,PLAINTEXT://:2")][..]),
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://:1,A://:1"), (PROTOCOL_MAP, "PLAINTEXT:PLAINTEXT,A:PLAINTEXT")]),
            (LISTENERS, &[(LISTENERS, "CONTROLLER://:1")]),
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://::1:9092")]),
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://[::1:9092")]),
            (LISTENERS, &[(LISTENERS, "127.0.0.1:9092")]),
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://:65536")]),
            (LISTENERS, &[(LISTENERS, "PLAINTEXT://a b:1")]),
            (ADVERTISED, &[(ADVERTISED, "OTHER://a:1")]),
            (ADVERTISED, &[(ADVERTISED, "PLAINTEXT://0.0.0.0:1")]),
            (CONTROLLER_NAMES, &[(CONTROLLER_NAMES, "C")]),
            (INTER_BROKER, &[(INTER_BROKER, "OTHER")]),
            (PROTOCOL_MAP, &[(LISTENERS, "INTERNAL://:1")]),
            (PROTOCOL_MAP, &[(PROTOCOL_MAP, "PLAINTEXT")]),
            (PROTOCOL_MAP, &[(PROTOCOL_MAP, "PLAINTEXT:TELNET")]),
        ] {
            let problems = resolved(pairs).unwrap_err();
            assert!(problems.iter().any(|problem| problem.key() == Some(key)), "{pairs:?}: {problems:?}");
        }
    }
}
