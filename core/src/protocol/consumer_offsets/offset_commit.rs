//! OffsetCommitKey (types 0 and 1) and OffsetCommitValue, versions 0..=4.
//!
//! v1 expire_timestamp   v2 without it   v3 leader_epoch (KIP-320)   v4 flexible, topic_id

use ringlog_derive::Message;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct OffsetCommitKey<'a> {
    #[field(versions = 0..)] pub group: &'a str,
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partition: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 4..)]
pub struct OffsetCommitValue<'a> {
    #[field(versions = 0..)] pub offset: i64,
    #[field(versions = 3.., default = -1)] pub leader_epoch: i32,
    #[field(versions = 0..)] pub metadata: &'a str,
    #[field(versions = 0..)] pub commit_timestamp: i64,
    #[field(versions = 1, default = -1)] pub expire_timestamp: i64,
    #[field(versions = 4.., tag = 0)] pub topic_id: Uuid,
}
