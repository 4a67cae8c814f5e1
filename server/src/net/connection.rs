//! One client connection on its shard: a reading task that cuts frames and hands them on, a writing task that sends
//! whatever answers are due, in request order, in one send.
//!
//! Invariants:
//! - Answers leave in the order of their requests, whenever they were ready.
//! - Reading stops while requests and answers fill the connection's budget or its shard's, while there are
//!   `REQUESTS_MAX` requests, and before a large frame that has no room. What is there is counted, never refused:
//!   a request until it is over, also when its connection has ended.
//! - A muted connection is not read from until its time is over; its answers leave.
//! - A connection that is not read from keeps no buffer of the driver: others need them.
//! - When either task ends, the socket is shut down, so that the other ends too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::reactor::{Instant, Piece, Pieces, Reactor, Socket};
use smallvec::SmallVec;

use super::{Budget, FramePool, Framing, Held};
use crate::meters::{RequestInstants, RequestMeters};

/// Requests of one connection that are not answered yet.
const REQUESTS_MAX: usize = 128;

/// Bounds of one connection, and what it shares with the others of its shard.
#[derive(Clone)]
pub struct ConnectionLimits {
    /// Largest request, `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// Bytes of requests and answers at once, within those of the shard; one frame is always let through.
    pub budget: Budget,
    /// Warm memory for large frames.
    pub pool: FramePool,
    /// Counts requests.
    pub meters: Rc<RequestMeters>,
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
    reactor: Reactor,
    socket: Socket,
    budget: Budget,
    meters: Rc<RequestMeters>,
    /// A large frame is being received.
    is_receiving: Cell<bool>,
    /// An answer is being sent.
    is_sending: Cell<bool>,
    /// Nothing is read from the peer before.
    muted_until: Cell<Instant>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Requests not yet answered on the wire, oldest first; the first has number `first`.
    slots: VecDeque<Slot>,
    first: u64,
    closed: bool,
    /// Waits for the oldest answer.
    writer: Option<Waker>,
    /// Waits for room.
    reader: Option<Waker>,
}

struct Slot {
    /// Of the request, later with its answer.
    held: Held,
    arrival: Arrival,
    /// With the turn in which it came.
    answer: Option<(Pieces, Instant)>,
    /// Told when the connection ends before the answer.
    on_close: Option<Waker>,
}

impl State {
    fn slot(&mut self, number: u64) -> &mut Slot {
        let at = usize::try_from(number - self.first).expect("a slot's index fits");
        &mut self.slots[at]
    }
}

impl Slot {
    /// The connection has ended, and nothing is done any more for this request.
    fn give_back(&mut self) {
        self.answer = None;
        self.held.resize(0);
    }
}

/// A request as it is counted when its answer has been sent.
#[derive(Clone, Copy)]
struct Arrival {
    api_key: i16,
    api_version: i16,
    at: Instant,
}

impl Arrival {
    /// Of a frame: every request begins with its API and version.
    fn of(frame: &[u8], at: Instant) -> Self {
        let field =
            |position: usize| frame.get(position..position + 2).map_or(-1, |f| i16::from_be_bytes([f[0], f[1]]));
        Self { api_key: field(0), api_version: field(2), at }
    }
}

/// Answers that leave together.
struct Due {
    pieces: Pieces,
    held: Held,
    /// Each with the turn in which its answer came.
    arrivals: SmallVec<[(Arrival, Instant); 4]>,
}

impl Connection {
    /// Serves `socket` until the peer or the broker ends it.
    pub fn start(reactor: &Reactor, socket: Socket, limits: ConnectionLimits, handler: Rc<dyn FrameHandler>) -> Self {
        let ConnectionLimits { frame_bytes_max, budget, pool, meters } = limits;
        let (is_receiving, is_sending) = (Cell::new(false), Cell::new(false));
        let (reactor, state) = (reactor.clone(), RefCell::default());
        let muted_until = Cell::new(Instant(0));
        let connection =
            Self(Rc::new(Inner { reactor, socket, budget, meters, is_receiving, is_sending, muted_until, state }));
        let reactor = &connection.0.reactor;
        let reader = connection.clone();
        reactor.spawn(async move {
            if let Err(end) = reader.read(Framing::new(frame_bytes_max, pool), &*handler).await {
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
            let mut wakers: Vec<Waker> = state.slots.iter_mut().filter_map(|slot| slot.on_close.take()).collect();
            // The others are still worked on, in their frames.
            for slot in state.slots.iter_mut().filter(|slot| slot.answer.is_some()) {
                slot.give_back();
            }
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

    /// When bytes last came or went.
    pub fn last_active(&self) -> Instant {
        self.0.socket.last_active()
    }

    /// Whether it holds memory and the peer is to move: to send the rest of a large frame, or to take an answer.
    pub fn waits_for_peer(&self) -> bool {
        self.0.is_receiving.get() || self.0.is_sending.get()
    }

    async fn read(&self, mut framing: Framing, handler: &dyn FrameHandler) -> std::io::Result<()> {
        // Held from before a large frame's memory grows until its request is answered.
        let mut large_frame = None;
        loop {
            self.muted(&mut framing).await;
            while let Some(frame) = framing.next_frame().map_err(std::io::Error::other)? {
                self.0.is_receiving.set(false);
                let held = large_frame.take().unwrap_or_else(|| self.0.budget.hold(frame.len()));
                let arrival = Arrival::of(&frame, self.0.reactor.now());
                handler.handle(frame, self.open_slot(held, arrival));
                if !self.room(0, &mut framing).await {
                    return Ok(());
                }
                self.muted(&mut framing).await;
            }
            if let (None, Some(size_bytes)) = (&large_frame, framing.large_frame()) {
                if !self.room(size_bytes, &mut framing).await {
                    return Ok(());
                }
                large_frame = Some(self.0.budget.hold(size_bytes));
                self.0.is_receiving.set(true);
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

    /// Waits while the connection is muted.
    async fn muted(&self, framing: &mut Framing) {
        while self.0.muted_until.get() > self.0.reactor.now() && !self.is_closed() {
            framing.detach();
            self.0.socket.pause_receiving().await;
            let mut end = pin!(self.0.reactor.sleep_until(self.0.muted_until.get()));
            poll_fn(|context| {
                if self.is_closed() || end.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                self.0.state.borrow_mut().reader = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }

    fn open_slot(&self, held: Held, arrival: Arrival) -> Responder {
        let mut state = self.0.state.borrow_mut();
        let number = state.first + state.slots.len() as u64;
        if state.slots.capacity() == 0 {
            // Most connections, of very many, have one request at a time.
            state.slots.reserve_exact(1);
        }
        state.slots.push_back(Slot { held, arrival, answer: None, on_close: None });
        Responder { connection: Some(self.clone()), number }
    }

    /// Waits for room for `bytes` and for one more request; false when the connection is closed.
    async fn room(&self, bytes: usize, framing: &mut Framing) -> bool {
        let look = |context: &mut Context<'_>| self.poll_room(bytes, context);
        if let Poll::Ready(open) = poll_fn(|context| Poll::Ready(look(context))).await {
            return open;
        }
        framing.detach();
        self.0.socket.pause_receiving().await;
        poll_fn(look).await
    }

    fn poll_room(&self, bytes: usize, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.0.state.borrow_mut();
        if state.closed {
            return Poll::Ready(false);
        }
        if state.slots.len() < REQUESTS_MAX && self.0.budget.poll_room(bytes, context).is_ready() {
            return Poll::Ready(true);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    async fn write(&self) {
        while let Some(Due { pieces, held, arrivals }) = self.due().await {
            self.0.is_sending.set(true);
            let due_at = self.0.reactor.now();
            let sent = if pieces.is_empty() { Ok(()) } else { self.0.socket.send_pieces(pieces).await };
            if sent.is_err() {
                return;
            }
            self.0.is_sending.set(false);
            drop(held);
            self.count(&arrivals, due_at);
            if let Some(reader) = self.0.state.borrow_mut().reader.take() {
                reader.wake();
            }
        }
    }

    fn count(&self, arrivals: &[(Arrival, Instant)], due_at: Instant) {
        let sent_at = self.0.reactor.now();
        for (Arrival { api_key, api_version, at: received_at }, answered_at) in arrivals {
            let times = RequestInstants { received_at: *received_at, answered_at: *answered_at, due_at, sent_at };
            self.0.meters.answered(*api_key, *api_version, &times);
        }
    }

    /// All answers that are due now, joined, with what is held for them; `None` when closed.
    async fn due(&self) -> Option<Due> {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if state.closed {
                return Poll::Ready(None);
            }
            let mut due: Option<Due> = None;
            while let Some(slot) = state.slots.pop_front_if(|slot| slot.answer.is_some()) {
                state.first += 1;
                let (answer, answered_at) = slot.answer.expect("checked above");
                match &mut due {
                    None => {
                        let arrivals = SmallVec::from_iter([(slot.arrival, answered_at)]);
                        due = Some(Due { pieces: answer, held: slot.held, arrivals });
                    }
                    Some(due) => {
                        due.pieces.extend(answer);
                        due.held.join(slot.held);
                        due.arrivals.push((slot.arrival, answered_at));
                    }
                }
            }
            if due.is_some() {
                return Poll::Ready(due);
            }
            state.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn answer(&self, number: u64, pieces: Pieces) {
        let mut state = self.0.state.borrow_mut();
        if state.closed {
            return state.slot(number).give_back();
        }
        let answer_bytes = pieces.iter().map(Piece::size_bytes).sum::<usize>();
        let slot = state.slot(number);
        assert!(slot.answer.is_none(), "a request is answered once");
        slot.answer = Some((pieces, self.0.reactor.now()));
        slot.held.resize(slot.held.bytes() + answer_bytes);
        if number == state.first
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
    pub fn send(mut self, pieces: Pieces) {
        if let Some(connection) = self.connection.take() {
            connection.answer(self.number, pieces);
        }
    }

    /// Nothing is read from the connection for this long; what was read already is handled.
    pub fn mute(&self, time: Duration) {
        let Some(Connection(inner)) = &self.connection else { return };
        let until = inner.reactor.now().0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        inner.muted_until.set(inner.muted_until.get().max(Instant(until)));
    }

    /// This request gets no answer (acks=0).
    pub fn none(self) {
        self.send(Pieces::new());
    }

    /// Closes the connection, as Kafka does for what it cannot answer.
    pub fn close(self) {}

    /// The budget of the connection: an answer that can be cut short asks it for room first.
    pub fn budget(&self) -> Option<&Budget> {
        self.connection.as_ref().map(|connection| &connection.0.budget)
    }

    /// Where the client is, while it is there.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.0.socket.peer_address().ok()
    }

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
            state.slot(self.number).on_close = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
            connection.0.state.borrow_mut().slot(self.number).give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::reactor::sim::{SimConfig, SimWorld};

    use super::*;
    use crate::net::accept_loop;

    /// Keeps the frames, and who waits for an answer.
    #[derive(Default)]
    struct Keeps(RefCell<Vec<(Bytes, Responder)>>);

    impl FrameHandler for Keeps {
        fn handle(&self, frame: Bytes, responder: Responder) {
            self.0.borrow_mut().push((frame, responder));
        }
    }

    #[test]
    fn a_request_counts_until_it_is_over_also_when_its_connection_has_ended() {
        const BYTES_MAX: usize = 1 << 20;
        let world = SimWorld::new(1, SimConfig::default());
        let (reactor, client) = (world.reactor(0, 0), world.reactor(1, 0));
        let address = SocketAddr::new(world.host_ip(0), 9092);
        let (budget, keeps) = (Budget::new(BYTES_MAX), Rc::new(Keeps::default()));
        let limits = ConnectionLimits {
            frame_bytes_max: BYTES_MAX,
            budget: budget.clone(),
            pool: FramePool::new(BYTES_MAX),
            meters: Rc::default(),
        };
        let (serving, handler) = (reactor.clone(), Rc::clone(&keeps));
        let serve = move |socket| {
            Connection::start(&serving, socket, limits.clone(), Rc::clone(&handler) as Rc<dyn FrameHandler>);
        };
        reactor.spawn(accept_loop(reactor.clone(), reactor.listen(address).unwrap(), || Duration::ZERO, serve));
        let second = Duration::from_secs(1);
        world.block_on(&client.clone(), second, async move {
            let socket = client.connect(address).await.unwrap();
            let frame = [&100_i32.to_be_bytes()[..], &[7; 100]].concat();
            socket.send_all([Bytes::from(frame.repeat(3))].into_iter().collect()).await.unwrap();
        });
        world.run_for(second);
        let mut kept = keeps.0.take();
        assert!(kept.len() == 3 && kept.iter().all(|(_, responder)| responder.is_closed()));
        assert_eq!(budget.left(), BYTES_MAX - 300);
        drop(kept.pop());
        kept.pop().unwrap().1.send(Pieces::new());
        assert_eq!(budget.left(), BYTES_MAX - 100);
        kept.pop().unwrap().1.none();
        assert_eq!(budget.left(), BYTES_MAX);
    }
}
