//! DescribeUserScramCredentials (API key 50), version 0 (KIP-554).

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeUserScramCredentialsRequest<'a> {
    #[field(versions = 0..)] pub users: Option<Array<'a, UserName<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct UserName<'a> {
    #[field(versions = 0..)] pub name: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeUserScramCredentialsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub results: Array<'a, DescribeUserScramCredentialsResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeUserScramCredentialsResult<'a> {
    #[field(versions = 0..)] pub user: &'a str,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub credential_infos: Array<'a, ScramCredentialInfo>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ScramCredentialInfo {
    #[field(versions = 0..)] pub mechanism: i8,
    #[field(versions = 0..)] pub iterations: i32,
}
