//! Computations that would hold a shard's loop up, on threads that are no shard's.
//!
//! A shard hands work over with [`Reactor::compute`] and goes on; the result wakes the task that waits for it. Without
//! workers (a simulation, a tool) the work is done in place, a little later.
//!
//! Invariants:
//! - At most [`JOBS_MAX`] jobs of all shards wait for a thread; one more is refused.
//! - Work gets what it needs by value and gives its result back by value: it shares nothing with a shard.
//! - A panic of the work is a panic of the task that waits for it.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use ahash::AHashMap;
use crossbeam_channel::{Sender, bounded};

use super::{Reactor, Wake};

/// Jobs that wait for a thread.
const JOBS_MAX: usize = 1024;
/// Without workers, work is done up to this much later.
const IN_PLACE_AFTER_MAX: Duration = Duration::from_millis(2);

type Job = Box<dyn FnOnce() + Send>;

/// A few threads for all shards of a process. Clones are the same; the threads end with the last one.
#[derive(Debug, Clone)]
pub struct Workers(Sender<Job>);

impl Workers {
    /// Starts the threads. They get the cores of the calling thread, so this comes before it is pinned.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (jobs, of_thread) = bounded::<Job>(JOBS_MAX);
        for id in 0..threads {
            let jobs = of_thread.clone();
            thread::Builder::new().name(format!("worker-{id}")).spawn(move || jobs.iter().for_each(|job| job()))?;
        }
        Ok(Self(jobs))
    }
}

/// What one reactor has computed elsewhere.
pub(super) struct Computing {
    next: u64,
    /// Tasks that wait, by the number of their computation.
    wakers: AHashMap<u64, Waker>,
    ended: Arc<Ended>,
}

/// Numbers of computations that have ended, from the workers, and of signals that were given.
pub(super) struct Ended {
    numbers: Mutex<Vec<u64>>,
    wake: Arc<dyn Wake>,
}

impl Ended {
    /// From any thread.
    pub(super) fn tell(&self, number: u64) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.wake.wake();
    }
}

impl Computing {
    pub(super) fn new(wake: Arc<dyn Wake>) -> Self {
        Self { next: 0, wakers: AHashMap::new(), ended: Arc::new(Ended { numbers: Mutex::default(), wake }) }
    }

    /// A number for a signal, and where it is told.
    pub(super) fn new_signal(&mut self) -> (u64, Arc<Ended>) {
        self.next += 1;
        (self.next, Arc::clone(&self.ended))
    }

    /// The task to wake when `number` is told.
    pub(super) fn await_number(&mut self, number: u64, waker: Waker) {
        self.wakers.insert(number, waker);
    }

    pub(super) fn forget_number(&mut self, number: u64) {
        self.wakers.remove(&number);
    }

    /// Wakes the tasks whose results have come.
    pub(super) fn deliver(&mut self) {
        if self.wakers.is_empty() {
            return;
        }
        let numbers = std::mem::take(&mut *self.ended.numbers.lock().unwrap_or_else(PoisonError::into_inner));
        numbers.iter().filter_map(|number| self.wakers.remove(number)).for_each(Waker::wake);
    }
}

/// All workers are busy, and enough waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much waits for the workers")]
pub struct WorkersBusy;

enum Started<T, F> {
    Elsewhere(Computation<T>),
    Here(F),
}

impl Reactor {
    /// Has computations done by `workers` from now on.
    pub fn set_workers(&self, workers: Workers) {
        assert!(self.workers().set(workers).is_ok(), "once");
    }

    /// Does `work` off the shard. It has begun, or will, whether the future is polled or not.
    pub fn compute<T, F>(&self, work: F) -> Result<impl Future<Output = T> + use<T, F>, WorkersBusy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let started = match self.workers().get() {
            Some(workers) => Started::Elsewhere(self.compute_elsewhere(workers, work)?),
            None => Started::Here(work),
        };
        let reactor = self.clone();
        Ok(async move {
            match started {
                Started::Elsewhere(computation) => computation.await,
                Started::Here(work) => {
                    let after_ns = reactor.random_u64() % IN_PLACE_AFTER_MAX.as_nanos() as u64;
                    reactor.sleep(Duration::from_nanos(after_ns)).await;
                    work()
                }
            }
        })
    }

    fn compute_elsewhere<T: Send + 'static>(
        &self,
        workers: &Workers,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Computation<T>, WorkersBusy> {
        let mut computing = self.computing().borrow_mut();
        computing.next += 1;
        let (number, ended) = (computing.next, Arc::clone(&computing.ended));
        // Until the task is polled; the place says that something is under way.
        computing.wakers.insert(number, Waker::noop().clone());
        let result = Arc::new(Mutex::new(None));
        let into = Arc::clone(&result);
        let job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            ended.tell(number);
        });
        if workers.0.try_send(job).is_err() {
            computing.wakers.remove(&number);
            return Err(WorkersBusy);
        }
        Ok(Computation { reactor: self.clone(), number, result })
    }
}

/// The result of work on another thread.
struct Computation<T> {
    reactor: Reactor,
    number: u64,
    result: Arc<Mutex<Option<thread::Result<T>>>>,
}

impl<T> Future for Computation<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Before the look at the result: whoever has put it there afterwards finds this waker.
        self.reactor.computing().borrow_mut().await_number(self.number, context.waker().clone());
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        match result {
            None => Poll::Pending,
            Some(Ok(value)) => Poll::Ready(value),
            Some(Err(panic)) => resume_unwind(panic),
        }
    }
}

impl<T> Drop for Computation<T> {
    fn drop(&mut self) {
        self.reactor.computing().borrow_mut().forget_number(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{IoConfig, IoDriver};
    use std::sync::mpsc;

    fn reactor(threads: usize) -> Reactor {
        let driver = IoDriver::Uring.start(IoConfig::default()).expect("io_uring is allowed where tests run");
        let reactor = Reactor::new(driver);
        reactor.set_workers(Workers::start(threads).unwrap());
        reactor
    }

    #[test]
    fn work_is_done_on_another_thread_while_the_shard_sleeps() {
        let reactor = reactor(1);
        let here = thread::current().id();
        let turns = reactor.turns();
        let there = reactor.block_on(reactor.compute(|| thread::current().id()).unwrap());
        assert_ne!(there, here);
        assert!(reactor.turns() - turns < 10);
        assert!(reactor.computing().borrow().wakers.is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused_and_what_was_taken_is_done() {
        let reactor = reactor(1);
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel::<()>();
        let first = reactor.compute(move || {
            begun.send(()).unwrap();
            held.recv().unwrap();
        });
        begins.recv().unwrap();
        let waiting: Vec<_> = (0..JOBS_MAX).map(|number| reactor.compute(move || number).unwrap()).collect();
        assert_eq!(reactor.compute(|| ()).err(), Some(WorkersBusy));
        release.send(()).unwrap();
        reactor.block_on(first.unwrap());
        for (number, computation) in waiting.into_iter().enumerate() {
            assert_eq!(reactor.block_on(computation), number);
        }
    }

    #[test]
    #[should_panic(expected = "of the work")]
    fn a_panic_of_the_work_is_one_of_the_waiter() {
        let reactor = reactor(1);
        reactor.block_on(reactor.compute(|| panic!("of the work")).unwrap());
    }
}
