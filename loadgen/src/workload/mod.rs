//! What to send, and what its answer has to look like.

mod e2e;
mod fetch;
mod fetch_one;
mod produce;

pub use e2e::{Mark, Tail};
pub use fetch::{Fetch, FetchSpec};
pub use produce::{Produce, ProduceSpec, Requests};

use std::time::Duration;

use crate::client::Outgoing;
use crate::findings::Findings;

/// A request that is about to leave; instants count from the start of the run.
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// When it should leave.
    pub planned: Duration,
    /// When it leaves.
    pub sent: Duration,
}

/// The requests of one connection. It never waits and never reads a clock.
pub trait Workload {
    /// What a request leaves behind for the check of its answer.
    type Ticket: Copy;

    /// Appends the next request.
    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> Self::Ticket;
    /// Checks an answer (a frame without its length) that came at `answered`; returns the bytes of record batches that
    /// it stands for.
    fn answer(&mut self, ticket: Self::Ticket, answered: Duration, frame: &[u8], findings: &mut Findings) -> u64;
    /// Whether requests are answered at all.
    fn has_answers(&self) -> bool {
        true
    }
    /// Bytes of record batches in a request that is never answered.
    fn request_size_bytes(&self, _ticket: Self::Ticket) -> u64 {
        0
    }
}
