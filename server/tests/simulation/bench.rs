//! What the simulated clients share: the model, the time, and what the run wants of them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::Reactor;

use super::groups::GroupsModel;
use super::model::Model;

/// Shared by all clients of a run.
pub struct Bench {
    pub broker: SocketAddr,
    pub model: RefCell<Model>,
    pub groups: RefCell<GroupsModel>,
    /// No new batches and topics: finish what is begun.
    pub draining: Cell<bool>,
    /// An injected error may make answers fail that would be wrong without it.
    pub errors_expected: Cell<bool>,
    /// Counts the broker's lives.
    pub life: Cell<u64>,
    pub verbose: bool,
}

impl Bench {
    /// Whether an answer over a connection that was opened in `life` may be a storage error. What a dead broker said may
    /// still arrive.
    pub fn tolerates_errors(&self, life: u64) -> bool {
        self.errors_expected.get() || life != self.life.get()
    }

    /// Prints what happens, when asked to.
    pub fn note(&self, reactor: &Reactor, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>12.3} ms  {}", reactor.now().0 as f64 / 1e6, text());
        }
    }
}

/// One client: a reactor on a host of its own.
#[derive(Clone)]
pub struct Client {
    pub reactor: Reactor,
    pub bench: Rc<Bench>,
    pub number: usize,
}

impl Client {
    /// A number below `bound`, of the run's seed.
    pub fn below(&self, bound: u64) -> u64 {
        self.reactor.random_u64() % bound
    }

    /// True in one of `n` cases.
    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Waits up to `micros_max`.
    pub async fn pause(&self, micros_max: u64) {
        self.reactor.sleep(Duration::from_micros(self.below(micros_max) + 1)).await;
    }

    /// Prints what happens, when asked to.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.bench.note(&self.reactor, || format!("client {}: {}", self.number, text()));
    }
}
