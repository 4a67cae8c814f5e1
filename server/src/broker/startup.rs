//! Opens the cluster on shard 0, before anything is served: directory, identity, metadata, election. Blocks on files.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use ringlog_core::log::{Recovered, StoreConfig, mark_in_use, start_log_dir};
use ringlog_core::reactor::{Listener, Reactor};

use super::RunError;
use crate::config::{self, Endpoint, FormatPolicy, Settings};
use crate::metadata::{
    DataDirectory, DirectoryError, MetadataLog, MetadataService, NodeConfig, OpenTransactions, StartedMetadata,
    check_takeover, log_specs,
};

/// Wait between two tries to listen.
const LISTEN_RETRY_AFTER: Duration = Duration::from_millis(10);
/// Tries to listen on an address that is in use: two seconds.
const LISTEN_TRIES_MAX: usize = 200;

/// What shard 0 holds while the broker runs.
pub struct OpenedCluster {
    /// Locked.
    pub directory: DataDirectory,
    /// Of `meta.properties`.
    pub cluster_id: String,
    /// The controller's state, elected.
    pub service: MetadataService,
    /// Bound, not yet accepting.
    pub listeners: Vec<Listener>,
    /// What clients of each listener are told.
    pub endpoints: Vec<Endpoint>,
}

/// Locks the directory, formats it if that is allowed, loads the metadata, takes the election and recovers the logs.
pub async fn open_cluster(
    reactor: &Reactor,
    settings: &Settings,
    store: &StoreConfig,
) -> Result<OpenedCluster, RunError> {
    let disk = reactor.disk();
    let directory = DataDirectory::lock(&disk, &settings.log_dir)?;
    let (listeners, endpoints) = bind(reactor, settings).await?;
    let node = NodeConfig::of(settings, &endpoints);
    let now_ms = reactor.wall_clock_ms();
    let identity = match directory.identity(settings.node_id) {
        Err(DirectoryError::NotFormatted(_)) if settings.format == FormatPolicy::IfEmpty => {
            directory.format(&node, settings.cluster_id.as_deref(), now_ms, || reactor.random_u64())?
        }
        identity => identity?,
    };
    let cluster_id = identity.cluster_id.clone();
    let found = MetadataLog::find(&disk, directory.path())?;
    let transactions =
        if settings.accept_open_transactions { OpenTransactions::Accept } else { OpenTransactions::Refuse };
    check_takeover(&directory, &found, &identity, transactions)
        .map_err(|source| RunError::Takeover { path: directory.path().to_owned(), source })?;
    mark_in_use(&disk, directory.path())?;
    let StartedMetadata { service, cut_bytes } = MetadataService::start(reactor, node, identity, found)?;
    if cut_bytes > 0 {
        tracing::warn!(cut_bytes, "the metadata log ended in a torn batch, which was cut off");
    }
    let specs = log_specs(&service.latest(), settings.node_id, &settings.properties);
    let recovered = start_log_dir(&disk, directory.path(), &specs, now_ms, store.carried_logs_min)?;
    if recovered != Recovered::default() {
        tracing::info!(?recovered, "recovered after an unclean stop");
    }
    Ok(OpenedCluster { directory, cluster_id, service, listeners, endpoints })
}

/// Listens everywhere; port 0 becomes a real one in what clients are told.
async fn bind(reactor: &Reactor, settings: &Settings) -> Result<(Vec<Listener>, Vec<Endpoint>), RunError> {
    let mut listeners = Vec::new();
    let mut endpoints = Vec::new();
    for (listener, advertised) in settings.listeners.iter().zip(&settings.advertised_listeners) {
        let address = resolve(listener)?;
        let bound = listen(reactor, address).await.map_err(|source| RunError::Listen { address, source })?;
        let port = if advertised.port == 0 { bound.local_address().port() } else { advertised.port };
        endpoints.push(Endpoint { port, ..advertised.clone() });
        listeners.push(bound);
    }
    Ok((listeners, endpoints))
}

/// Listens, and waits a little for an address in use: the kernel ends the ring of a broker that was killed, and with it
/// its sockets, only some time after the process is gone.
async fn listen(reactor: &Reactor, address: SocketAddr) -> io::Result<Listener> {
    for _ in 0..LISTEN_TRIES_MAX {
        match reactor.listen(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                reactor.sleep(LISTEN_RETRY_AFTER).await;
            }
            done => return done,
        }
    }
    reactor.listen(address)
}

fn resolve(listener: &config::Listener) -> Result<SocketAddr, RunError> {
    // All interfaces: the IPv6 wildcard takes IPv4 connections too.
    let host = listener.host.as_deref().unwrap_or("::");
    let error = |source| RunError::Resolve { host: host.to_owned(), source };
    let mut addresses = (host, listener.port).to_socket_addrs().map_err(error)?;
    addresses.next().ok_or_else(|| error(io::ErrorKind::NotFound.into()))
}
