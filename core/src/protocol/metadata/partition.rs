//! PartitionRecord (type 3), versions 0..=2, and PartitionChangeRecord (type 5), versions 0..=2.
//!
//! v1 directories (KIP-858)   v2 eligible leader replicas (KIP-966)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct PartitionRecord<'a> {
    #[field(versions = 0.., default = -1)] pub partition_id: i32,
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub replicas: Array<'a, i32>,
    #[field(versions = 0..)] pub isr: Array<'a, i32>,
    #[field(versions = 0..)] pub removing_replicas: Array<'a, i32>,
    #[field(versions = 0..)] pub adding_replicas: Array<'a, i32>,
    #[field(versions = 0.., default = -1)] pub leader: i32,
    #[field(versions = 0.., tag = 0)] pub leader_recovery_state: i8,
    #[field(versions = 0.., default = -1)] pub leader_epoch: i32,
    #[field(versions = 0.., default = -1)] pub partition_epoch: i32,
    #[field(versions = 1..)] pub directories: Array<'a, Uuid>,
    #[field(versions = 2.., tag = 1)] pub eligible_leader_replicas: Option<Array<'a, i32>>,
    #[field(versions = 2.., tag = 2)] pub last_known_elr: Option<Array<'a, i32>>,
}

/// What is null, or -2 for the leader, did not change. A new leader raises the leader epoch, every change the partition epoch.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct PartitionChangeRecord<'a> {
    #[field(versions = 0.., default = -1)] pub partition_id: i32,
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0.., tag = 0)] pub isr: Option<Array<'a, i32>>,
    #[field(versions = 0.., tag = 1, default = -2)] pub leader: i32,
    #[field(versions = 0.., tag = 2)] pub replicas: Option<Array<'a, i32>>,
    #[field(versions = 0.., tag = 3)] pub removing_replicas: Option<Array<'a, i32>>,
    #[field(versions = 0.., tag = 4)] pub adding_replicas: Option<Array<'a, i32>>,
    #[field(versions = 0.., tag = 5, default = -1)] pub leader_recovery_state: i8,
    #[field(versions = 1.., tag = 8)] pub directories: Option<Array<'a, Uuid>>,
    #[field(versions = 2.., tag = 6)] pub eligible_leader_replicas: Option<Array<'a, i32>>,
    #[field(versions = 2.., tag = 7)] pub last_known_elr: Option<Array<'a, i32>>,
}
