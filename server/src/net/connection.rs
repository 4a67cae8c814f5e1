//! One client connection on its shard: a reading task that cuts frames and hands them on, a writing task that sends
//! whatever answers are due, in request order, in one send.
//!
//! Invariants:
//! - Answers leave in the order of their requests, whenever they were ready.
//! - Reading stops while the frames handed on and the answers not yet sent hold more than `inflight_bytes_max`.
//! - When either task ends, the socket is shut down, so that the other ends too.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use ringlog_core::reactor::{Parts, Reactor, Socket};

use super::{FramePool, Framing};

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Largest request, `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// Requests and answers held at once; one frame is always let through.
    pub inflight_bytes_max: usize,
}

/// What gets each frame, with the means to answer it.
pub trait FrameHandler {
    /// Handles one frame (without its length prefix). Never waits: what takes longer answers later.
    fn handle(&self, frame: Bytes, responder: Responder);
}

/// A connection; clones are the same one.
#[derive(Clone)]
pub struct Connection(Rc<Inner>);

struct Inner {
    socket: Socket,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Requests not yet answered on the wire, oldest first; the first has number `first`.
    slots: VecDeque<Slot>,
    first: u64,
    inflight_bytes: usize,
    closed: bool,
    /// Waits for the oldest answer.
    writer: Option<Waker>,
    /// Waits for room.
    reader: Option<Waker>,
}

struct Slot {
    request_bytes: usize,
    answer: Option<Parts>,
    /// Told when the connection ends before the answer.
    on_close: Option<Waker>,
}

impl Connection {
    /// Serves `socket` until the peer or the broker ends it.
    pub fn start(
        reactor: &Reactor,
        socket: Socket,
        limits: ConnectionLimits,
        pool: FramePool,
        handler: Rc<dyn FrameHandler>,
    ) -> Self {
        let connection = Self(Rc::new(Inner { socket, state: RefCell::default() }));
        let reader = connection.clone();
        reactor.spawn(async move {
            if let Err(end) = reader.read(limits, pool, &*handler).await {
                tracing::debug!(%end, "connection ends");
            }
            reader.close();
        });
        let writer = connection.clone();
        reactor.spawn(async move {
            writer.write().await;
            writer.close();
        });
        connection
    }

    /// Ends the connection now; answers not yet sent are dropped.
    pub fn close(&self) {
        let wakers = {
            let mut state = self.0.state.borrow_mut();
            if state.closed {
                return;
            }
            state.closed = true;
            let mut wakers: Vec<Waker> = state.slots.drain(..).filter_map(|slot| slot.on_close).collect();
            wakers.extend(state.writer.take());
            wakers.extend(state.reader.take());
            wakers
        };
        self.0.socket.shutdown();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it has ended: nobody waits for an answer.
    pub fn is_closed(&self) -> bool {
        self.0.state.borrow().closed
    }

    /// Requests that wait for their answer or whose answer was not handed to the socket yet.
    pub fn unanswered(&self) -> usize {
        self.0.state.borrow().slots.len()
    }

    async fn read(&self, limits: ConnectionLimits, pool: FramePool, handler: &dyn FrameHandler) -> std::io::Result<()> {
        let mut framing = Framing::new(limits.frame_bytes_max, pool);
        loop {
            while let Some(frame) = framing.next_frame().map_err(std::io::Error::other)? {
                let responder = self.open_slot(frame.len());
                handler.handle(frame, responder);
                self.room(limits.inflight_bytes_max).await;
                if self.is_closed() {
                    return Ok(());
                }
            }
            if let Some((mut buffer, filled, end)) = framing.take_direct() {
                let len = buffer.len();
                buffer.truncate(end);
                let (result, mut buffer) = self.0.socket.receive_into(buffer, filled, true).await;
                let received = result? as usize;
                if received == 0 {
                    return Ok(());
                }
                buffer.resize(len, 0);
                framing.filled(buffer, filled + received);
            } else {
                let chunk = self.0.socket.receive().await?;
                if chunk.is_empty() {
                    return Ok(());
                }
                framing.push(chunk);
            }
        }
    }

    fn open_slot(&self, request_bytes: usize) -> Responder {
        let mut state = self.0.state.borrow_mut();
        state.inflight_bytes += request_bytes;
        let number = state.first + state.slots.len() as u64;
        state.slots.push_back(Slot { request_bytes, answer: None, on_close: None });
        Responder { connection: Some(self.clone()), number }
    }

    async fn room(&self, inflight_bytes_max: usize) {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if state.closed || state.inflight_bytes <= inflight_bytes_max {
                return Poll::Ready(());
            }
            state.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    async fn write(&self) {
        while let Some((parts, bytes)) = self.due().await {
            let sent = if parts.is_empty() { Ok(()) } else { self.0.socket.send_all(parts).await };
            if sent.is_err() {
                return;
            }
            let mut state = self.0.state.borrow_mut();
            state.inflight_bytes -= bytes;
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
        }
    }

    /// All answers that are due now, joined, with the in-flight bytes that they stand for; `None` when closed.
    async fn due(&self) -> Option<(Parts, usize)> {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if state.closed {
                return Poll::Ready(None);
            }
            let mut parts = Parts::new();
            let mut bytes = 0;
            let mut any = false;
            while state.slots.front().is_some_and(|slot| slot.answer.is_some()) {
                let slot = state.slots.pop_front().expect("there is a front");
                state.first += 1;
                let answer = slot.answer.expect("checked above");
                bytes += slot.request_bytes + answer.iter().map(Bytes::len).sum::<usize>();
                parts.extend(answer);
                any = true;
            }
            if any {
                return Poll::Ready(Some((parts, bytes)));
            }
            state.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn answer(&self, number: u64, parts: Parts) {
        let mut state = self.0.state.borrow_mut();
        if state.closed {
            return;
        }
        let bytes = parts.iter().map(Bytes::len).sum::<usize>();
        let at = usize::try_from(number - state.first).expect("a slot's index fits");
        let slot = &mut state.slots[at];
        assert!(slot.answer.is_none(), "a request is answered once");
        slot.answer = Some(parts);
        state.inflight_bytes += bytes;
        if at == 0
            && let Some(writer) = state.writer.take()
        {
            drop(state);
            writer.wake();
        }
    }
}

/// The right and the duty to answer one request. Dropped without an answer it closes the connection.
pub struct Responder {
    connection: Option<Connection>,
    number: u64,
}

impl Responder {
    /// Answers with these bytes (length prefix included).
    pub fn send(mut self, parts: Parts) {
        if let Some(connection) = self.connection.take() {
            connection.answer(self.number, parts);
        }
    }

    /// This request gets no answer (acks=0).
    pub fn none(self) {
        self.send(Parts::new());
    }

    /// Closes the connection, as Kafka does for what it cannot answer.
    pub fn close(self) {}

    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        self.connection.as_ref().is_none_or(Connection::is_closed)
    }

    /// Completes when the connection ends.
    pub async fn closed(&self) {
        let Some(connection) = &self.connection else { return };
        poll_fn(|context| {
            let mut state = connection.0.state.borrow_mut();
            if state.closed {
                return Poll::Ready(());
            }
            let at = usize::try_from(self.number - state.first).expect("a slot's index fits");
            state.slots[at].on_close = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }
}
