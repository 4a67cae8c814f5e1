//! AlterClientQuotas (API key 49), versions 0..=1.
//!
//! v1 flexible (KIP-546)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct AlterClientQuotasRequest<'a> {
    #[field(versions = 0..)] pub entries: Array<'a, AlterClientQuotasEntry<'a>>,
    #[field(versions = 0..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasEntry<'a> {
    #[field(versions = 0..)] pub entity: Array<'a, AlterClientQuotasEntity<'a>>,
    #[field(versions = 0..)] pub ops: Array<'a, AlterClientQuotasOp<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasEntity<'a> {
    #[field(versions = 0..)] pub entity_type: &'a str,
    #[field(versions = 0..)] pub entity_name: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasOp<'a> {
    #[field(versions = 0..)] pub key: &'a str,
    #[field(versions = 0..)] pub value: f64,
    #[field(versions = 0..)] pub remove: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct AlterClientQuotasResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub entries: Array<'a, AlterClientQuotasEntryResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasEntryResult<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub entity: Array<'a, AlterClientQuotasEntityResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterClientQuotasEntityResult<'a> {
    #[field(versions = 0..)] pub entity_type: &'a str,
    #[field(versions = 0..)] pub entity_name: Option<&'a str>,
}
