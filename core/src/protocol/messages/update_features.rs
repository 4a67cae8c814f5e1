//! UpdateFeatures (API key 57), versions 0..=2.
//!
//! v1 upgrade types and validate_only   v2 no results per feature

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct UpdateFeaturesRequest<'a> {
    #[field(versions = 0.., default = 60_000)] pub timeout_ms: i32,
    #[field(versions = 0..)] pub feature_updates: Array<'a, FeatureUpdateKey<'a>>,
    #[field(versions = 1..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct FeatureUpdateKey<'a> {
    #[field(versions = 0..)] pub feature: &'a str,
    #[field(versions = 0..)] pub max_version_level: i16,
    #[field(versions = 0..=0)] pub allow_downgrade: bool,
    #[field(versions = 1.., default = 1)] pub upgrade_type: i8,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct UpdateFeaturesResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..=1)] pub results: Array<'a, UpdatableFeatureResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct UpdatableFeatureResult<'a> {
    #[field(versions = 0..)] pub feature: &'a str,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
}
