//! The tasks of one connection: one sends what the plan says, one takes the answers in their order and, when the
//! connection breaks or goes to the wrong broker, looks for the right one and connects again, as any client does.
//!
//! Invariant: the plan goes on meanwhile. What was planned during an outage leaves late, and its latency says so.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringlog_core::reactor::{Instant, Reactor, Socket};

use super::pipe::Next;
use super::route::Route;
use super::{Frames, Outgoing, Shared, Signal};
use crate::workload::Workload;

/// Pauses between attempts to connect, doubled from the first to the second.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Starts the tasks. `start` is the instant that the plan counts from.
pub fn drive<W: Workload + 'static>(reactor: &Reactor, route: Route, socket: Socket, pipe: &Shared<W>, start: Instant) {
    let mut driver = Driver { reactor: reactor.clone(), route, pipe: Rc::clone(pipe), start };
    reactor.spawn(async move {
        let mut socket = socket;
        loop {
            driver.serve(socket).await;
            match driver.reconnect().await {
                Some(again) => socket = again,
                None => return,
            }
        }
    });
}

struct Driver<W: Workload> {
    reactor: Reactor,
    route: Route,
    pipe: Shared<W>,
    start: Instant,
}

impl<W: Workload + 'static> Driver<W> {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.reactor.now().0.saturating_sub(self.start.0))
    }

    /// Until the connection is no more, and its sender neither.
    async fn serve(&self, socket: Socket) {
        let ended = Signal::default();
        let sender = Sender {
            reactor: self.reactor.clone(),
            socket: socket.clone(),
            pipe: Rc::clone(&self.pipe),
            start: self.start,
            ended: ended.clone(),
        };
        self.reactor.spawn(sender.run());
        let why = match self.receive(socket.clone()).await {
            Ok(()) => "closed by the broker".to_owned(),
            Err(error) => error.to_string(),
        };
        socket.shutdown();
        let signal = {
            let mut pipe = self.pipe.borrow_mut();
            pipe.disconnected(&why, self.elapsed());
            pipe.signal.clone()
        };
        signal.set();
        ended.wait().await;
    }

    async fn receive(&self, socket: Socket) -> io::Result<()> {
        let mut frames = Frames::new(socket);
        while frames.advance().await? {
            let (mut pipe, now) = (self.pipe.borrow_mut(), self.elapsed());
            loop {
                if let Err(wrong) = pipe.answer(frames.frame(), now) {
                    pipe.findings.problem(wrong, || format!("from {}", self.route.address));
                    return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
                }
                if pipe.is_drained() {
                    return Ok(());
                }
                if !frames.advance_in_chunk()? {
                    break;
                }
            }
            pipe.signal.set();
        }
        Ok(())
    }

    /// Nothing when the run is over.
    async fn reconnect(&mut self) -> Option<Socket> {
        let mut backoff = BACKOFF_MIN;
        loop {
            if self.pipe.borrow_mut().is_over(self.elapsed()) {
                return None;
            }
            self.reactor.sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            match self.route.connect(&self.reactor).await {
                Ok((socket, partitions)) => {
                    self.pipe.borrow_mut().reconnected(&partitions);
                    return Some(socket);
                }
                Err(error) => {
                    self.pipe.borrow_mut().not_connected(&error);
                }
            }
        }
    }
}

struct Sender<W: Workload> {
    reactor: Reactor,
    socket: Socket,
    pipe: Shared<W>,
    start: Instant,
    ended: Signal,
}

impl<W: Workload> Sender<W> {
    async fn run(self) {
        if self.send().await.is_err() {
            // The receiver is told by the socket, and tells why.
            self.socket.shutdown();
        }
        self.ended.set();
    }

    fn instant(&self, since_start: Duration) -> Instant {
        let nanos = u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.start.0.saturating_add(nanos))
    }

    async fn send(&self) -> io::Result<()> {
        let mut out = Outgoing::default();
        let signal = self.pipe.borrow().signal.clone();
        let has_answers = self.pipe.borrow().workload.has_answers();
        let elapsed = || Duration::from_nanos(self.reactor.now().0.saturating_sub(self.start.0));
        loop {
            let next = self.pipe.borrow_mut().fill(&mut out, elapsed());
            if out.size_bytes() > 0 {
                self.socket.send_all(out.take()).await?;
                if !has_answers {
                    self.pipe.borrow_mut().sent_unanswered(elapsed());
                }
                continue;
            }
            match next {
                Next::End => return Ok(()),
                Next::Answer => signal.wait().await,
                Next::At(planned) => self.reactor.sleep_until(self.instant(planned)).await,
                Next::AnswerOrAt(due) => {
                    let mut answer = pin!(signal.wait());
                    let mut sleep = pin!(self.reactor.sleep_until(self.instant(due)));
                    poll_fn(|context| match answer.as_mut().poll(context) {
                        Poll::Ready(()) => Poll::Ready(()),
                        Poll::Pending => sleep.as_mut().poll(context),
                    })
                    .await;
                }
            }
        }
    }
}
