//! ZkMigrationStateRecord (type 21, left over from ZooKeeper times) and ClearElrRecord (type 28).

use ringlog_derive::Message;

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ZkMigrationStateRecord {
    #[field(versions = 0..)] pub zk_migration_state: i8,
}

/// Forgets the eligible leader replicas of a topic, or of all with an empty name.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ClearElrRecord<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
}
