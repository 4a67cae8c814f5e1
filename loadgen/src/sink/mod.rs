//! A target that keeps nothing: measures the load generator's own ceiling, and plays a slow or wrong broker in tests.
//!
//! It answers as a broker of one node would and hands out offsets, but forgets the records, unless it is told to keep
//! them. It is not a broker: everything lives in memory, and what is fetched from one that keeps nothing is one batch,
//! repeated.

mod answers;
mod groups;
mod kept;
mod members;
mod request;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::reactor::{Instant, Listener, Reactor, Socket};

pub use answers::Topics;

use crate::client::{Frames, Outgoing, Signal};

/// Answers of one connection that are held back at most, and bytes that wait to be sent, but for the last answer: a client
/// that takes none is cut off.
const HELD_BACK_MAX: usize = 1 << 16;
const OUT_BYTES_MAX: usize = 256 << 20;

/// How the sink behaves.
#[derive(Debug, Clone, Default)]
pub struct SinkConfig {
    /// Each answer that is not one of setting up is held back for so long.
    pub delay: Duration,
    /// From this time on, counted from the first of them, nothing is answered for the second time.
    pub stall: Option<(Duration, Duration)>,
    /// What is produced is kept in memory, to be fetched again.
    pub keep: bool,
    /// Something wrong in every so many answers.
    pub fault: Option<(Fault, u64)>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error code.
    Error,
    /// The offset of a produced batch was handed out before.
    RepeatOffset,
    /// A bit of a fetched batch is wrong.
    FlipBit,
    /// A fetch leaves out a batch.
    SkipBatch,
    /// A produced batch is acknowledged and not kept.
    ForgetBatch,
    /// A commit is acknowledged and not kept.
    ForgetCommit,
    /// A member is given the part of another one.
    WrongAssignment,
    /// The connection is closed.
    Close,
}

/// Accepts and serves for ever.
pub async fn serve(reactor: Reactor, mut listener: Listener, config: SinkConfig) -> std::io::Result<()> {
    let topics = Rc::new(RefCell::new(Topics::new(listener.local_address(), &config)));
    let first = Rc::new(RefCell::new(None));
    loop {
        let connection = Rc::new(Connection {
            reactor: reactor.clone(),
            socket: listener.accept().await?,
            config: config.clone(),
            first: Rc::clone(&first),
            queue: RefCell::default(),
            signal: Signal::default(),
        });
        let (writing, topics) = (Rc::clone(&connection), Rc::clone(&topics));
        reactor.spawn(async move {
            writing.write().await;
            writing.socket.shutdown();
        });
        reactor.spawn(async move {
            connection.read(&topics).await;
            connection.queue.borrow_mut().ended = true;
            connection.signal.set();
        });
    }
}

struct Connection {
    reactor: Reactor,
    socket: Socket,
    config: SinkConfig,
    /// When the first request of all connections came that was not one of setting up.
    first: Rc<RefCell<Option<Instant>>>,
    queue: RefCell<Queue>,
    signal: Signal,
}

#[derive(Default)]
struct Queue {
    /// What may leave.
    out: Outgoing,
    /// What may leave later, in order.
    held_back: VecDeque<(Instant, Bytes)>,
    ended: bool,
}

impl Queue {
    /// Takes an answer out of `answer`; false if there is no room.
    fn push(&mut self, answer: &mut Vec<u8>, due: Instant, now: Instant) -> bool {
        if due <= now && self.held_back.is_empty() {
            let has_room = self.out.size_bytes() < OUT_BYTES_MAX;
            self.out.append(answer);
            return has_room;
        }
        self.held_back.push_back((due, std::mem::take(answer).into()));
        self.held_back.len() <= HELD_BACK_MAX
    }

    /// Lets go of what may leave now; tells when the next answer may.
    fn release(&mut self, now: Instant) -> Option<Instant> {
        while let Some((_, answer)) = self.held_back.pop_front_if(|(due, _)| *due <= now) {
            self.out.share(&answer);
        }
        self.held_back.front().map(|(due, _)| *due)
    }
}

impl Connection {
    async fn read(&self, topics: &RefCell<Topics>) {
        let mut frames = Frames::new(self.socket.clone());
        let mut answer = Vec::new();
        while let Ok(true) = frames.advance().await {
            let (mut topics, mut queue, now) = (topics.borrow_mut(), self.queue.borrow_mut(), self.reactor.now());
            loop {
                let Some(is_load) = topics.answer(frames.frame(), &mut answer) else { return };
                let due = if is_load { self.due(now) } else { now };
                if !answer.is_empty() && !queue.push(&mut answer, due, now) {
                    return;
                }
                let Ok(has_next) = frames.advance_in_chunk() else { return };
                if !has_next {
                    break;
                }
            }
            self.signal.set();
        }
    }

    /// When an answer to what came now may leave.
    fn due(&self, now: Instant) -> Instant {
        let first = *self.first.borrow_mut().get_or_insert(now);
        let mut due = now.0 + self.config.delay.as_nanos() as u64;
        if let Some((after, length)) = self.config.stall {
            let from = first.0 + after.as_nanos() as u64;
            let until = from + length.as_nanos() as u64;
            if (from..until).contains(&due) {
                due = until;
            }
        }
        Instant(due)
    }

    async fn write(&self) {
        loop {
            let (next, parts) = {
                let mut queue = self.queue.borrow_mut();
                (queue.release(self.reactor.now()), queue.out.take())
            };
            if !parts.is_empty() {
                if self.socket.send_all(parts).await.is_err() {
                    return;
                }
                continue;
            }
            match next {
                Some(due) => self.reactor.sleep_until(due).await,
                None if self.queue.borrow().ended => return,
                None => self.signal.wait().await,
            }
        }
    }
}
