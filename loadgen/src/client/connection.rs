//! One connection under load: a task sends what the plan says, another takes the answers in their order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::iter::Peekable;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::{Instant, Reactor, Socket};

use super::{Frames, Outgoing, Signal};
use crate::findings::Findings;
use crate::plan::Plan;
use crate::recorder::{Recorder, Timing};
use crate::workload::{Leaving, Workload};

/// Bytes handed to one send at most.
const SEND_MAX: usize = 4 << 20;

/// When one connection sends, as time since the start of the run.
#[derive(Debug)]
pub struct Pace {
    /// Open loop; none for a closed one.
    pub plan: Option<Peekable<Plan>>,
    /// Requests without an answer at most.
    pub in_flight_max: usize,
    /// What is planned before is not recorded.
    pub warmup: Duration,
    /// Nothing is planned from here on.
    pub end: Duration,
}

/// The state that the two tasks of a connection share.
pub struct Pipe<W: Workload> {
    /// What to send, and what to check.
    pub workload: W,
    /// Latencies of this connection.
    pub recorder: Recorder,
    /// What was wrong.
    pub findings: Findings,
    /// The last recorded answer.
    pub last_answered: Duration,
    pace: Pace,
    in_flight: VecDeque<InFlight<W::Ticket>>,
    next_correlation_id: i32,
    sender: State,
    signal: Signal,
}

/// A pipe and its two tasks.
pub type Shared<W> = Rc<RefCell<Pipe<W>>>;

#[derive(Debug)]
struct InFlight<T> {
    planned: Duration,
    sent: Duration,
    correlation_id: i32,
    ticket: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    Ended,
    Broken,
}

/// What the sender does when nothing is to be sent now.
enum Next {
    At(Duration),
    Answer,
    End,
}

impl<W: Workload> fmt::Debug for Pipe<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("in_flight", &self.in_flight.len()).field("sender", &self.sender).finish()
    }
}

impl<W: Workload> Pipe<W> {
    /// Before the first request.
    pub fn new(workload: W, pace: Pace) -> Self {
        Self {
            workload,
            recorder: Recorder::default(),
            findings: Findings::default(),
            last_answered: Duration::ZERO,
            in_flight: VecDeque::with_capacity(pace.in_flight_max.min(1 << 16)),
            pace,
            next_correlation_id: 0,
            sender: State::Sending,
            signal: Signal::default(),
        }
    }

    /// Nothing more will come.
    pub fn is_done(&self) -> bool {
        self.sender == State::Broken || (self.sender == State::Ended && self.in_flight.is_empty())
    }

    /// Requests without an answer.
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Puts all requests that are due into `out`.
    fn fill(&mut self, out: &mut Outgoing, now: Duration) -> Next {
        loop {
            let planned = match &mut self.pace.plan {
                Some(plan) => *plan.peek().expect("a plan is endless"),
                None => now,
            };
            if planned >= self.pace.end || self.sender != State::Sending {
                return Next::End;
            }
            if planned > now {
                return Next::At(planned);
            }
            if self.in_flight.len() >= self.pace.in_flight_max || out.size_bytes() >= SEND_MAX {
                return Next::Answer;
            }
            if let Some(plan) = &mut self.pace.plan {
                plan.next();
            }
            let correlation_id = self.next_correlation_id;
            self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
            let ticket = self.workload.request(Leaving { correlation_id, planned, sent: now }, out);
            self.in_flight.push_back(InFlight { planned, sent: now, correlation_id, ticket });
        }
    }

    /// Requests that nobody answers (acks=0) are done when the kernel has taken them.
    fn sent_unanswered(&mut self, now: Duration) {
        while let Some(request) = self.in_flight.pop_front() {
            let size_bytes = self.workload.request_size_bytes(request.ticket);
            self.record(&request, now, size_bytes);
        }
    }

    fn answer(&mut self, frame: &[u8], now: Duration) -> Result<(), &'static str> {
        let correlation_id = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)).ok_or("answer too short")?;
        let Some(request) = self.in_flight.pop_front() else { return Err("answer without a request") };
        if request.correlation_id != correlation_id {
            return Err("answer out of order");
        }
        let size_bytes = self.workload.answer(request.ticket, now, frame, &mut self.findings);
        self.record(&request, now, size_bytes);
        Ok(())
    }

    fn record(&mut self, request: &InFlight<W::Ticket>, answered: Duration, size_bytes: u64) {
        if request.planned >= self.pace.warmup {
            let timing = Timing { planned: request.planned, sent: request.sent, answered };
            self.recorder.record(timing, size_bytes);
            self.last_answered = self.last_answered.max(answered);
        }
    }

    fn break_off(&mut self, kind: &'static str, text: String) {
        if self.sender != State::Broken {
            self.sender = State::Broken;
            self.findings.problem(kind, || text);
        }
    }
}

/// Starts both tasks of a connection. `start` is the instant that the plan counts from.
pub fn drive<W: Workload + 'static>(reactor: &Reactor, socket: Socket, pipe: &Shared<W>, start: Instant) {
    let (ours, shared, sending) = (reactor.clone(), Rc::clone(pipe), socket.clone());
    reactor.spawn(async move {
        let result = send(&ours, &sending, &shared, start).await;
        let mut pipe = shared.borrow_mut();
        match result {
            Ok(()) if pipe.sender == State::Sending => pipe.sender = State::Ended,
            Ok(()) => {}
            Err(error) => pipe.break_off("connection", format!("send: {error}")),
        }
    });
    let (ours, shared) = (reactor.clone(), Rc::clone(pipe));
    reactor.spawn(async move {
        let ended = receive(&ours, socket, &shared, start).await;
        let mut pipe = shared.borrow_mut();
        pipe.break_off("connection", ended.map_or_else(|error| error.to_string(), |()| "closed by the broker".into()));
        pipe.signal.set();
    });
}

fn elapsed(reactor: &Reactor, start: Instant) -> Duration {
    Duration::from_nanos(reactor.now().0.saturating_sub(start.0))
}

async fn send<W: Workload>(reactor: &Reactor, socket: &Socket, pipe: &Shared<W>, start: Instant) -> io::Result<()> {
    let mut out = Outgoing::default();
    let signal = pipe.borrow().signal.clone();
    let has_answers = pipe.borrow().workload.has_answers();
    loop {
        let next = pipe.borrow_mut().fill(&mut out, elapsed(reactor, start));
        if out.size_bytes() > 0 {
            socket.send_all(out.take()).await?;
            if !has_answers {
                pipe.borrow_mut().sent_unanswered(elapsed(reactor, start));
            }
            continue;
        }
        match next {
            Next::End => return Ok(()),
            Next::Answer => signal.wait().await,
            Next::At(planned) => {
                let nanos = u64::try_from(planned.as_nanos()).unwrap_or(u64::MAX);
                reactor.sleep_until(Instant(start.0.saturating_add(nanos))).await;
            }
        }
    }
}

async fn receive<W: Workload>(reactor: &Reactor, socket: Socket, pipe: &Shared<W>, start: Instant) -> io::Result<()> {
    let mut frames = Frames::new(socket);
    while frames.advance().await? {
        let mut pipe = pipe.borrow_mut();
        if let Err(wrong) = pipe.answer(frames.frame(), elapsed(reactor, start)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
        }
        pipe.signal.set();
    }
    Ok(())
}
