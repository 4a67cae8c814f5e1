//! Reads all partitions of a fetch within its bounds and, while there is too little, waits for any of them to grow.
//!
//! Invariants:
//! - Record bytes read at one time are bounded by the fetch's `max_bytes` and by what is left to its connection, plus
//!   one batch.
//! - A wait ends with new records, the deadline or the connection, and then leaves no watch behind. It never polls.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use ringlog_core::reactor::{Instant, Piece, Reactor};

use super::targets::{Target, Targets};
use crate::handlers::Request;
use crate::handlers::gather::Gather;
use crate::net::{Held, Responder};
use crate::partition::{
    Isolation, PartitionError, PartitionReply, PartitionRequest, ReadOutcome, ReadRequest, Router, TopicPartition,
    WatchRequest,
};

/// When a fetch is answered, and what it sees.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Answer at once from this many bytes on.
    pub min_bytes: usize,
    /// Stop reading at this many bytes.
    pub max_bytes: usize,
    /// Answer with whatever there is at this time.
    pub deadline: Instant,
    /// What the reader wants to see of transactions.
    pub isolation: Isolation,
}

/// The outcome for each target, in the order of reading.
pub type Outcomes = Vec<Result<ReadOutcome, PartitionError>>;

/// What a fetch holds of its connection's budget: for its partitions all the time, for records while it reads.
pub struct Room {
    held: Option<Held>,
    partitions_bytes: usize,
    wanted_bytes: usize,
}

impl Room {
    /// As many bytes as the fetch may want to read, but never all that is left: others read too.
    pub fn take(responder: &Responder, targets: &Targets, max_bytes: usize) -> Self {
        let asked = targets.iter().fold(0, |sum: usize, (_, target)| sum.saturating_add(target.max_bytes));
        let mut room = Self {
            held: responder.budget().map(|budget| budget.hold(0)),
            partitions_bytes: targets.len()
                * (size_of::<Target>() + 2 * size_of::<Result<ReadOutcome, PartitionError>>()),
            wanted_bytes: asked.min(max_bytes),
        };
        room.renew();
        room
    }

    fn renew(&mut self) {
        let Some(held) = &mut self.held else { return };
        let bytes = self.wanted_bytes.min(held.budget().left() / 2);
        held.resize(self.partitions_bytes + bytes);
    }

    fn release(&mut self) {
        if let Some(held) = &mut self.held {
            held.resize(self.partitions_bytes);
        }
    }

    fn record_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes() - self.partitions_bytes)
    }
}

/// Reads until the bounds are met.
pub async fn fetch(
    reactor: &Reactor,
    router: &Router,
    targets: &Targets,
    bounds: Bounds,
    request: &mut Request,
    room: &mut Room,
) -> Outcomes {
    loop {
        let outcomes = collect(router, targets, bounds.isolation, room.record_bytes()).await;
        let bytes: usize = outcomes.iter().flatten().map(record_bytes).sum();
        let failed = outcomes.iter().any(Result::is_err);
        let due = bytes >= bounds.min_bytes || failed || reactor.now() >= bounds.deadline;
        if due || targets.is_empty() || request.responder().is_closed() {
            return outcomes;
        }
        let growth = Growth::watch(router, targets, &outcomes);
        drop(outcomes);
        room.release();
        request.release_body();
        growth.wait(reactor, bounds.deadline, request.responder()).await;
        room.renew();
    }
}

/// Bytes of records in an outcome.
pub fn record_bytes(outcome: &ReadOutcome) -> usize {
    outcome.records.iter().map(Piece::size_bytes).sum()
}

/// Reads each target once, in order, as many at a time as the bound allows.
async fn collect(router: &Router, targets: &Targets, isolation: Isolation, max_bytes: usize) -> Outcomes {
    let mut outcomes = Outcomes::with_capacity(targets.len());
    let mut left = max_bytes;
    let mut found = false;
    while outcomes.len() < targets.len() {
        let start = outcomes.len();
        let mut asked = 0;
        let mut count = 0;
        while start + count < targets.len() {
            asked += targets.get(start + count).1.max_bytes;
            if count > 0 && asked > left {
                break;
            }
            count += 1;
        }
        let wave = Gather::new(count);
        for at in 0..count {
            let (_, target) = targets.get(start + at);
            let request = ReadRequest {
                offset: target.offset,
                max_bytes: target.max_bytes.min(left),
                at_least_one_batch: !found,
                current_leader_epoch: target.current_leader_epoch,
                isolation,
            };
            read(router, target, request, &wave, at);
        }
        for outcome in wave.all().await {
            if let Ok(outcome) = &outcome {
                left = left.saturating_sub(record_bytes(outcome));
                found |= !outcome.records.is_empty();
            }
            outcomes.push(outcome);
        }
    }
    outcomes
}

fn read(
    router: &Router,
    target: &Target,
    request: ReadRequest,
    wave: &Gather<Result<ReadOutcome, PartitionError>>,
    at: usize,
) {
    let Some((owner, partition)) = target.place else { return wave.put(at, Err(PartitionError::Unknown)) };
    let wave = wave.clone();
    let reply = Box::new(move |reply| {
        let PartitionReply::Read(outcome) = reply else { unreachable!("a read is answered by a read") };
        wave.put(at, outcome);
    });
    router.request(owner, partition, PartitionRequest::Read(request), reply);
}

/// Watches on all partitions of a fetch; ended when dropped.
struct Growth<'a> {
    router: &'a Router,
    watches: Vec<(u16, TopicPartition, u64)>,
    signal: Rc<Signal>,
}

#[derive(Default)]
struct Signal {
    fired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl<'a> Growth<'a> {
    fn watch(router: &'a Router, targets: &Targets, outcomes: &Outcomes) -> Self {
        let mut growth = Self { router, watches: Vec::with_capacity(targets.len()), signal: Rc::default() };
        for ((_, target), outcome) in targets.iter().zip(outcomes) {
            let (Some((owner, partition)), Ok(outcome)) = (target.place, outcome) else { continue };
            let watch = router.new_watch();
            let request = PartitionRequest::Watch(WatchRequest { high_watermark: outcome.high_watermark, watch });
            growth.watches.push((owner, partition, watch));
            let signal = Rc::clone(&growth.signal);
            router.request(owner, partition, request, Box::new(move |_| signal.fire()));
        }
        growth
    }

    async fn wait(self, reactor: &Reactor, deadline: Instant, responder: &Responder) {
        let mut timeout = pin!(reactor.sleep_until(deadline));
        let mut closed = pin!(responder.closed());
        poll_fn(|context| {
            let done = self.signal.fired.get()
                || timeout.as_mut().poll(context).is_ready()
                || closed.as_mut().poll(context).is_ready();
            if done {
                return Poll::Ready(());
            }
            self.signal.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Growth<'_> {
    fn drop(&mut self) {
        for (owner, partition, watch) in self.watches.drain(..) {
            self.router.request(owner, partition, PartitionRequest::Unwatch(watch), Box::new(|_| {}));
        }
    }
}

impl Signal {
    fn fire(&self) {
        self.fired.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
