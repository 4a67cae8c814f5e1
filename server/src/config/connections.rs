//! Limits on the connections of one address: `max.connections.per.ip` and `max.connections.per.ip.overrides`.

use std::net::{IpAddr, ToSocketAddrs};

use ahash::AHashMap;

use super::values::Values;

const MAX: &str = "max.connections.per.ip";
const OVERRIDES: &str = "max.connections.per.ip.overrides";

/// How many connections an address may have at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionsPerIp {
    /// Without an override; `None` is any number.
    pub max: Option<u32>,
    /// By address.
    pub overrides: AHashMap<IpAddr, u32>,
}

impl ConnectionsPerIp {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let max = values.number(MAX, 0..=i32::MAX as u32, i32::MAX as u32);
        let mut overrides = AHashMap::new();
        for part in values.list(OVERRIDES) {
            match parse_override(part) {
                Ok((addresses, max)) => overrides.extend(addresses.into_iter().map(|address| (address, max))),
                Err(reason) => {
                    values.invalid::<()>(OVERRIDES, reason);
                }
            }
        }
        Self { max: (max != i32::MAX as u32).then_some(max), overrides }
    }
}

/// `HOST:COUNT`; a name stands for all its addresses.
fn parse_override(part: &str) -> Result<(Vec<IpAddr>, u32), String> {
    let (host, count) = part.rsplit_once(':').ok_or_else(|| format!("{part} is not HOST:COUNT"))?;
    let in_bounds = |count: &u32| *count <= i32::MAX as u32;
    let max =
        count.trim().parse().ok().filter(in_bounds).ok_or_else(|| format!("{count} is not a number of connections"))?;
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    let addresses = (host, 0).to_socket_addrs().map_err(|error| format!("{host} has no address: {error}"))?;
    Ok((addresses.map(|address| address.ip().to_canonical()).collect(), max))
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{accepted, settings};
    use super::*;

    #[test]
    fn limits_of_addresses_are_read_as_kafka_writes_them() {
        let none = ConnectionsPerIp::default();
        assert_eq!(settings(&[]).connections_per_ip, none);
        assert_eq!(settings(&[("max.connections.per.ip", "2147483647")]).connections_per_ip, none);
        let given = [
            ("max.connections.per.ip", "5"),
            ("max.connections.per.ip.overrides", "127.0.0.1:200, 10.1.2.3:0,::1:7,localhost:9"),
        ];
        let read = settings(&given).connections_per_ip;
        assert_eq!(read.max, Some(5));
        for (address, max) in [("127.0.0.1", Some(9)), ("10.1.2.3", Some(0)), ("10.1.2.4", None)] {
            assert_eq!(read.overrides.get(&address.parse::<IpAddr>().unwrap()).copied(), max, "{address}");
        }
        let read = settings(&[("max.connections.per.ip.overrides", "[::2]:3")]).connections_per_ip;
        assert_eq!(read.overrides, [("::2".parse().unwrap(), 3)].into_iter().collect());
    }

    #[test]
    fn a_limit_that_is_none_is_told() {
        for value in ["127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:2147483648", "127.0.0.300.:1"] {
            let problems = accepted(&[("max.connections.per.ip.overrides", value)]).unwrap_err();
            assert!(problems.to_string().contains("max.connections.per.ip.overrides"), "{value}: {problems}");
        }
    }
}
