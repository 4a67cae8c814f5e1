//! DescribeClientQuotas (API key 48), versions 0..=1.
//!
//! v1 flexible (KIP-546)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct DescribeClientQuotasRequest<'a> {
    #[field(versions = 0..)] pub components: Array<'a, DescribeClientQuotasComponent<'a>>,
    #[field(versions = 0..)] pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClientQuotasComponent<'a> {
    #[field(versions = 0..)] pub entity_type: &'a str,
    #[field(versions = 0..)] pub match_type: i8,
    #[field(versions = 0..)] pub r#match: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct DescribeClientQuotasResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub entries: Option<Array<'a, DescribeClientQuotasEntry<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClientQuotasEntry<'a> {
    #[field(versions = 0..)] pub entity: Array<'a, DescribeClientQuotasEntity<'a>>,
    #[field(versions = 0..)] pub values: Array<'a, DescribeClientQuotasValue<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClientQuotasEntity<'a> {
    #[field(versions = 0..)] pub entity_type: &'a str,
    #[field(versions = 0..)] pub entity_name: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClientQuotasValue<'a> {
    #[field(versions = 0..)] pub key: &'a str,
    #[field(versions = 0..)] pub value: f64,
}
