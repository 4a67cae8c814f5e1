//! AccessControlEntryRecord (type 18), UserScramCredentialRecord (11), DelegationTokenRecord (10), ClientQuotaRecord (14), and what removes them.

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct AccessControlEntryRecord<'a> {
    #[field(versions = 0..)] pub id: Uuid,
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub pattern_type: i8,
    #[field(versions = 0..)] pub principal: &'a str,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub operation: i8,
    #[field(versions = 0..)] pub permission_type: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct RemoveAccessControlEntryRecord {
    #[field(versions = 0..)] pub id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct UserScramCredentialRecord<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub mechanism: i8,
    #[field(versions = 0..)] pub salt: &'a [u8],
    #[field(versions = 0..)] pub stored_key: &'a [u8],
    #[field(versions = 0..)] pub server_key: &'a [u8],
    #[field(versions = 0..)] pub iterations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct RemoveUserScramCredentialRecord<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub mechanism: i8,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DelegationTokenRecord<'a> {
    #[field(versions = 0..)] pub owner: &'a str,
    #[field(versions = 0..)] pub requester: &'a str,
    #[field(versions = 0..)] pub renewers: Array<'a, &'a str>,
    #[field(versions = 0..)] pub issue_timestamp: i64,
    #[field(versions = 0..)] pub max_timestamp: i64,
    #[field(versions = 0..)] pub expiration_timestamp: i64,
    #[field(versions = 0..)] pub token_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct RemoveDelegationTokenRecord<'a> {
    #[field(versions = 0..)] pub token_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ClientQuotaRecord<'a> {
    #[field(versions = 0..)] pub entity: Array<'a, QuotaEntity<'a>>,
    #[field(versions = 0..)] pub key: &'a str,
    #[field(versions = 0..)] pub value: f64,
    #[field(versions = 0..)] pub remove: bool,
}

/// A null name is the default of its type.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct QuotaEntity<'a> {
    #[field(versions = 0..)] pub entity_type: &'a str,
    #[field(versions = 0..)] pub entity_name: Option<&'a str>,
}
