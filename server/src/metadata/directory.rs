//! The data directory as a whole: its lock, `meta.properties`, and formatting it.
//!
//! All calls block: they belong to start and stop.
//!
//! Invariant: `meta.properties` is written last when a directory is formatted, so a crash leaves a formatted directory
//! or one that can be formatted again.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_core::reactor::{Disk, File, read_file, replace_file};
use uuid::Uuid;

use super::control;
use super::ids::{METADATA_TOPIC_ID, id_from_text, id_to_text, random_id};
use super::node::{Identity, NodeConfig};

/// The folder of the metadata log.
pub const METADATA_FOLDER: &str = "__cluster_metadata-0";
const META_PROPERTIES: &str = "meta.properties";
/// The file that is locked while a broker runs.
const LOCK_FILE: &str = ".lock";
/// What an interrupted format, a mount or another broker's lock leaves in a directory that holds no data.
const NO_DATA: &[&str] = &[
    LOCK_FILE,
    "lost+found",
    "bootstrap.checkpoint",
    "bootstrap.checkpoint.tmp",
    "meta.properties.tmp",
    METADATA_FOLDER,
];

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process, Ringlog or Kafka, uses it.
    #[error("{}: another broker uses this data directory", .0.display())]
    Locked(PathBuf),
    /// There is no `meta.properties`.
    #[error("{}: not formatted; run `ringlog format`, or start with --format if it is to be a new cluster", .0.display())]
    NotFormatted(PathBuf),
    /// There is data, but no `meta.properties`.
    #[error("{}: holds files, but no readable meta.properties", .0.display())]
    ForeignFiles(PathBuf),
    /// `ringlog format` on a formatted directory.
    #[error("{}: is already formatted", .0.display())]
    AlreadyFormatted(PathBuf),
    /// A key of `meta.properties` is missing or wrong.
    #[error("{}: {reason}", path.display())]
    BadProperties {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The directory belongs to another node.
    #[error("stored node id {stored} does not match node.id={configured}")]
    OtherNode {
        /// In `meta.properties`.
        stored: i32,
        /// In the configuration.
        configured: i32,
    },
}

/// A locked data directory.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    disk: Rc<dyn Disk>,
    path: PathBuf,
    /// Held until the last clone is dropped.
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory if needed and takes its lock, which Kafka takes too.
    pub fn lock(disk: &Rc<dyn Disk>, path: &Path) -> Result<Self, DirectoryError> {
        let io_error = |source| DirectoryError::Io { path: path.to_owned(), source };
        create_durably(disk, path).map_err(io_error)?;
        let lock = File::lock(disk, &path.join(LOCK_FILE)).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => DirectoryError::Locked(path.to_owned()),
            _ => io_error(source),
        })?;
        Ok(Self { disk: Rc::clone(disk), path: path.to_owned(), _lock: lock })
    }

    /// Gives the lock back and takes its file away, as Kafka does at a clean stop.
    pub fn unlock(self) {
        if let Err(error) = self.disk.remove_file(&self.path.join(LOCK_FILE)) {
            tracing::warn!(%error, path = %self.path.display(), "the lock file stays");
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &Rc<dyn Disk> {
        &self.disk
    }

    fn io_error(&self, name: &str) -> impl Fn(io::Error) -> DirectoryError {
        let path = self.path.join(name);
        move |source| DirectoryError::Io { path: path.clone(), source }
    }

    /// Whether there is nothing of a cluster in it.
    pub fn is_empty(&self) -> Result<bool, DirectoryError> {
        let entries = self.disk.list_dir(&self.path).map_err(self.io_error(""))?;
        if entries.iter().any(|entry| !NO_DATA.contains(&entry.name.as_str())) {
            return Ok(false);
        }
        match self.disk.list_dir(&self.path.join(METADATA_FOLDER)) {
            Ok(entries) => Ok(!entries.iter().any(|entry| entry.name.ends_with(".log"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(self.io_error(METADATA_FOLDER)(error)),
        }
    }

    /// What `meta.properties` says; it must be this node's.
    pub fn identity(&self, node_id: i32) -> Result<Identity, DirectoryError> {
        match self.stored_identity()? {
            Identity { node_id: stored, .. } if stored != node_id => {
                Err(DirectoryError::OtherNode { stored, configured: node_id })
            }
            identity => Ok(identity),
        }
    }

    /// What `meta.properties` says, whichever node it is of.
    pub fn stored_identity(&self) -> Result<Identity, DirectoryError> {
        let path = self.path.join(META_PROPERTIES);
        let bytes = match read_file(&self.disk, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let error = if self.is_empty()? { DirectoryError::NotFormatted } else { DirectoryError::ForeignFiles };
                return Err(error(self.path.clone()));
            }
            Err(source) => return Err(DirectoryError::Io { path, source }),
        };
        parse_meta_properties(&bytes)
            .map_err(|reason| DirectoryError::BadProperties { path, reason: reason.to_owned() })
    }

    /// Makes an empty directory that of a new cluster, as `kafka-storage format --standalone` does.
    /// Without `cluster_id`, a random one.
    pub fn format(
        &self,
        node: &NodeConfig,
        cluster_id: Option<&str>,
        now_ms: i64,
        mut random: impl FnMut() -> u64,
    ) -> Result<Identity, DirectoryError> {
        if self.disk.exists(&self.path.join(META_PROPERTIES)) {
            return Err(DirectoryError::AlreadyFormatted(self.path.clone()));
        }
        if !self.is_empty()? {
            return Err(DirectoryError::ForeignFiles(self.path.clone()));
        }
        let identity = Identity {
            node_id: node.node_id,
            cluster_id: cluster_id.map_or_else(|| id_to_text(random_id(&mut random)), str::to_owned),
            directory_id: random_id(&mut random),
        };
        self.write("bootstrap.checkpoint", &control::bootstrap_checkpoint(now_ms))?;
        if !node.is_static_quorum {
            self.disk.create_dir_all(&self.path.join(METADATA_FOLDER)).map_err(self.io_error(METADATA_FOLDER))?;
            let name = format!("{METADATA_FOLDER}/00000000000000000000-0000000000.checkpoint");
            self.write(&name, &control::voters_checkpoint(now_ms, node, &identity))?;
        }
        self.write(META_PROPERTIES, &meta_properties(&identity))?;
        Ok(identity)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        replace_file(&self.disk, &self.path.join(name), bytes).map_err(self.io_error(name))
    }
}

/// Creates a directory with its missing parents so that a power cut does not take it away again. The entry of the
/// directory itself is synced always: a process that was killed may have created it without syncing.
fn create_durably(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !is_there(disk, ancestor)).collect();
    disk.create_dir_all(path)?;
    for created in missing.iter().skip(1).rev() {
        disk.sync_dir(parent_of(created))?;
    }
    match disk.sync_dir(parent_of(path)) {
        // It may be another's, with passage only; then it was not created here.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && missing.is_empty() => Ok(()),
        result => result,
    }
}

fn is_there(disk: &Rc<dyn Disk>, path: &Path) -> bool {
    path.as_os_str().is_empty() || disk.exists(path)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn meta_properties(identity: &Identity) -> Vec<u8> {
    let Identity { node_id, cluster_id, directory_id } = identity;
    let directory_id = id_to_text(*directory_id);
    format!("#\nnode.id={node_id}\ndirectory.id={directory_id}\nversion=1\ncluster.id={cluster_id}\n").into_bytes()
}

fn parse_meta_properties(bytes: &[u8]) -> Result<Identity, &'static str> {
    let properties = java_properties::read(bytes).map_err(|_| "not a properties file")?;
    let value = |key: &str| properties.get(key).map(|value| value.trim());
    if value("version") != Some("1") {
        return Err("version is not 1");
    }
    let node_id = value("node.id").and_then(|id| id.parse().ok()).ok_or("no node.id")?;
    let cluster_id = value("cluster.id").filter(|id| !id.is_empty()).ok_or("no cluster.id")?.to_owned();
    let directory_id = value("directory.id").and_then(id_from_text).ok_or("no directory.id")?;
    if [Uuid::nil(), METADATA_TOPIC_ID].contains(&directory_id) {
        return Err("directory.id is a reserved one");
    }
    Ok(Identity { node_id, cluster_id, directory_id })
}

#[cfg(test)]
mod tests {
    use ringlog_core::reactor::FsDisk;

    use super::super::controller::tests::{identity, node, random};
    use super::*;

    fn disk() -> Rc<dyn Disk> {
        Rc::new(FsDisk)
    }

    #[test]
    fn format_then_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::lock(&disk(), &folder.path().join("new/data")).unwrap();
        assert!(directory.is_empty().unwrap());
        assert!(matches!(directory.identity(1), Err(DirectoryError::NotFormatted(_))));
        let identity = directory.format(&node(), Some("abc"), 7, random(1)).unwrap();
        assert_eq!(directory.identity(1).unwrap(), identity);
        assert_eq!(identity.cluster_id, "abc");
        assert!(matches!(directory.identity(2), Err(DirectoryError::OtherNode { stored: 1, configured: 2 })));
        assert!(matches!(directory.format(&node(), None, 7, random(1)), Err(DirectoryError::AlreadyFormatted(_))));
        std::fs::remove_file(directory.path().join(META_PROPERTIES)).unwrap();
        assert!(directory.is_empty().unwrap(), "an interrupted format starts again");
        std::fs::write(directory.path().join("t-0"), b"").unwrap();
        assert!(matches!(directory.identity(1), Err(DirectoryError::ForeignFiles(_))));
        assert!(matches!(directory.format(&node(), None, 7, random(1)), Err(DirectoryError::ForeignFiles(_))));
    }

    #[test]
    fn properties_of_kafka_and_damaged_ones() {
        let text = "#\n#Tue Nov 24 06:31:59 UTC 2026\nnode.id=1\ndirectory.id=oaLnqIb5RCGrRchxVC216Q\nversion=1\n\
                    cluster.id=YuKTBJ3TSLit9780HtVQDA\n";
        assert_eq!(parse_meta_properties(text.as_bytes()), Ok(identity()));
        assert_eq!(parse_meta_properties(&meta_properties(&identity())), Ok(identity()));
        for gone in ["node.id=1\n", "directory.id=oaLnqIb5RCGrRchxVC216Q\n", "version=1\n", "cluster.id="] {
            assert!(parse_meta_properties(text.replace(gone, "x").as_bytes()).is_err(), "{gone}");
        }
    }
}
