//! One simulated socket, and the operations that wait on it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::reactor::{Completion, Op, Token};

/// An operation of one driver that waits for a peer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) driver: usize,
    pub(super) token: Token,
    pub(super) op: Op,
}

impl Waiting {
    /// The last completion.
    pub(super) fn finish(self, result: io::Result<u32>, bytes: Bytes) -> (usize, Completion) {
        (self.driver, Completion { token: self.token, result, bytes, more: false, op: Some(self.op) })
    }

    /// A completion that others follow.
    pub(super) fn report(&self, result: u32, bytes: Bytes) -> (usize, Completion) {
        (self.driver, Completion { token: self.token, result: Ok(result), bytes, more: true, op: None })
    }
}

/// Where a socket is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Fresh,
    Listening,
    Connecting,
    Open,
}

/// One socket.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) host: u32,
    pub(super) local: SocketAddr,
    pub(super) stage: Stage,
    pub(super) peer: Option<(i32, u32)>,
    pub(super) inbox: VecDeque<u8>,
    /// No byte will follow those in the inbox.
    pub(super) inbox_ended: bool,
    /// The connection is broken: told once, then it looks ended.
    pub(super) failure: Option<i32>,
    pub(super) send_ended: bool,
    /// Bytes on their way to the peer or not yet read there: they fill the send buffer.
    pub(super) unread_by_peer: usize,
    /// Segments of one direction never overtake each other.
    pub(super) last_arrival: u64,
    /// Accepted by the kernel, not yet by the program.
    pub(super) backlog: VecDeque<i32>,
    pub(super) accept: Option<Waiting>,
    pub(super) connect: Option<Waiting>,
    pub(super) receive: Option<Waiting>,
    /// Bytes that the waiting `Recv` has got so far.
    pub(super) received: usize,
    pub(super) send: Option<Waiting>,
    pub(super) writable: Option<Waiting>,
}

impl Endpoint {
    pub(super) fn new(host: u32, local: SocketAddr, stage: Stage) -> Self {
        Self {
            host,
            local,
            stage,
            peer: None,
            inbox: VecDeque::new(),
            inbox_ended: false,
            failure: None,
            send_ended: false,
            unread_by_peer: 0,
            last_arrival: 0,
            backlog: VecDeque::new(),
            accept: None,
            connect: None,
            receive: None,
            received: 0,
            send: None,
            writable: None,
        }
    }

    /// The places where operations wait.
    pub(super) fn waiting_mut(&mut self) -> [&mut Option<Waiting>; 5] {
        [&mut self.accept, &mut self.connect, &mut self.receive, &mut self.send, &mut self.writable]
    }

    /// Moves up to `count` bytes out of the inbox.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        self.inbox.drain(..count.min(self.inbox.len())).collect()
    }
}

/// Received bytes in one of the driver's provided buffers.
pub(super) struct Lent {
    bytes: Vec<u8>,
    in_use: Arc<AtomicUsize>,
}

impl Lent {
    pub(super) fn lend(bytes: Vec<u8>, in_use: &Arc<AtomicUsize>) -> Bytes {
        in_use.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, in_use: Arc::clone(in_use) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}
