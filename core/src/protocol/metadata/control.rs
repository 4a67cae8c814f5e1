//! The control records of KRaft: LeaderChangeMessage, SnapshotHeaderRecord, SnapshotFooterRecord, KRaftVersionRecord, VotersRecord.
//!
//! They have no frame: their type is in the key of the control record, their version in the first field.

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

/// Written by each new leader. v1 voter_directory_id (KIP-853).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct LeaderChangeMessage<'a> {
    #[field(versions = 0..)] pub version: i16,
    #[field(versions = 0..)] pub leader_id: i32,
    #[field(versions = 0..)] pub voters: Array<'a, LeaderChangeVoter>,
    #[field(versions = 0..)] pub granting_voters: Array<'a, LeaderChangeVoter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct LeaderChangeVoter {
    #[field(versions = 0..)] pub voter_id: i32,
    #[field(versions = 1..)] pub voter_directory_id: Uuid,
}

/// The first record of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct SnapshotHeaderRecord {
    #[field(versions = 0..)] pub version: i16,
    #[field(versions = 0..)] pub last_contained_log_timestamp: i64,
}

/// The last record of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct SnapshotFooterRecord {
    #[field(versions = 0..)] pub version: i16,
}

/// The finalized `kraft.version`.
#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct KRaftVersionRecord {
    #[field(versions = 0..)] pub version: i16,
    #[field(versions = 0..)] pub kraft_version: i16,
}

/// The voters of the quorum.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct VotersRecord<'a> {
    #[field(versions = 0..)] pub version: i16,
    #[field(versions = 0..)] pub voters: Array<'a, Voter<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Voter<'a> {
    #[field(versions = 0..)] pub voter_id: i32,
    #[field(versions = 0..)] pub voter_directory_id: Uuid,
    #[field(versions = 0..)] pub endpoints: Array<'a, VoterEndpoint<'a>>,
    #[field(versions = 0..)] pub kraft_version_feature: KRaftVersionFeature,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct VoterEndpoint<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct KRaftVersionFeature {
    #[field(versions = 0..)] pub min_supported_version: i16,
    #[field(versions = 0..)] pub max_supported_version: i16,
}
