//! ApiVersions (API key 18), versions 0..=4.
//!
//! The response header is version 0 in every version. v3 flexible, software name (KIP-511), features (KIP-584)   v4 features with minimum 0

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 3..)]
pub struct ApiVersionsRequest<'a> {
    #[field(versions = 3..)] pub client_software_name: &'a str,
    #[field(versions = 3..)] pub client_software_version: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 3..)]
pub struct ApiVersionsResponse<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub api_keys: Array<'a, ApiVersion>,
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 3.., tag = 0)] pub supported_features: Array<'a, SupportedFeatureKey<'a>>,
    #[field(versions = 3.., tag = 1, default = -1)] pub finalized_features_epoch: i64,
    #[field(versions = 3.., tag = 2)] pub finalized_features: Array<'a, FinalizedFeatureKey<'a>>,
    #[field(versions = 3.., tag = 3)] pub zk_migration_ready: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct ApiVersion {
    #[field(versions = 0..)] pub api_key: i16,
    #[field(versions = 0..)] pub min_version: i16,
    #[field(versions = 0..)] pub max_version: i16,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct SupportedFeatureKey<'a> {
    #[field(versions = 3..)] pub name: &'a str,
    #[field(versions = 3..)] pub min_version: i16,
    #[field(versions = 3..)] pub max_version: i16,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct FinalizedFeatureKey<'a> {
    #[field(versions = 3..)] pub name: &'a str,
    #[field(versions = 3..)] pub max_version_level: i16,
    #[field(versions = 3..)] pub min_version_level: i16,
}
