//! What to send, and what its answer has to look like.

mod commit;
mod fetch;
mod fetch_offsets;
mod fetch_one;
mod heartbeat;
mod keys;
mod prebuilt;
mod produce;
mod requests;
mod sizes;
pub mod stamp;
mod tail;

pub use commit::{Commit, Commits};
pub use fetch::{Fetch, FetchMode, FetchSpec};
pub use fetch_offsets::FetchOffsets;
pub use fetch_one::{FetchOne, FetchTarget, Fetched};
pub use heartbeat::{Heartbeats, Member};
pub use keys::KeySpec;
pub use prebuilt::{BatchSpec, Front, PrebuiltBatch, PrebuiltBatches};
pub use produce::{Produce, ProducerIdentity};
pub use requests::{ProduceSpec, Production, Requests};
pub use sizes::Sizes;
pub use tail::Tail;

use std::time::Duration;

use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, encode_request};
use ringlog_core::wire::{DecodeError, Message};

use crate::client::{CLIENT_ID, Outgoing};
use crate::findings::Findings;
use crate::recorder::Volume;

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

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It was done, and stood for this.
    Done(Volume),
    /// It was refused.
    Failed,
    /// It was refused by a broker that is not, or not yet, the right one.
    Stale,
}

/// The requests of one connection. It never waits and never reads a clock.
pub trait Workload {
    /// What a request leaves behind for the check of its answer.
    type Ticket: Copy;

    /// Appends the next request.
    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> Self::Ticket;
    /// Appends a request that was refused or lost once more, or one that stands for it.
    fn again(&mut self, _ticket: Self::Ticket, leaving: Leaving, out: &mut Outgoing) -> Self::Ticket {
        self.request(leaving, out)
    }
    /// Checks an answer (a frame without its length) that came at `answered`.
    fn answer(&mut self, ticket: Self::Ticket, answered: Duration, frame: &[u8], findings: &mut Findings) -> Answered;
    /// The connection broke before the answer came: nobody knows whether the request was done.
    fn lost(&mut self, _ticket: Self::Ticket) {}
    /// After a reconnect: these partitions are led where the connection goes now.
    fn lead(&mut self, _partitions: &[i32]) {}
    /// Whether requests are answered at all.
    fn has_answers(&self) -> bool {
        true
    }
    /// A request that is never answered has left; returns what it stands for.
    fn unanswered(&mut self, _ticket: Self::Ticket) -> Volume {
        Volume::default()
    }
}

/// A request without records as a whole frame, in the memory of an earlier one.
fn frame<'a>(
    api_key: ApiKey,
    api_version: i16,
    correlation_id: i32,
    request: &impl Message<'a>,
    mut buffer: Vec<u8>,
) -> Vec<u8> {
    buffer.clear();
    let header = RequestHeader { api_key, api_version, correlation_id, client_id: Some(CLIENT_ID) };
    encode_request(buffer, &header, request).expect("nothing is null or too long").bytes
}

/// Notes an error code, and tells what it means for the connection.
fn refused(code: ErrorCode, findings: &mut Findings, text: impl FnOnce() -> String) -> Answered {
    findings.error(code, text);
    match code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Answered::Stale,
        _ => Answered::Failed,
    }
}

/// An answer that cannot be read is a contradiction.
fn readable(checked: Result<Answered, DecodeError>, findings: &mut Findings) -> Answered {
    checked.unwrap_or_else(|error| {
        findings.problem("answer not readable", || error.to_string());
        Answered::Failed
    })
}
