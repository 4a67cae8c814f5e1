//! Kafka's requests, responses, metadata records and the records of its coordinators, both directions.
//!
//! [`messages`] holds one file per API, [`consumer_protocol`] what consumers put into those of classic groups, [`metadata`],
//! [`consumer_offsets`] and [`transaction_state`] the records of logs. Nothing here knows what an API does.

mod api_key;
pub mod consumer_offsets;
pub mod consumer_protocol;
mod error_code;
mod header;
pub mod messages;
pub mod metadata;
pub mod transaction_state;

pub use api_key::ApiKey;
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader, encode_request, encode_response};
