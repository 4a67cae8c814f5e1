//! What to send, and what its answer has to look like.

mod fetch;
mod produce;

pub use fetch::{Fetch, FetchSpec};
pub use produce::{Produce, ProduceSpec, Requests};

use crate::client::Outgoing;
use crate::findings::Findings;

/// The requests of one connection. It never waits and never reads a clock.
pub trait Workload {
    /// What a request leaves behind for the check of its answer.
    type Ticket: Copy;

    /// Appends the next request.
    fn request(&mut self, correlation_id: i32, out: &mut Outgoing) -> Self::Ticket;
    /// Checks an answer (a frame without its length); returns the bytes of record batches that it stands for.
    fn answer(&mut self, ticket: Self::Ticket, frame: &[u8], findings: &mut Findings) -> u64;
    /// Whether requests are answered at all.
    fn has_answers(&self) -> bool {
        true
    }
    /// Bytes of record batches in a request that is never answered.
    fn request_size_bytes(&self, _ticket: Self::Ticket) -> u64 {
        0
    }
}
