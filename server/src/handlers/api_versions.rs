//! ApiVersions (api key 18), versions 0..=4. What this broker can do.
//!
//! v3 flexible, client software name (its response header stays version 0)   v4 features from level 0
//! Errors: UNSUPPORTED_VERSION (answered in version 0), INVALID_REQUEST for a malformed software name.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Context, GROUP_VERSION, Request, TABLE};
use crate::metadata::METADATA_VERSION;

/// Features that are there, with their lowest and highest level; what clients would rely on and is not there, is not
/// named. Clients before version 4 of this API cannot read of a feature that begins at level 0.
const FEATURES: [(&str, i16, i16); 3] =
    [("eligible.leader.replicas.version", 0, 1), (GROUP_VERSION, 0, 1), ("metadata.version", 7, METADATA_VERSION)];
const LEVEL_0_VERSION: i16 = 4;

/// Answers from the table.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ApiVersionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let named = request.api_version < 3
        || is_software_name(body.client_software_name) && is_software_name(body.client_software_version);
    let response = match named {
        true => with_features(context, request.api_version),
        false => ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() },
    };
    request.answer(&response, []);
}

fn with_features(context: &Context, api_version: i16) -> ApiVersionsResponse<'static> {
    let image = context.metadata.image();
    let supported = FEATURES
        .iter()
        .filter(|(_, min_version, _)| api_version >= LEVEL_0_VERSION || *min_version > 0)
        .map(|&(name, min_version, max_version)| SupportedFeatureKey { name, min_version, max_version });
    let finalized = FEATURES.iter().filter(|(name, ..)| image.feature(name) > 0).map(|(name, _, max_version)| {
        let level = image.feature(name).min(*max_version);
        FinalizedFeatureKey { name, max_version_level: level, min_version_level: level }
    });
    ApiVersionsResponse {
        api_keys: api_keys().collect(),
        supported_features: supported.collect(),
        finalized_features: finalized.collect(),
        finalized_features_epoch: image.end_offset() - 1,
        ..Default::default()
    }
}

/// A version that is not known here: the client reads from the answer which one to try.
pub fn refuse_version(_: &Rc<Context>, request: Request) {
    let api_keys = api_keys().filter(|api| api.api_key == request.api_key as i16).collect();
    let error_code = ErrorCode::UNSUPPORTED_VERSION;
    request.answer_in(0, &ApiVersionsResponse { error_code, api_keys, ..Default::default() }, []);
}

fn api_keys() -> impl Iterator<Item = ApiVersion> {
    TABLE.iter().map(|row| ApiVersion {
        api_key: row.key as i16,
        min_version: row.advertised_min,
        max_version: *row.versions.end(),
    })
}

/// Kafka's rule: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names_follow_kafkas_rule() {
        for good in ["a", "apache-kafka-java", "4.3.1", "A0"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
