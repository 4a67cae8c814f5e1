//! Kafka's requests, responses and metadata records, both directions.
//!
//! [`messages`] holds one file per API, [`metadata`] one per metadata record. Nothing here knows what an API does.

mod api_key;
mod error_code;
mod header;
pub mod messages;
pub mod metadata;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader, encode_request, encode_response};
