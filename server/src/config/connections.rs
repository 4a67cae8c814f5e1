//! Limits on connections: `max.connections`, `max.connection.creation.rate`, `max.connections.per.ip` and
//! `max.connections.per.ip.overrides`.

use std::net::{IpAddr, ToSocketAddrs};

use ahash::AHashMap;

use super::sources::ConfigSources;
use super::values::{Values, split_list};

const ALL: &str = "max.connections";
const PER_SECOND: &str = "max.connection.creation.rate";
const PER_IP: &str = "max.connections.per.ip";
const OVERRIDES: &str = "max.connections.per.ip.overrides";
/// What stands for no limit.
const NONE: u32 = i32::MAX as u32;

/// How many connections there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionsMax {
    /// At a time, of all addresses together.
    pub all: u32,
    /// New ones in a second; `None` is any number.
    pub per_second: Option<u32>,
    /// At a time, of an address without an override.
    pub per_ip: u32,
    /// The same by address.
    pub overrides: AHashMap<IpAddr, u32>,
}

impl ConnectionsMax {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let [all, per_second, per_ip] = [ALL, PER_SECOND, PER_IP].map(|key| values.number(key, 0..=NONE, NONE));
        let mut overrides = AHashMap::new();
        for part in values.list(OVERRIDES) {
            match parse_override(part) {
                Ok((addresses, max)) => overrides.extend(addresses.into_iter().map(|address| (address, max))),
                Err(reason) => {
                    values.invalid::<()>(OVERRIDES, reason);
                }
            }
        }
        Self { all, per_second: limit(per_second), per_ip, overrides }
    }

    /// As they are set now. `of_file` was read at the start: its names are not looked up again.
    pub fn resolve(sources: &ConfigSources<'_>, of_file: &Self) -> Self {
        let number = |key| sources.set_at_runtime(key).and_then(|text| text.trim().parse().ok());
        let overrides = sources.set_at_runtime(OVERRIDES).and_then(|text| parse_addresses(text).ok());
        Self {
            all: number(ALL).unwrap_or(of_file.all),
            per_second: number(PER_SECOND).map_or(of_file.per_second, limit),
            per_ip: number(PER_IP).unwrap_or(of_file.per_ip),
            overrides: overrides.unwrap_or_else(|| of_file.overrides.clone()),
        }
    }

    /// The limit of an address.
    pub fn of(&self, address: IpAddr) -> u32 {
        self.overrides.get(&address.to_canonical()).copied().unwrap_or(self.per_ip)
    }
}

fn limit(number: u32) -> Option<u32> {
    (number != NONE).then_some(number)
}

/// Why a broker that runs does not take this value of a key; the text is for the client and names both.
pub fn check_connections_at_runtime(key: &str, value: &str) -> Result<(), String> {
    if key != OVERRIDES {
        return Ok(());
    }
    parse_addresses(value)
        .map(drop)
        .map_err(|reason| format!("Invalid value {value} for configuration {key}: {reason}"))
}

/// What a broker that runs takes: addresses, no names, which it would have to look up.
fn parse_addresses(text: &str) -> Result<AHashMap<IpAddr, u32>, String> {
    let parse = |part| {
        let (host, max) = split_override(part)?;
        let address: IpAddr =
            host.parse().map_err(|_| format!("{host} is not an address, and names take a restart"))?;
        Ok((address.to_canonical(), max))
    };
    split_list(text).into_iter().map(parse).collect()
}

/// `HOST:COUNT`; a name stands for all its addresses.
fn parse_override(part: &str) -> Result<(Vec<IpAddr>, u32), String> {
    let (host, max) = split_override(part)?;
    let addresses = (host, 0).to_socket_addrs().map_err(|error| format!("{host} has no address: {error}"))?;
    Ok((addresses.map(|address| address.ip().to_canonical()).collect(), max))
}

fn split_override(part: &str) -> Result<(&str, u32), String> {
    let (host, count) = part.rsplit_once(':').ok_or_else(|| format!("{part} is not HOST:COUNT"))?;
    let in_bounds = |count: &u32| *count <= i32::MAX as u32;
    let max =
        count.trim().parse().ok().filter(in_bounds).ok_or_else(|| format!("{count} is not a number of connections"))?;
    Ok((host.trim().trim_start_matches('[').trim_end_matches(']'), max))
}

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::super::settings::tests::{accepted, settings};
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn limits_of_addresses_are_read_as_kafka_writes_them() {
        let none = ConnectionsMax { all: NONE, per_second: None, per_ip: NONE, overrides: AHashMap::new() };
        assert_eq!(settings(&[]).connections_max, none);
        let given = [(ALL, "7"), (PER_IP, "5"), (OVERRIDES, "127.0.0.1:200, 10.1.2.3:0,::1:7,localhost:9")];
        let read = settings(&given).connections_max;
        assert_eq!(read.all, 7);
        for (text, max) in [("127.0.0.1", 9), ("10.1.2.3", 0), ("::ffff:10.1.2.3", 0), ("10.1.2.4", 5)] {
            assert_eq!(read.of(address(text)), max, "{text}");
        }
        let read = settings(&[(OVERRIDES, "[::2]:3")]).connections_max;
        assert_eq!(read.overrides, [(address("::2"), 3)].into_iter().collect());
    }

    #[test]
    fn what_is_set_while_it_runs_counts() {
        let file = [(ALL, "7"), (PER_SECOND, "8"), (OVERRIDES, "localhost:9")];
        let of_file = settings(&file).connections_max;
        let resolve = |set: &[(&str, &str)]| {
            let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let file = Properties::default();
            ConnectionsMax::resolve(&ConfigSources { broker: None, cluster: Some(&set), file: &file }, &of_file)
        };
        assert_eq!(resolve(&[]), of_file);
        let overrides = [(address("10.0.0.1"), 2), (address("::3"), 0)].into_iter().collect();
        let set = resolve(&[(PER_IP, "4"), (OVERRIDES, "::ffff:10.0.0.1:2, [::3]:0")]);
        assert_eq!(set, ConnectionsMax { all: 7, per_second: Some(8), per_ip: 4, overrides });
        assert_eq!(resolve(&[(PER_SECOND, "2147483647")]).per_second, None);
        assert!(resolve(&[(OVERRIDES, "")]).overrides.is_empty());
        assert!(parse_addresses("localhost:4").unwrap_err().contains("names take a restart"));
    }

    #[test]
    fn a_limit_that_is_none_is_told() {
        for value in ["127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:2147483648", "127.0.0.300.:1"] {
            let problems = accepted(&[(OVERRIDES, value)]).unwrap_err();
            assert!(problems.to_string().contains(OVERRIDES), "{value}: {problems}");
        }
    }
}
