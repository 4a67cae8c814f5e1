//! `ringlog format`: makes an empty directory the data directory of a new cluster.

use std::rc::Rc;

use ringlog_core::reactor::{Disk, FsDisk};

use crate::config::{FormatOptions, Settings};
use crate::metadata::{DataDirectory, DirectoryError, Identity, NodeConfig};

/// Formats the directory that the settings name. Says what was done.
pub(super) fn format(options: &FormatOptions, settings: &Settings) -> Result<String, DirectoryError> {
    let disk: Rc<dyn Disk> = Rc::new(FsDisk);
    let directory = DataDirectory::lock(&disk, &settings.log_dir)?;
    let cluster_id = settings.cluster_id.as_deref();
    let shown = settings.log_dir.display();
    let node = NodeConfig::of(settings, &settings.advertised_listeners);
    let formatted = directory.format(&node, cluster_id, wall_clock_ms(), random_u64);
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
