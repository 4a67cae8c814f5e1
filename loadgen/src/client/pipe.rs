//! One connection under load, without its socket: what leaves when, what its answers mean, what is lost when it breaks.
//!
//! Invariant: a request is recorded once, as answered or as failed, however often it is sent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::iter::Peekable;
use std::rc::Rc;
use std::time::Duration;

use super::{Outgoing, SetupError, Signal};
use crate::findings::{Failure, Findings};
use crate::plan::Plan;
use crate::recorder::{Recorder, Timing, Volume};
use crate::workload::{Answered, Leaving, Workload};

/// Bytes handed to one send at most.
const SEND_MAX: usize = 4 << 20;
/// How long a refused request waits before it is asked again, as `retry.backoff.ms` of Apache Kafka's clients.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// When one connection sends, as time since the start of the run.
#[derive(Debug)]
pub struct Pace {
    /// Open loop; none for a closed one.
    pub plan: Option<Peekable<Plan>>,
    /// Requests without an answer at most.
    pub in_flight_max: usize,
    /// How often a request is sent once more that was lost, or refused by a broker that was not the right one.
    pub retries_max: u32,
    /// What is planned before is not recorded.
    pub warmup: Duration,
    /// Nothing is planned from here on.
    pub end: Duration,
    /// Nor after so many requests.
    pub requests_max: u64,
    /// Nor when so many records have come or gone.
    pub records_max: u64,
}

impl Default for Pace {
    /// A closed loop without an end, one request at a time.
    fn default() -> Self {
        Self {
            plan: None,
            in_flight_max: 1,
            retries_max: 0,
            warmup: Duration::ZERO,
            end: Duration::MAX,
            requests_max: u64::MAX,
            records_max: u64::MAX,
        }
    }
}

/// The state that the tasks of a connection share.
pub struct Pipe<W: Workload> {
    /// What to send, and what to check.
    pub workload: W,
    /// Latencies, of all connections of this thread.
    pub recorder: Rc<RefCell<Recorder>>,
    /// What was wrong.
    pub findings: Findings,
    pace: Pace,
    in_flight: VecDeque<InFlight<W::Ticket>>,
    /// In the order in which they are due; they hold their places among the requests in flight.
    refused: VecDeque<Refused<W::Ticket>>,
    next_correlation_id: i32,
    planned_count: u64,
    records_count: u64,
    state: State,
    pub(super) signal: Signal,
}

/// A pipe and its tasks.
pub type Shared<W> = Rc<RefCell<Pipe<W>>>;

#[derive(Debug)]
struct InFlight<T> {
    planned: Duration,
    sent: Duration,
    correlation_id: i32,
    retries_left: u32,
    ticket: T,
}

/// A request that is sent again.
#[derive(Debug)]
struct Refused<T> {
    planned: Duration,
    due: Duration,
    retries_left: u32,
    ticket: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    /// The broker said that it is not the right one any more: nothing is sent until the right one is found.
    Stale,
    /// There is no connection.
    Lost,
    Ended,
}

/// What the sender does when nothing is to be sent now.
pub(super) enum Next {
    At(Duration),
    Answer,
    /// Whichever comes first.
    AnswerOrAt(Duration),
    End,
}

impl<W: Workload> fmt::Debug for Pipe<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("in_flight", &self.in_flight.len()).field("state", &self.state).finish()
    }
}

impl<W: Workload> Pipe<W> {
    /// Before the first request.
    pub fn new(workload: W, pace: Pace, recorder: Rc<RefCell<Recorder>>) -> Self {
        Self {
            workload,
            recorder,
            findings: Findings::default(),
            in_flight: VecDeque::with_capacity(pace.in_flight_max.min(1 << 16)),
            refused: VecDeque::new(),
            pace,
            next_correlation_id: 0,
            planned_count: 0,
            records_count: 0,
            state: State::Sending,
            signal: Signal::default(),
        }
    }

    /// Nothing more will be sent, and everything was answered or is lost.
    pub fn is_done(&self) -> bool {
        self.state == State::Ended && self.in_flight_count() == 0
    }

    /// Requests without an answer, or with one that is not the last.
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len() + self.refused.len()
    }

    /// Requests that were answered, or are lost.
    pub fn settled_count(&self) -> u64 {
        self.planned_count - self.in_flight_count() as u64
    }

    /// Whether the broker's next answer, or itself, is waited for.
    pub fn is_waiting(&self) -> bool {
        self.in_flight_count() > 0 || self.state != State::Sending
    }

    /// Records of all answers.
    pub fn records_count(&self) -> u64 {
        self.records_count
    }

    /// The plan ends here: what has left is still answered. Returns how many requests were still to be sent.
    pub fn end_plan(&mut self) -> u64 {
        std::mem::replace(&mut self.pace.requests_max, self.planned_count) - self.planned_count
    }

    /// Nothing more will be sent. Returns how many requests of the plan have not been.
    pub fn give_up_plan(&mut self) -> usize {
        let (end, left) = (self.pace.end, self.pace.requests_max.saturating_sub(self.planned_count));
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.state = State::Ended;
        let plan = self.pace.plan.take();
        plan.map_or(0, |plan| plan.take_while(|planned| *planned < end).take(left).count())
    }

    /// Puts all requests that are due into `out`.
    pub(super) fn fill(&mut self, out: &mut Outgoing, now: Duration) -> Next {
        loop {
            let planned = match &mut self.pace.plan {
                Some(plan) => *plan.peek().expect("a plan is endless"),
                None => now,
            };
            if self.state != State::Sending {
                return Next::End;
            }
            if out.size_bytes() >= SEND_MAX {
                return Next::Answer;
            }
            if let Some(Refused { planned, retries_left, ticket, .. }) = self.refused.pop_front_if(|one| one.due <= now)
            {
                self.leave(planned, now, retries_left, |workload, leaving| workload.again(ticket, leaving, out));
                continue;
            }
            let due = self.refused.front().map(|one| one.due);
            if planned >= self.pace.end || self.planned_count >= self.pace.requests_max {
                if self.pace.retries_max > 0 && self.in_flight_count() > 0 {
                    return due.map_or(Next::Answer, Next::AnswerOrAt);
                }
                self.state = State::Ended;
                return Next::End;
            }
            if planned > now {
                return match (self.pace.retries_max, due) {
                    (0, _) => Next::At(planned),
                    (_, due) => Next::AnswerOrAt(due.map_or(planned, |due| due.min(planned))),
                };
            }
            if self.in_flight_count() >= self.pace.in_flight_max {
                return due.map_or(Next::Answer, Next::AnswerOrAt);
            }
            if let Some(plan) = &mut self.pace.plan {
                plan.next();
            }
            self.planned_count += 1;
            self.leave(planned, now, self.pace.retries_max, |workload, leaving| workload.request(leaving, out));
        }
    }

    fn leave(
        &mut self,
        planned: Duration,
        sent: Duration,
        retries_left: u32,
        request: impl FnOnce(&mut W, Leaving) -> W::Ticket,
    ) {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        let ticket = request(&mut self.workload, Leaving { correlation_id, planned, sent });
        self.in_flight.push_back(InFlight { planned, sent, correlation_id, retries_left, ticket });
    }

    /// Requests that nobody answers (acks=0) are done when the kernel has taken them.
    pub(super) fn sent_unanswered(&mut self, now: Duration) {
        while let Some(request) = self.in_flight.pop_front() {
            let volume = self.workload.unanswered(request.ticket);
            self.record(&request, now, volume);
        }
    }

    /// Takes an answer, a frame without its length. What is not the answer to the oldest request is told.
    pub(super) fn answer(&mut self, frame: &[u8], now: Duration) -> Result<(), &'static str> {
        let correlation_id = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)).ok_or("answer too short")?;
        match self.in_flight.front() {
            None => return Err("answer without a request"),
            Some(request) if request.correlation_id != correlation_id => return Err("answer out of order"),
            Some(_) => {}
        }
        let Some(request) = self.in_flight.pop_front() else { return Ok(()) };
        let mut of_answer = Findings::default();
        let findings = if request.retries_left > 0 { &mut of_answer } else { &mut self.findings };
        match self.workload.answer(request.ticket, now, frame, findings) {
            Answered::Done(volume) => self.record(&request, now, volume),
            Answered::Failed => self.fail(request.planned, now),
            Answered::Stale => {
                if self.state == State::Sending {
                    self.state = State::Stale;
                }
                if request.retries_left > 0 {
                    of_answer.errors_become_retries();
                    self.refuse(request, now);
                } else {
                    self.fail(request.planned, now);
                }
            }
        }
        self.findings.merge(&of_answer);
        Ok(())
    }

    fn refuse(&mut self, request: InFlight<W::Ticket>, now: Duration) {
        let InFlight { planned, retries_left, ticket, .. } = request;
        self.refused.push_back(Refused { planned, due: now + RETRY_BACKOFF, retries_left: retries_left - 1, ticket });
    }

    fn record(&mut self, request: &InFlight<W::Ticket>, answered: Duration, volume: Volume) {
        self.records_count += volume.records;
        if self.records_count >= self.pace.records_max {
            self.end_plan();
        }
        if request.planned >= self.pace.warmup {
            let timing = Timing { planned: request.planned, sent: request.sent, answered };
            self.recorder.borrow_mut().record(timing, volume);
        }
    }

    fn fail(&mut self, planned: Duration, at: Duration) {
        if planned >= self.pace.warmup {
            self.recorder.borrow_mut().fail(at);
        }
    }

    /// Whether the connection has to be given up for one to the right broker, and nothing is lost by it.
    pub(super) fn is_drained(&self) -> bool {
        self.state == State::Stale && self.in_flight.is_empty()
    }

    /// The connection is no more: what was in flight has failed.
    pub(super) fn disconnected(&mut self, why: &str, now: Duration) {
        if self.state == State::Sending {
            self.state = State::Lost;
        }
        let lost = self.in_flight.iter().filter(|request| request.retries_left == 0).count() as u64;
        if lost > 0 {
            self.findings.failures(Failure::ConnectionLost, lost, || format!("{lost} requests in flight: {why}"));
        }
        while let Some(request) = self.in_flight.pop_front() {
            if request.retries_left > 0 {
                self.findings.retried(Failure::ConnectionLost);
                self.refuse(request, now);
            } else {
                self.workload.lost(request.ticket);
                self.fail(request.planned, now);
            }
        }
    }

    /// No connection could be made.
    pub(super) fn not_connected(&mut self, error: &SetupError) {
        if self.pace.retries_max > 0 {
            self.findings.retried(Failure::NotConnected);
        } else {
            self.findings.failures(Failure::NotConnected, 1, || error.to_string());
        }
    }

    /// Whether a new connection would have nothing to do.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        if now >= self.pace.end && self.refused.is_empty() {
            self.state = State::Ended;
        }
        self.state == State::Ended
    }

    /// There is a connection again.
    pub(super) fn reconnected(&mut self, partitions: &[i32]) {
        if !partitions.is_empty() {
            self.workload.lead(partitions);
        }
        self.state = State::Sending;
    }
}
