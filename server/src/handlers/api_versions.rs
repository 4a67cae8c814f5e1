//! ApiVersions (api key 18), versions 0..=4. What this broker can do.
//!
//! v3 flexible, client software name (its response header stays version 0)   v4 features from level 0
//! Errors: UNSUPPORTED_VERSION (answered in version 0), INVALID_REQUEST for a malformed software name.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

use super::{Context, Request, TABLE};

/// Answers from the table.
pub fn handle(_: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ApiVersionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let named = request.api_version < 3
        || is_software_name(body.client_software_name) && is_software_name(body.client_software_version);
    let response = match named {
        true => ApiVersionsResponse { api_keys: api_keys().collect(), ..Default::default() },
        false => ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() },
    };
    request.answer(&response, []);
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
