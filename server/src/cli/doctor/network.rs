//! The addresses to listen on, and those that clients are told.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};

use super::Check;
use crate::config::Settings;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let listeners = settings.listeners.iter().map(|listener| {
        listen("listener", &listener.to_string(), listener.host.as_deref().unwrap_or("::"), listener.port)
    });
    let http =
        settings.http.iter().map(|http| listen("http", &format!("{}:{}", http.host, http.port), &http.host, http.port));
    let advertised = settings.advertised_listeners.iter().map(|endpoint| {
        match (endpoint.host.as_str(), endpoint.port).to_socket_addrs() {
            Ok(_) => Check::ok("advertised", endpoint.to_string()),
            Err(error) => Check::warning(
                "advertised",
                format!("{endpoint}: {error}"),
                "clients connect to this name: set advertised.listeners to one that they can resolve",
            ),
        }
    });
    listeners.chain(http).chain(advertised).collect()
}

fn listen(name: &'static str, shown: &str, host: &str, port: u16) -> Check {
    let resolved = (host, port).to_socket_addrs();
    match resolved.and_then(|addresses| TcpListener::bind(&*addresses.collect::<Vec<_>>())) {
        Ok(_) => Check::ok(name, shown),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let fix = format!("another process has the port (ss -ltnp 'sport = {port}'): stop it, or choose another");
            Check::failure(name, format!("{shown}: {error}"), fix)
        }
        Err(error) => Check::failure(
            name,
            format!("{shown}: {error}"),
            "name an address of this machine, and a port that its user may use",
        ),
    }
}
