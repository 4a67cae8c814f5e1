//! The quota of partitions that a client creates and deletes (KIP-599).
//!
//! A client that has exceeded it gets THROTTLING_QUOTA_EXCEEDED for each further topic, in the versions of requests that
//! know this error; in older ones its topics are changed and its connection waits. As in Kafka, a topic of any size is
//! within the quota of whoever has not exceeded it yet.

use super::{Context, Request};
use crate::quota::QuotaKind;

/// What a refused topic is told.
pub const EXCEEDED: &str = "The throttling quota has been exceeded.";

/// Counts the partitions of each topic of a request, and says which topics are within the client's quota.
pub fn within_quota(
    context: &Context,
    request: &mut Request,
    is_strict: bool,
    partitions: impl IntoIterator<Item = usize>,
) -> Vec<bool> {
    let Context { limits, reactor, .. } = context;
    if !limits.has(QuotaKind::Mutation) {
        return partitions.into_iter().map(|_| true).collect();
    }
    let (client, now) = (request.client_id(), reactor.now());
    let within = partitions.into_iter().map(|count| {
        if is_strict {
            let recorded = limits.record_unless_exceeded(QuotaKind::Mutation, &client, now, count as u64);
            recorded.inspect_err(|delay| request.throttle(*delay)).is_ok()
        } else {
            request.throttle(limits.record(QuotaKind::Mutation, &client, now, count as u64));
            true
        }
    });
    within.collect()
}
