//! One ring per ordered pair of shards, and one doorbell per shard.
//!
//! A message goes into a waiting queue of its sender, in order, and [`MeshOutbox::flush`] moves the batch into the
//! peer's ring and rings the peer's bell once. What the ring does not take stays in the queue, at most
//! [`WAITING_MAX`] messages per peer; only past that is a message handed back as [`SendError::Full`]. Nobody
//! polls a full ring: its producer says that it is stalled, and the consumer, after freeing slots, rings the producer's bell.
//! That is the doorbell's protocol in the other direction: store `stalled`, fence, look at the ring; free, fence, load `stalled`.
//! So a flush may come at any time before a sleep, also after [`MeshInbox::may_sleep`].
//!
//! Invariants:
//! - Messages of one sender to one receiver arrive in the order of their sends, each at most once, and exactly once if the
//!   sender flushes and neither port is dropped.
//! - A receiver with messages in a ring, and a sender with messages that would fit, is awake or has been woken.

use std::collections::VecDeque;
use std::fmt;

use crossbeam_utils::CachePadded;

use super::doorbell::{Doorbell, WakeCallback};
use super::spsc::{Consumer, Producer, ring};
use super::sync::{Arc, AtomicBool, Ordering, fence};

/// Messages that wait in a sender for a full ring, per peer. Beyond it, [`MeshOutbox::send`] refuses.
pub const WAITING_MAX: usize = 65_536;

/// The maker of ports.
#[derive(Debug)]
pub struct Mesh;

impl Mesh {
    /// Ports for `n` threads, port `i` for thread `i`; each ordered pair gets a ring of `capacity`, a power of two.
    #[expect(clippy::new_ret_no_self, reason = "the mesh is its ports")]
    pub fn new<T>(n: usize, capacity: usize) -> Vec<MeshPort<T>> {
        let bells: Vec<_> = (0..n).map(|_| Arc::new(Doorbell::new())).collect();
        let mut ports: Vec<MeshPort<T>> = (0..n)
            .map(|id| MeshPort {
                outbox: MeshOutbox { id, lanes: Vec::with_capacity(n) },
                inbox: MeshInbox { id, bell: Arc::clone(&bells[id]), lanes: Vec::with_capacity(n) },
            })
            .collect();
        for from in 0..n {
            for to in 0..n {
                let (out_lane, in_lane) = if from == to {
                    (None, None)
                } else {
                    let (producer, consumer) = ring(capacity);
                    let stalled = Arc::new(CachePadded::new(AtomicBool::new(false)));
                    let out_lane = OutLane {
                        producer,
                        waiting: VecDeque::new(),
                        stalled: Arc::clone(&stalled),
                        bell: Arc::clone(&bells[to]),
                    };
                    (Some(out_lane), Some(InLane { consumer, stalled, bell: Arc::clone(&bells[from]) }))
                };
                ports[from].outbox.lanes.push(out_lane);
                ports[to].inbox.lanes.push(in_lane);
            }
        }
        ports
    }
}

/// Why a message was not taken; it comes back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// The peer is behind by a whole ring and [`WAITING_MAX`] messages: take in less, and go on draining.
    #[error("the ring to the peer and the queue before it are full")]
    Full(T),
    /// The peer's port was dropped: its thread has ended.
    #[error("the peer is gone")]
    Gone(T),
}

/// Both directions of one thread.
pub struct MeshPort<T> {
    outbox: MeshOutbox<T>,
    inbox: MeshInbox<T>,
}

impl<T> MeshPort<T> {
    /// This port's number.
    pub fn id(&self) -> usize {
        self.inbox.id
    }

    /// Ports of the mesh, this one included.
    pub fn count(&self) -> usize {
        self.inbox.lanes.len()
    }

    /// See [`MeshOutbox::send`].
    pub fn send(&mut self, peer: usize, message: T) -> Result<(), SendError<T>> {
        self.outbox.send(peer, message)
    }

    /// See [`MeshOutbox::flush`].
    pub fn flush(&mut self) -> usize {
        self.outbox.flush()
    }

    /// See [`MeshInbox::drain`].
    pub fn drain(&mut self, each: impl FnMut(usize, T)) -> usize {
        self.inbox.drain(each)
    }

    /// The two directions apart, so that what is drained may send.
    pub fn split(self) -> (MeshOutbox<T>, MeshInbox<T>) {
        (self.outbox, self.inbox)
    }
}

/// The sending half of a port.
pub struct MeshOutbox<T> {
    id: usize,
    lanes: Vec<Option<OutLane<T>>>,
}

struct OutLane<T> {
    producer: Producer<T>,
    waiting: VecDeque<T>,
    /// Set by this end when the ring was full, cleared by the other when it has freed slots.
    stalled: Arc<CachePadded<AtomicBool>>,
    /// The receiver's.
    bell: Arc<Doorbell>,
}

impl<T> MeshOutbox<T> {
    /// Queues a message for `peer`; [`flush`](Self::flush) delivers it.
    ///
    /// # Panics
    /// When `peer` is this port itself or not in the mesh.
    pub fn send(&mut self, peer: usize, message: T) -> Result<(), SendError<T>> {
        let lane = self.lanes[peer].as_mut().expect("a port sends to others only");
        if lane.producer.is_abandoned() {
            lane.waiting.clear();
            return Err(SendError::Gone(message));
        }
        if lane.waiting.len() >= WAITING_MAX {
            return Err(SendError::Full(message));
        }
        lane.waiting.push_back(message);
        Ok(())
    }

    /// Moves what waits into the rings, as far as they take it, and rings each peer that got something, once.
    /// Returns how many messages wait on; they need no other call than the next flush, before which the peer rings here.
    pub fn flush(&mut self) -> usize {
        self.lanes.iter_mut().flatten().map(OutLane::flush).sum()
    }

    /// Messages that wait for a flush or for room.
    pub fn waiting_count(&self) -> usize {
        self.lanes.iter().flatten().map(|lane| lane.waiting.len()).sum()
    }

    /// Whether a flush would move something. Part of the second look before a sleep.
    pub fn can_flush(&mut self) -> bool {
        self.lanes.iter_mut().flatten().any(|lane| !lane.waiting.is_empty() && !lane.producer.is_full())
    }
}

impl<T> OutLane<T> {
    fn flush(&mut self) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        if self.producer.is_abandoned() {
            self.waiting.clear();
            return 0;
        }
        let mut pushed = self.push_waiting();
        while !self.waiting.is_empty() {
            // Relaxed: the fence orders it.
            self.stalled.store(true, Ordering::Relaxed);
            // SeqCst: with the fence in `InLane::drain`; orders the flag before the next look at the freed slots. Here and not
            // left to `declare_asleep`, because a turn's last flush may come after that.
            fence(Ordering::SeqCst);
            match self.push_waiting() {
                0 => break,
                more => pushed += more,
            }
        }
        if pushed > 0 {
            self.bell.ring();
        }
        self.waiting.len()
    }

    fn push_waiting(&mut self) -> usize {
        // `take` tells the ring how many there are, so that it need not look at the peer's index when they fit.
        let count = self.waiting.len();
        self.producer.push_batch(&mut std::iter::from_fn(|| self.waiting.pop_front()).take(count))
    }
}

/// The receiving half of a port, with the port's doorbell.
pub struct MeshInbox<T> {
    id: usize,
    bell: Arc<Doorbell>,
    lanes: Vec<Option<InLane<T>>>,
}

struct InLane<T> {
    consumer: Consumer<T>,
    stalled: Arc<CachePadded<AtomicBool>>,
    /// The sender's.
    bell: Arc<Doorbell>,
}

impl<T> MeshInbox<T> {
    /// How this port's thread is woken: once, before it first sleeps.
    pub fn set_wake(&self, wake: WakeCallback) {
        self.bell.set_wake(wake);
    }

    /// Hands over what has arrived, with the sender's number: at most one ring's capacity per peer, so that a busy peer
    /// cannot hold this thread. Returns how many.
    pub fn drain(&mut self, mut each: impl FnMut(usize, T)) -> usize {
        let lanes = self.lanes.iter_mut().enumerate();
        lanes.filter_map(|(from, lane)| Some(lane.as_mut()?.drain(|message| each(from, message)))).sum()
    }

    /// Whether nothing has arrived. Part of the second look before a sleep.
    pub fn is_empty(&mut self) -> bool {
        self.lanes.iter_mut().flatten().all(|lane| lane.consumer.is_empty())
    }

    /// Whether the port of `peer` was dropped. What it sent may still be here. A port is not gone for itself.
    pub fn is_peer_gone(&self, peer: usize) -> bool {
        self.lanes[peer].as_ref().is_some_and(|lane| lane.consumer.is_abandoned())
    }

    /// The doorbell's first half: declares this thread asleep, then looks once more at the rings, both ways.
    /// When it returns true the thread may sleep, and calls [`awake`](Self::awake) after.
    #[must_use = "who may not sleep has work to do"]
    pub fn may_sleep(&mut self, outbox: &mut MeshOutbox<T>) -> bool {
        debug_assert_eq!(self.id, outbox.id, "both halves are of one port");
        self.bell.declare_asleep();
        let may = self.is_empty() && !outbox.can_flush();
        if !may {
            self.bell.declare_awake();
        }
        may
    }

    /// Nobody needs to wake this thread any more.
    pub fn awake(&self) {
        self.bell.declare_awake();
    }
}

impl<T> InLane<T> {
    fn drain(&mut self, each: impl FnMut(T)) -> usize {
        let count = self.consumer.pop_batch(self.consumer.capacity(), each);
        if count > 0 {
            // SeqCst: with the fence in the sender's `OutLane::flush`; orders the freed slots before the load.
            fence(Ordering::SeqCst);
            // Relaxed: the fence orders it. Only this end clears the flag.
            if self.stalled.load(Ordering::Relaxed) {
                self.stalled.store(false, Ordering::Relaxed);
                self.bell.ring();
            }
        }
        count
    }
}

impl<T> fmt::Debug for MeshPort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshPort").field("id", &self.id()).field("count", &self.count()).finish()
    }
}

impl<T> fmt::Debug for MeshOutbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshOutbox").field("id", &self.id).field("waiting", &self.waiting_count()).finish()
    }
}

impl<T> fmt::Debug for MeshInbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshInbox").field("id", &self.id).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc as StdArc;
    use std::sync::atomic::AtomicUsize;

    fn counting_wake(port: &MeshPort<u32>) -> StdArc<AtomicUsize> {
        let woken = StdArc::new(AtomicUsize::new(0));
        let counter = StdArc::clone(&woken);
        port.inbox.set_wake(StdArc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        woken
    }

    fn drained(port: &mut MeshPort<u32>) -> Vec<(usize, u32)> {
        let mut messages = Vec::new();
        port.drain(|from, message| messages.push((from, message)));
        messages
    }

    #[test]
    fn every_pair_has_its_own_ring() {
        let mut ports = Mesh::new::<u32>(3, 4);
        for (from, port) in ports.iter_mut().enumerate() {
            for to in (0..3).filter(|&to| to != from) {
                port.send(to, (from * 10 + to) as u32).unwrap();
            }
            assert_eq!(port.flush(), 0);
        }
        assert_eq!(drained(&mut ports[0]), [(1, 10), (2, 20)]);
        assert_eq!(drained(&mut ports[1]), [(0, 1), (2, 21)]);
        assert_eq!(drained(&mut ports[2]), [(0, 2), (1, 12)]);
        assert_eq!((ports[1].id(), ports[1].count()), (1, 3));
    }

    #[test]
    fn a_sleeping_peer_is_woken_once_per_flush() {
        let mut ports = Mesh::new::<u32>(2, 8);
        let woken = counting_wake(&ports[1]);
        let (mut peer, mut port) = (ports.pop().unwrap(), ports.pop().unwrap());
        assert!(peer.inbox.may_sleep(&mut peer.outbox));
        for message in 0..5 {
            port.send(1, message).unwrap();
        }
        assert_eq!(drained(&mut peer), []);
        port.flush();
        port.flush();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(!peer.inbox.may_sleep(&mut peer.outbox), "messages are there");
        assert_eq!(drained(&mut peer).len(), 5);
    }

    #[test]
    fn what_a_full_ring_refuses_waits_in_order_and_the_sender_is_woken_for_it() {
        let mut ports = Mesh::new::<u32>(2, 2);
        let woken = counting_wake(&ports[0]);
        let (mut peer, mut port) = (ports.pop().unwrap(), ports.pop().unwrap());
        for message in 0..5 {
            port.send(1, message).unwrap();
        }
        assert_eq!(port.flush(), 3);
        assert!(port.inbox.may_sleep(&mut port.outbox));
        assert_eq!(drained(&mut peer), [(0, 0), (0, 1)]);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(!port.inbox.may_sleep(&mut port.outbox), "there is room again");
        assert_eq!(port.flush(), 1);
        assert_eq!(drained(&mut peer), [(0, 2), (0, 3)]);
        assert_eq!(port.flush(), 0);
        assert_eq!(drained(&mut peer), [(0, 4)]);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn past_the_bound_a_message_comes_back() {
        let mut ports = Mesh::new::<u32>(2, 2);
        for message in 0..WAITING_MAX {
            ports[0].send(1, message as u32).unwrap();
        }
        assert_eq!(ports[0].send(1, 7), Err(SendError::Full(7)));
        ports[0].flush();
        assert_eq!(ports[0].send(1, 7), Ok(()));
    }

    #[test]
    fn a_gone_peer_is_seen_by_sender_and_receiver() {
        let mut ports = Mesh::new::<u32>(2, 2);
        ports[0].send(1, 1).unwrap();
        let mut peer = ports.pop().unwrap();
        peer.send(0, 2).unwrap();
        peer.flush();
        drop(peer);
        assert_eq!(ports[0].send(1, 7), Err(SendError::Gone(7)));
        assert_eq!(ports[0].flush(), 0);
        assert!(ports[0].inbox.is_peer_gone(1) && !ports[0].inbox.is_peer_gone(0));
        assert_eq!(drained(&mut ports[0]), [(1, 2)]);
    }
}
