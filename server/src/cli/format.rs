//! `ringlog format`: makes an empty directory the data directory of a new cluster.

use std::rc::Rc;

use ringlog_core::reactor::{Disk, FsDisk};

use crate::config::{Endpoint, FormatOptions, Quorum, Settings};
use crate::metadata::{DataDirectory, DirectoryError, Identity, NodeConfig, NodeEndpoint};

/// What the settings say about this node, in the metadata's words.
pub fn node_config(settings: &Settings) -> NodeConfig {
    NodeConfig {
        node_id: settings.node_id,
        rack: settings.rack.clone(),
        endpoints: settings.advertised_listeners.iter().map(endpoint_record).collect(),
        controller_endpoint: endpoint_record(&settings.controller_listener),
        is_static_quorum: settings.quorum == Quorum::Static,
        num_partitions: settings.num_partitions,
        default_replication_factor: settings.default_replication_factor,
        metadata_log: settings.metadata_log.clone(),
    }
}

fn endpoint_record(endpoint: &Endpoint) -> NodeEndpoint {
    let Endpoint { name, host, port } = endpoint.clone();
    NodeEndpoint { name, host, port, security_protocol: 0 }
}

/// Formats the directory that the settings name. Says what was done.
pub(super) fn format(options: &FormatOptions, settings: &Settings) -> Result<String, DirectoryError> {
    let disk: Rc<dyn Disk> = Rc::new(FsDisk);
    let directory = DataDirectory::lock(&disk, &settings.log_dir)?;
    let cluster_id = settings.cluster_id.as_deref();
    let shown = settings.log_dir.display();
    let formatted = directory.format(&node_config(settings), cluster_id, wall_clock_ms(), random_u64);
    directory.unlock();
    match formatted {
        Ok(Identity { cluster_id, .. }) => Ok(format!("formatted {shown}, cluster id {cluster_id}")),
        Err(DirectoryError::AlreadyFormatted(_)) if options.ignore_formatted => {
            Ok(format!("{shown} is already formatted"))
        }
        Err(error) => Err(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "a subcommand has no reactor")]
pub(super) fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Keys of hash maps are seeded by the system, anew for each.
fn random_u64() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
