//! Kafka's requests, responses, metadata records and the records of its coordinators, both directions.
//!
//! [`messages`] holds one file per API, [`metadata`] and [`consumer_offsets`] one per kind of record. Nothing here knows what an API does.

mod api_key;
pub mod consumer_offsets;
mod error_code;
mod header;
pub mod messages;
pub mod metadata;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader, encode_request, encode_response};
