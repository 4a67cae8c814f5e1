//! DescribeUserScramCredentials (api key 50), version 0. There are none: this broker authenticates nobody, and takes over
//! no directory that holds credentials. Without the answer, kafka-configs cannot describe the quotas of users.
//!
//! Errors: RESOURCE_NOT_FOUND for each user that is named, DUPLICATE_RESOURCE for one that is named twice.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use ringlog_core::wire::Array;

use super::{Context, Request};

/// Answers at once.
pub fn handle(_: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeUserScramCredentialsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut named: Vec<&str> = body.users.iter().flatten().map(|user| user.name).collect();
    named.sort_unstable();
    let refused: Vec<(&str, ErrorCode, String)> = named.chunk_by(|user, next| user == next).map(refuse).collect();
    let results = refused.iter().map(|(user, error_code, text)| DescribeUserScramCredentialsResult {
        user,
        error_code: *error_code,
        error_message: Some(text),
        credential_infos: Array::default(),
    });
    request.answer(&DescribeUserScramCredentialsResponse { results: results.collect(), ..Default::default() }, []);
}

/// One user, as often as it was named.
fn refuse<'a>(named: &[&'a str]) -> (&'a str, ErrorCode, String) {
    let user = named[0];
    match named.len() {
        1 => {
            let text = format!("Attempt to describe a user credential that does not exist: {user}");
            (user, ErrorCode::RESOURCE_NOT_FOUND, text)
        }
        _ => {
            let text = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
            (user, ErrorCode::DUPLICATE_RESOURCE, text)
        }
    }
}
