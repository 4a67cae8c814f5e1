//! Whether this node can take a data directory over as Apache Kafka, or Ringlog, left it. Looked at after reading and
//! before anything is written, so that a refused directory is as it was.
//!
//! What Kafka does with such a directory: `docs/swap.md`.

use std::collections::BTreeSet;

use ringlog_core::log::{CLEAN_SHUTDOWN_FILE, COMMIT_LOG_FOLDER, MissingLog, missing_logs};
use uuid::Uuid;

use super::directory::DataDirectory;
use super::image::{MetadataImage, Unenforced};
use super::log::FoundLog;
use super::node::{Identity, supported_features};
use super::open_transactions::{TRANSACTION_STATE_TOPIC, open_transactions};
use crate::config::what_is_not_there_at_runtime;

/// The lowest `metadata.version` that is taken over: 3.7-IV0.
const METADATA_VERSION_MIN: i16 = 15;
const METADATA_VERSION: &str = "metadata.version";
/// Directory ids below this are Kafka's reserved ones: not known, lost, being moved.
const RESERVED_DIRECTORIES: u128 = 100;
/// Of more partitions without their folder the number is told.
const NAMED_MAX: usize = 10;

/// What to do about transactions that Kafka had not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenTransactions {
    /// Refuse the directory.
    Refuse,
    /// They stay open.
    Accept,
}

/// Why a directory is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TakeoverError {
    /// Kafka was killed: which of its segments are whole is for Kafka to find out.
    #[error("Apache Kafka did not stop cleanly here (no {CLEAN_SHUTDOWN_FILE})")]
    UncleanStop,
    /// The last stop was clean, and left nothing torn: there is damage in the metadata log.
    #[error("the metadata log is damaged: the last stop was clean, and {0} bytes lie behind the last whole batch")]
    DamagedMetadata(u64),
    /// Folders of partitions are gone, of which the checkpoints of the last stop say that they held records.
    #[error(
        "the folder{} gone: {}{}",
        if .0.len() == 1 { " of a partition is" } else { "s of partitions are" },
        .0[..].iter().take(NAMED_MAX).map(shown_missing).collect::<Vec<_>>().join(", "),
        if .0.len() > NAMED_MAX { format!(" and {} more", .0.len() - NAMED_MAX) } else { String::new() }
    )]
    MissingLogs(Vec<MissingLog>),
    /// Where logs end is not known.
    #[error("where the logs end cannot be read: {0}")]
    Checkpoints(String),
    /// Other controllers vote.
    #[error("the controller quorum has other voters than this node: {0:?}")]
    Voters(Vec<i32>),
    /// Other brokers are registered.
    #[error("other brokers are registered in this cluster: {0:?}")]
    Brokers(Vec<i32>),
    /// A partition has replicas elsewhere.
    #[error("partition {topic}-{partition_index} has the replicas {replicas:?}")]
    Replicas {
        /// Name of the topic.
        topic: String,
        /// The partition.
        partition_index: i32,
        /// Node ids.
        replicas: Vec<i32>,
    },
    /// A partition lies in another of several log.dirs.
    #[error("partition {topic}-{partition_index} lies in log directory {directory_id}, which is not this one")]
    OtherDirectory {
        /// Name of the topic.
        topic: String,
        /// The partition.
        partition_index: i32,
        /// Where it is.
        directory_id: Uuid,
    },
    /// A finalized feature is at a level that this version does not know, or knows no more.
    #[error("feature {name} is at level {level}; this version takes over {min} to {max}")]
    Feature {
        /// Name of the feature.
        name: String,
        /// Its finalized level.
        level: i16,
        /// Lowest that is taken over.
        min: i16,
        /// Highest.
        max: i16,
    },
    /// Records that promise what this version does not do.
    #[error("the cluster has {0}, which this version does not enforce")]
    Unenforced(Unenforced),
    /// A broker's key, set while Kafka ran, that promises what this version does not do.
    #[error("the dynamic config {key} asks for what is not there: {reason}")]
    BrokerConfig {
        /// The key. Its value may be a secret.
        key: String,
        /// What is not there.
        reason: &'static str,
    },
    /// Kafka stopped before transactions had ended; nobody would end them here.
    #[error(
        "transactions have not ended: {}",
        .0.iter().map(|(id, state)| format!("{id} ({state})")).collect::<Vec<_>>().join(", ")
    )]
    OpenTransactions(Vec<(String, &'static str)>),
    /// Which transactions have ended is not known.
    #[error("the state of transactions cannot be read: {0}")]
    TransactionState(String),
    /// A topic with segments in remote storage.
    #[error("topic {0} has tiered storage (remote.storage.enable=true)")]
    TieredStorage(String),
}

/// How the broker that ran last in a directory left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastStop {
    /// It stopped cleanly.
    Clean,
    /// There is no partition, so there was nothing to stop.
    NothingYet,
    /// It was Ringlog, and was killed: its next start recovers.
    RinglogKilled,
}

impl LastStop {
    fn of(directory: &DataDirectory, found: &FoundLog) -> Result<Self, TakeoverError> {
        let is_there = |name: &str| directory.disk().exists(&directory.path().join(name));
        // Ringlog's clean stop takes its folder away, and a start brings it before it writes to the metadata.
        match is_there(COMMIT_LOG_FOLDER) {
            true => Ok(Self::RinglogKilled),
            false if is_there(CLEAN_SHUTDOWN_FILE) => match found.torn_bytes() {
                0 => Ok(Self::Clean),
                torn_bytes => Err(TakeoverError::DamagedMetadata(torn_bytes)),
            },
            false if found.image().partitions_count() == 0 && found.torn_bytes() == 0 => Ok(Self::NothingYet),
            false => Err(TakeoverError::UncleanStop),
        }
    }
}

impl TakeoverError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::UncleanStop => "start Kafka on this directory once more, stop it with SIGTERM, then start Ringlog",
            Self::DamagedMetadata(_) => {
                "bring __cluster_metadata-0 back from a copy: Kafka, too, would cut these bytes off, and lose the topics \
                 whose records they are"
            }
            Self::MissingLogs(_) => {
                "bring the folders back from a copy; to have such a partition begin anew, empty, as Kafka would without a \
                 word, set its offset to 0 in each *-offset-checkpoint file that names it"
            }
            Self::Checkpoints(_) => "bring the file back from a copy",
            Self::Voters(_) | Self::Brokers(_) | Self::Replicas { .. } => {
                "Ringlog takes over a cluster of one node: leave this one to Kafka, or remove its other nodes under Kafka first"
            }
            Self::OtherDirectory { .. } => {
                "Ringlog takes over one log directory: move all replicas into it with kafka-reassign-partitions first"
            }
            Self::Feature { .. } => "bring it there under Kafka first, with kafka-features",
            Self::Unenforced(_) => "remove them with Kafka's tools first",
            Self::BrokerConfig { .. } => "delete it with kafka-configs under Kafka first",
            Self::OpenTransactions(_) => {
                "end them under Kafka (or wait for their timeout there), or start with --accept-open-transactions: readers \
                 of committed data then stop in front of them"
            }
            Self::TransactionState(_) => {
                "start Kafka on this directory and see what it says; or start with --accept-open-transactions, which does \
                 not look at them"
            }
            Self::TieredStorage(_) => {
                "its segments are not on this disk: leave this directory to Kafka, or delete the topic"
            }
        }
    }
}

/// Refuses what cannot be served truthfully. How the directory was left, where that is fine.
pub fn check(
    directory: &DataDirectory,
    found: &FoundLog,
    identity: &Identity,
    transactions: OpenTransactions,
) -> Result<LastStop, TakeoverError> {
    let (image, node_id) = (found.image(), identity.node_id);
    let last_stop = LastStop::of(directory, found)?;
    check_features(image)?;
    let others = |ids: &mut dyn Iterator<Item = i32>| -> Vec<i32> {
        ids.filter(|id| *id != node_id).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let voters = others(&mut found.voters().iter().copied());
    if !voters.is_empty() {
        return Err(TakeoverError::Voters(voters));
    }
    let brokers = others(&mut image.broker_ids());
    if !brokers.is_empty() {
        return Err(TakeoverError::Brokers(brokers));
    }
    if !image.unenforced().is_empty() {
        return Err(TakeoverError::Unenforced(image.unenforced().clone()));
    }
    check_broker_configs(image)?;
    check_partitions(image, identity)?;
    if last_stop == LastStop::Clean {
        check_folders(directory, image)?;
    }
    // Ringlog opens none, so after a crash of its own there is nothing new to be seen.
    if transactions == OpenTransactions::Refuse && last_stop != LastStop::RinglogKilled {
        check_transactions(directory, image)?;
    }
    Ok(last_stop)
}

fn check_folders(directory: &DataDirectory, image: &MetadataImage) -> Result<(), TakeoverError> {
    let mut missing = missing_logs(directory.disk(), directory.path())
        .map_err(|error| TakeoverError::Checkpoints(error.to_string()))?;
    missing.retain(|log| {
        let partitions = image.topic_by_name(&log.topic_name).map_or(0, |topic| topic.partitions.len());
        usize::try_from(log.partition_index).is_ok_and(|index| index < partitions)
    });
    if missing.is_empty() { Ok(()) } else { Err(TakeoverError::MissingLogs(missing)) }
}

fn shown_missing(log: &MissingLog) -> String {
    format!("{}-{}, which ended at offset {}", log.topic_name, log.partition_index, log.log_end_offset)
}

fn check_transactions(directory: &DataDirectory, image: &MetadataImage) -> Result<(), TakeoverError> {
    let Some(topic) = image.topic_by_name(TRANSACTION_STATE_TOPIC) else { return Ok(()) };
    let open = open_transactions(directory.disk(), directory.path(), topic.partitions.len())
        .map_err(|error| TakeoverError::TransactionState(error.to_string()))?;
    if open.is_empty() { Ok(()) } else { Err(TakeoverError::OpenTransactions(open)) }
}

fn check_features(image: &MetadataImage) -> Result<(), TakeoverError> {
    for (name, level) in image.features() {
        let supported = supported_features().into_iter().find(|feature| feature.name == name);
        let (min, max) = match supported {
            Some(feature) if name == METADATA_VERSION => (METADATA_VERSION_MIN, feature.max_supported_version),
            Some(feature) => (feature.min_supported_version, feature.max_supported_version),
            None => (0, 0),
        };
        if level < min || level > max {
            return Err(TakeoverError::Feature { name: name.to_owned(), level, min, max });
        }
    }
    Ok(())
}

fn check_broker_configs(image: &MetadataImage) -> Result<(), TakeoverError> {
    for (key, value) in image.configured_brokers().filter_map(|name| image.broker_configs(name)).flatten() {
        if let Some(reason) = what_is_not_there_at_runtime(key, value) {
            return Err(TakeoverError::BrokerConfig { key: key.clone(), reason });
        }
    }
    Ok(())
}

fn check_partitions(image: &MetadataImage, identity: &Identity) -> Result<(), TakeoverError> {
    for topic in image.topics() {
        // Kafka keeps it as it was given.
        if topic.configs.get("remote.storage.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return Err(TakeoverError::TieredStorage(topic.name.to_string()));
        }
        for (partition_index, partition) in (0..).zip(&topic.partitions) {
            let topic = || topic.name.to_string();
            if partition.placement.replicas[..] != [identity.node_id] {
                let replicas = partition.placement.replicas.to_vec();
                return Err(TakeoverError::Replicas { topic: topic(), partition_index, replicas });
            }
            let is_other = |id: &&Uuid| **id != identity.directory_id && id.as_u128() >= RESERVED_DIRECTORIES;
            if let Some(directory_id) = partition.placement.directories.iter().find(is_other).copied() {
                return Err(TakeoverError::OtherDirectory { topic: topic(), partition_index, directory_id });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use ringlog_core::log::{encode_clean_shutdown, mark_in_use};
    use ringlog_core::protocol::metadata::{
        ConfigRecord, FeatureLevelRecord, MetadataRecord, PartitionRecord, RegisterBrokerRecord,
        RemoveAccessControlEntryRecord, TopicRecord,
    };
    use ringlog_core::reactor::{Disk, FsDisk};

    use super::super::controller::tests::{identity, node};
    use super::super::directory::METADATA_FOLDER;
    use super::super::image::tests::{acl, scram};
    use super::super::log::MetadataLog;
    use super::super::records::{Records, resource_type};
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    /// A directory with a metadata folder, without a log in it.
    fn directory_at(path: &Path) -> DataDirectory {
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        let directory = DataDirectory::lock(&disk, path).unwrap();
        std::fs::create_dir(path.join(METADATA_FOLDER)).unwrap();
        directory
    }

    fn write_metadata(directory: &DataDirectory, bytes: &[u8]) {
        let path = directory.path().join(METADATA_FOLDER).join("00000000000000000000.log");
        std::fs::write(path, bytes).unwrap();
    }

    fn mark_clean(directory: &DataDirectory) {
        std::fs::write(directory.path().join(CLEAN_SHUTDOWN_FILE), encode_clean_shutdown(13)).unwrap();
    }

    fn check_now(directory: &DataDirectory) -> Result<LastStop, TakeoverError> {
        let found = MetadataLog::find(directory.disk(), directory.path()).unwrap();
        check(directory, &found, &identity(), OpenTransactions::Refuse)
    }

    /// A directory of Kafka after a clean stop, whose metadata log goes on with `records`.
    fn check_with<'a>(records: impl IntoIterator<Item = MetadataRecord<'a>>) -> Result<(), TakeoverError> {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory_at(folder.path());
        write_metadata(&directory, GOLDEN);
        mark_clean(&directory);
        let mut log = MetadataLog::find(directory.disk(), directory.path()).unwrap().open().unwrap().log;
        let mut more = Records::default();
        records.into_iter().for_each(|record| more.push(record));
        if !more.is_empty() {
            log.append([&more], 5).unwrap();
        }
        check_now(&directory).map(|last_stop| assert_eq!(last_stop, LastStop::Clean))
    }

    fn partition(replicas: Vec<i32>, directory_id: Uuid) -> [MetadataRecord<'static>; 2] {
        let topic_id = Uuid::from_u128(1 << 100);
        let partition = PartitionRecord {
            topic_id,
            partition_id: 0,
            isr: replicas.clone().into(),
            directories: vec![directory_id; replicas.len()].into(),
            replicas: replicas.into(),
            leader: 1,
            ..PartitionRecord::default()
        };
        [TopicRecord { name: "another", topic_id }.into(), partition.into()]
    }

    #[test]
    fn what_kafka_left_cleanly_is_taken_over() {
        assert_eq!(check_with([]), Ok(()));
        assert_eq!(check_with(partition(vec![1], Uuid::nil())), Ok(()));
    }

    #[test]
    fn a_killed_kafka_is_refused_and_a_killed_ringlog_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory_at(folder.path());
        assert_eq!(check_now(&directory), Ok(LastStop::NothingYet), "formatted and never started");
        write_metadata(&directory, &[0; 100]);
        assert_eq!(check_now(&directory), Err(TakeoverError::UncleanStop), "torn at its first start");
        write_metadata(&directory, GOLDEN);
        assert_eq!(check_now(&directory), Err(TakeoverError::UncleanStop));
        mark_in_use(directory.disk(), directory.path()).unwrap();
        assert_eq!(check_now(&directory), Ok(LastStop::RinglogKilled));
    }

    #[test]
    fn bytes_behind_the_metadata_are_damage_where_the_last_stop_was_clean_and_no_start_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory_at(folder.path());
        mark_clean(&directory);
        let check_with = |bytes: &[u8]| {
            write_metadata(&directory, bytes);
            check_now(&directory)
        };
        let mut flipped = GOLDEN.to_vec();
        flipped[GOLDEN.len() / 2] ^= 1;
        let Err(TakeoverError::DamagedMetadata(torn_bytes)) = check_with(&flipped) else { panic!("is taken over") };
        assert!(torn_bytes >= (GOLDEN.len() / 2) as u64);
        assert_eq!(check_with(GOLDEN), Ok(LastStop::Clean));
        mark_in_use(directory.disk(), directory.path()).unwrap();
        assert_eq!(check_with(&flipped), Ok(LastStop::RinglogKilled));
    }

    #[test]
    fn a_partition_that_held_records_and_has_no_folder_refuses_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory_at(folder.path());
        write_metadata(&directory, GOLDEN);
        mark_clean(&directory);
        let check_with = |checkpoint: &str| {
            std::fs::write(folder.path().join("recovery-point-offset-checkpoint"), checkpoint).unwrap();
            check_now(&directory)
        };
        assert_eq!(check_with("0\n2\n__consumer_offsets 0 0\ndeleted 0 9\n"), Ok(LastStop::Clean));
        let gone = "0\n2\n__consumer_offsets 0 4\n__consumer_offsets 99 9\n";
        let Err(refused) = check_with(gone) else { panic!("is taken over") };
        assert_eq!(
            refused.to_string(),
            "the folder of a partition is gone: __consumer_offsets-0, which ended at offset 4"
        );
        assert!(matches!(check_with("9\n"), Err(TakeoverError::Checkpoints(_))));
        std::fs::create_dir(folder.path().join("__consumer_offsets-0")).unwrap();
        assert_eq!(check_with(gone), Ok(LastStop::Clean));
        std::fs::remove_dir(folder.path().join("__consumer_offsets-0")).unwrap();
        mark_in_use(directory.disk(), directory.path()).unwrap();
        assert_eq!(check_with(gone), Ok(LastStop::RinglogKilled), "the recovery looks at what was noted since");
    }

    #[test]
    fn what_is_of_several_nodes_is_refused() {
        let two = check_with(partition(vec![1, 2], identity().directory_id));
        assert!(matches!(two, Err(TakeoverError::Replicas { replicas, .. }) if replicas == [1, 2]));
        let elsewhere = Uuid::from_u128(7 << 90);
        let other = check_with(partition(vec![1], elsewhere));
        assert!(matches!(other, Err(TakeoverError::OtherDirectory { directory_id, .. }) if directory_id == elsewhere));
        let broker = RegisterBrokerRecord { broker_id: 2, ..RegisterBrokerRecord::default() };
        assert_eq!(check_with([broker.into()]), Err(TakeoverError::Brokers(vec![2])));
    }

    #[test]
    fn other_voters_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        let directory = DataDirectory::lock(&disk, folder.path()).unwrap();
        let mut other = node();
        other.node_id = 3;
        directory.format(&other, None, 5, || 9).unwrap();
        let found = MetadataLog::find(&disk, folder.path()).unwrap();
        let refused = check(&directory, &found, &identity(), OpenTransactions::Refuse);
        assert_eq!(refused, Err(TakeoverError::Voters(vec![3])));
    }

    #[test]
    fn what_is_not_enforced_is_refused_until_it_is_gone() {
        let acl = acl();
        let Err(refused) = check_with([acl.clone().into(), scram().into()]) else { panic!("is taken over") };
        assert!(refused.to_string().contains("1 ACLs, 1 SCRAM credentials"), "{refused}");
        let removed = RemoveAccessControlEntryRecord { id: acl.id };
        assert_eq!(check_with([acl.into(), removed.into()]), Ok(()));
    }

    #[test]
    fn configs_of_brokers_that_promise_what_is_not_there_are_refused() {
        let set = |name: &'static str, value: &'static str| -> MetadataRecord<'static> {
            let resource_type = resource_type::BROKER;
            ConfigRecord { resource_type, resource_name: "1", name, value: Some(value) }.into()
        };
        for (key, value) in [("log.retention.ms", "5"), ("max.connection.creation.rate", "9")] {
            assert_eq!(check_with([set(key, value)]), Ok(()), "{key}");
        }
        for (key, value) in [
            ("listener.name.a.max.connection.creation.rate", "9"),
            ("max.connections.per.ip.overrides", "localhost:9"),
            ("listener.name.a.ssl.keystore.location", "/k"),
        ] {
            let refused = check_with([set(key, value)]);
            assert!(matches!(&refused, Err(TakeoverError::BrokerConfig { key: k, .. }) if k == key), "{refused:?}");
        }
    }

    #[test]
    fn unknown_levels_and_tiered_storage_are_refused() {
        let level = |name, feature_level| check_with([FeatureLevelRecord { name, feature_level }.into()]);
        assert!(matches!(level(METADATA_VERSION, 31), Err(TakeoverError::Feature { level: 31, max: 30, .. })));
        assert!(matches!(level(METADATA_VERSION, 14), Err(TakeoverError::Feature { level: 14, min: 15, .. })));
        assert!(matches!(level("new.feature", 1), Err(TakeoverError::Feature { level: 1, .. })));
        assert_eq!(level(METADATA_VERSION, 15), Ok(()));
        let tiered = ConfigRecord {
            resource_type: resource_type::TOPIC,
            resource_name: "__consumer_offsets",
            name: "remote.storage.enable",
            value: Some(" True"),
        };
        assert_eq!(check_with([tiered.into()]), Err(TakeoverError::TieredStorage("__consumer_offsets".to_owned())));
    }
}
