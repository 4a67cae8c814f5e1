//! GroupMetadataKey (type 2) and GroupMetadataValue, versions 0..=4: a classic group.
//!
//! v1 rebalance_timeout   v2 current_state_timestamp   v3 group_instance_id (KIP-345)   v4 flexible

use ringlog_derive::Message;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct GroupMetadataKey<'a> {
    #[field(versions = 0..)] pub group: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 4..)]
pub struct GroupMetadataValue<'a> {
    #[field(versions = 0..)] pub protocol_type: &'a str,
    #[field(versions = 0..)] pub generation: i32,
    #[field(versions = 0.., default = Some(""))] pub protocol: Option<&'a str>,
    #[field(versions = 0.., default = Some(""))] pub leader: Option<&'a str>,
    #[field(versions = 2.., default = -1)] pub current_state_timestamp: i64,
    #[field(versions = 0..)] pub members: Array<'a, GroupMetadataMember<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct GroupMetadataMember<'a> {
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 3..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub client_id: &'a str,
    #[field(versions = 0..)] pub client_host: &'a str,
    #[field(versions = 1.., default = -1)] pub rebalance_timeout: i32,
    #[field(versions = 0..)] pub session_timeout: i32,
    #[field(versions = 0..)] pub subscription: &'a [u8],
    #[field(versions = 0..)] pub assignment: &'a [u8],
}
