//! One run: worker threads, CPU samples at both ends of the measured window, one report.

mod commit;
mod connect;
mod control;
mod conversations;
mod e2e;
mod groups;
mod join;
mod members;
mod mixed;
mod pipes;
mod produce;
mod read_back;
mod rebalance;

use std::iter::Peekable;
use std::sync::{Barrier, mpsc};
use std::time::Duration;

use anyhow::anyhow;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::reactor::{Instant, IoConfig, IoDriver, Reactor};

pub use commit::{commit, fetch_offsets};
pub use connect::connect;
pub use control::ControlSpec;
pub use e2e::{EndToEnd, e2e};
pub use join::join;
pub use members::heartbeats;
pub use mixed::{Beside, Parts, mixed};
pub use pipes::{Connection, Place, run};
pub use produce::produce;
pub use read_back::{ReadBackVolume, read_back, read_back_on};
pub use rebalance::{RebalanceSpec, rebalance};

use crate::client::{Target, TopicSpec, prepare};
use crate::cpu::{Sample, Usage};
use crate::findings::{Failure, Findings};
use crate::measured::Measured;
use crate::plan::{Arrival, Plan, Rate, Schedule};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::series::Cut;

/// The end of a run that a number of requests should have ended.
const COUNTED_RUN_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How often a worker looks whether all its connections are done.
const LOOK: Duration = Duration::from_millis(20);
/// The end of a reactor takes less.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What all kinds of load have in common.
#[derive(Debug, Clone)]
pub struct Load {
    /// Any broker, `HOST:PORT`.
    pub bootstrap: String,
    /// Worker threads.
    pub threads: usize,
    /// The first worker's core, the others follow.
    pub core: Option<usize>,
    /// Connections of all workers.
    pub connections: usize,
    /// Requests without an answer per connection at most.
    pub in_flight: usize,
    /// How often a request is sent once more that was lost, or refused by a broker that was not the right one.
    pub retries_max: u32,
    /// Requests per second of all connections.
    pub rate: Rate,
    /// How open-loop requests are spread.
    pub arrival: Arrival,
    /// Requests of a connection that leave at the same instant.
    pub burst: usize,
    /// What ends the run.
    pub end: End,
    /// Before the measured window.
    pub warmup: Duration,
    /// The measured window.
    pub duration: Duration,
    /// What is late after it, requests as well as answers, may come for so long.
    pub drain: Duration,
    /// Whose CPU time is measured.
    pub broker_pid: Option<u32>,
    /// Of plans and payloads.
    pub seed: u64,
    /// What it is called while it goes on; without a name it is silent.
    pub shown_as: Option<&'static str>,
    /// The length of an interval of the report.
    pub interval: Duration,
    /// Echoes beside the load.
    pub control: Option<ControlSpec>,
    /// Tells the records of this run from those of others.
    pub run_id: u32,
}

/// The end of a run: its time, or a number that all connections reach together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After warm-up and window.
    Time,
    /// So many requests have left; or none was answered for so long, which is an error.
    Requests {
        /// Of all connections.
        count: u64,
        /// From one answer to the next.
        silence_max: Duration,
    },
    /// So many records were read or written; or none has come for so long.
    Records {
        /// Of all connections.
        count: u64,
        /// From one to the next.
        silence_max: Duration,
    },
}

impl Load {
    /// Only this number ends the run, and all of it is measured.
    pub fn end_after(&mut self, end: End) {
        self.end = end;
        (self.warmup, self.duration) = (Duration::ZERO, COUNTED_RUN_MAX);
    }

    /// How the measured window is cut into intervals.
    pub fn cut(&self) -> Cut {
        Cut { start: self.warmup, length: self.interval }
    }

    /// When connection `index` of `count` sends; nothing in a closed loop.
    pub fn plan(&self, index: usize, count: usize) -> Option<Peekable<Plan>> {
        let (rate, rate_at_end) = match self.rate {
            Rate::PerSecond(rate) => (rate, rate),
            Rate::Ramp(from, to) => (from, to),
            Rate::Max => return None,
        };
        let (length, arrival, burst, seed) = (self.planned_end(), self.arrival, self.burst, self.seed);
        Some(Schedule { rate, rate_at_end, length, arrival, burst, seed }.plan(index, count).peekable())
    }

    /// How many requests connection `index` of `count` sends at most.
    pub fn share_of_requests(&self, index: usize, count: usize) -> u64 {
        let End::Requests { count: all, .. } = self.end else { return u64::MAX };
        let (index, count) = (index as u64, count.max(1) as u64);
        all / count + u64::from(index < all % count)
    }

    /// After how many records each of `count` connections ends.
    pub fn share_of_records(&self, count: usize) -> u64 {
        let End::Records { count: all, .. } = self.end else { return u64::MAX };
        all.div_ceil(count.max(1) as u64)
    }

    /// Nothing is planned from then on.
    pub fn planned_end(&self) -> Duration {
        self.warmup + self.duration
    }

    /// When what is late is given up.
    pub fn deadline(&self) -> Duration {
        self.planned_end() + self.drain
    }
}

/// What one worker brings back.
#[derive(Debug)]
struct Outcome {
    recorder: Recorder,
    /// Of the control echo, which the first worker has.
    control: Option<Recorder>,
    findings: Findings,
    /// By the wall clock.
    start_ms: i64,
}

impl Outcome {
    /// Of a worker whose run starts now.
    fn new(load: &Load, reactor: &Reactor) -> Self {
        let start_ms = reactor.wall_clock_ms();
        Self { recorder: Recorder::new(load.cut()), control: None, findings: Findings::default(), start_ms }
    }

    /// Requests that were still in flight when the worker stopped waiting.
    fn unanswered(&mut self, count: usize) {
        if count > 0 {
            self.findings.failures(Failure::NoAnswer, count as u64, || format!("{count} requests of one connection"));
        }
    }

    /// Requests that were planned, and whose turn had not come when the worker stopped waiting.
    fn unsent(&mut self, count: usize) {
        if count > 0 {
            let text =
                || format!("{count} planned requests of one connection: the broker was slower than the plan, or away");
            self.findings.failures(Failure::NotSent, count as u64, text);
        }
    }
}

/// An executor on a new io_uring of the calling thread.
pub fn reactor() -> anyhow::Result<Reactor> {
    let config = IoConfig { buffers: 1024, ..IoConfig::default() };
    Ok(Reactor::new(IoDriver::Uring.start(config)?))
}

/// Asks the broker about the topic, on a ring of its own.
pub fn target(bootstrap: &str, topic: &TopicSpec) -> anyhow::Result<Target> {
    let reactor = reactor()?;
    let prepared = reactor.block_on(prepare(&reactor, bootstrap, topic));
    stop(&reactor)?;
    Ok(prepared?)
}

/// Runs `work` on `threads` threads, each with its number and a barrier that it has to pass once, connected or not.
fn measured(
    load: &Load,
    threads: usize,
    work: impl Fn(usize, &Barrier, &Progress) -> anyhow::Result<Outcome> + Sync,
) -> anyhow::Result<Measured> {
    shorten_timer_slack();
    let started = Barrier::new(threads + 1);
    let (ended, over) = mpsc::channel::<()>();
    let progress = Progress::new(threads, load.shown_as.is_some());
    let (outcomes, usage) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (started, work, progress, ended) = (&started, &work, &progress, ended.clone());
                scope.spawn(move || {
                    let outcome = work(thread, started, progress);
                    drop(ended);
                    outcome
                })
            })
            .collect();
        drop(ended);
        started.wait();
        let name = load.shown_as.unwrap_or_default();
        progress.wait(&over, load.warmup, &format!("{name}, warm-up"));
        let before = Sample::take(load.broker_pid);
        progress.wait(&over, load.duration, name);
        let usage = Sample::take(load.broker_pid).since(&before);
        let outcomes: anyhow::Result<Vec<Outcome>> =
            workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?).collect();
        (outcomes, usage)
    });
    Ok(merge(load, outcomes?, usage, threads))
}

/// Whether a coordinator is only not ready, or has just moved.
fn is_retriable(code: ErrorCode) -> bool {
    [ErrorCode::COORDINATOR_NOT_AVAILABLE, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::NOT_COORDINATOR]
        .contains(&code)
}

/// The end of a worker: everything that its tasks hold is given back.
fn stop(reactor: &Reactor) -> anyhow::Result<()> {
    reactor.stop(STOP_MAX)?;
    Ok(())
}

/// A fresh instant, which is the start of the run for this worker.
fn start(reactor: &Reactor) -> Instant {
    reactor.block_on(reactor.yield_now());
    reactor.now()
}

fn merge(load: &Load, outcomes: Vec<Outcome>, usage: Usage, threads: usize) -> Measured {
    let start_ms = outcomes.iter().map(|outcome| outcome.start_ms).min().unwrap_or_default();
    let mut all =
        Outcome { recorder: Recorder::new(load.cut()), control: None, findings: Findings::default(), start_ms };
    for outcome in &outcomes {
        all.recorder.merge(&outcome.recorder);
        all.findings.merge(&outcome.findings);
        all.control = all.control.or_else(|| outcome.control.clone());
    }
    let last = all.recorder.last_answered.saturating_sub(load.warmup);
    // A run that ends after so many requests or records has no window but itself.
    let window = if load.end == End::Time { load.duration } else { last.max(LOOK) };
    Measured {
        recorder: all.recorder,
        control: all.control,
        read_back: None,
        findings: all.findings,
        window_start_ms: start_ms + load.warmup.as_millis() as i64,
        elapsed: window.max(last),
        window,
        usage,
        threads,
    }
}

/// Binds the calling thread to a core.
pub fn pin(core: Option<usize>) -> anyhow::Result<()> {
    match core {
        Some(id) if !core_affinity::set_for_current(core_affinity::CoreId { id }) => Err(anyhow!("no core {id}")),
        _ => Ok(()),
    }
}

/// Timers are late by up to 50 us by default; threads started from here on inherit what is set for this one.
fn shorten_timer_slack() {
    // Best effort: without it the lateness that is reported is larger.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}
