//! [`Reactor`]: tasks, timers and operations of one shard, on any driver.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::slots::Slots;
use super::socket::Descriptor;
use super::task::Tasks;
use super::timer::{TimerKey, Timers};
use super::workers::{Computing, Workers};
use super::{Completion, Disk, Driver, Instant, Op, Token, Wait, Wake};

/// Tasks run in one turn at most, so that a busy shard still looks at its sockets.
const TASKS_PER_TURN_MAX: usize = 8_192;
/// How often in one turn deferred work may wake tasks that defer again.
const ROUNDS_PER_TURN_MAX: usize = 32;

pub(super) type SharedDriver = Rc<RefCell<Box<dyn Driver>>>;
type Deferred = Box<dyn FnOnce()>;

/// The executor of one shard. Clones are the same executor.
///
/// Tasks hold clones of it, so dropping it is not enough to end it while tasks are there: [`Reactor::stop`] first.
#[derive(Clone)]
pub struct Reactor(Rc<Inner>);

struct Inner {
    tasks: Tasks,
    slots: RefCell<Slots>,
    timers: RefCell<Timers>,
    deferred: RefCell<VecDeque<Deferred>>,
    yielded: RefCell<Vec<Waker>>,
    completions: RefCell<Vec<Completion>>,
    now: Cell<Instant>,
    disk: Rc<dyn Disk>,
    waker: Arc<dyn Wake>,
    workers: OnceCell<Workers>,
    computing: RefCell<Computing>,
    turns: Cell<u64>,
    driver: SharedDriver,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the slots let go of the sockets.
        self.driver.borrow_mut().end();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("now", &self.0.now.get()).field("turns", &self.0.turns.get()).finish()
    }
}

impl Reactor {
    /// An executor on the calling thread.
    pub fn new(driver: Box<dyn Driver>) -> Self {
        Self(Rc::new(Inner {
            tasks: Tasks::new(),
            slots: RefCell::default(),
            timers: RefCell::default(),
            deferred: RefCell::default(),
            yielded: RefCell::default(),
            completions: RefCell::default(),
            now: Cell::new(driver.now()),
            disk: driver.disk(),
            waker: driver.waker(),
            workers: OnceCell::new(),
            computing: RefCell::new(Computing::new(driver.waker())),
            turns: Cell::new(0),
            driver: Rc::new(RefCell::new(driver)),
        }))
    }

    /// Monotonic time, as of the start of this turn.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Monotonic time, read now: to measure work.
    pub fn clock(&self) -> Instant {
        self.0.driver.borrow().now()
    }

    /// Milliseconds since 1970 UTC, read now.
    pub fn wall_clock_ms(&self) -> i64 {
        self.0.driver.borrow().wall_clock_ms()
    }

    /// Random bits of the driver.
    pub fn random_u64(&self) -> u64 {
        self.0.driver.borrow_mut().random_u64()
    }

    /// The file system.
    pub fn disk(&self) -> Rc<dyn Disk> {
        Rc::clone(&self.0.disk)
    }

    /// Ends this reactor's sleep from any thread, for the doorbell.
    pub fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.0.waker)
    }

    /// Turns so far: constant while the shard sleeps.
    pub fn turns(&self) -> u64 {
        self.0.turns.get()
    }

    /// Tasks that have not ended.
    pub fn tasks_count(&self) -> usize {
        self.0.tasks.count()
    }

    /// Operations that are in flight, or done and not yet looked at.
    pub fn operations_count(&self) -> usize {
        self.0.slots.borrow().in_use()
    }

    /// Writes and syncs of files that failed when nobody waited for them any more.
    pub fn unseen_failures(&self) -> u64 {
        self.0.slots.borrow().unseen_failures()
    }

    /// Starts a task that nobody waits for.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.tasks.spawn(future);
    }

    /// Runs turns until `future` is done. An error of the driver is a panic here: start-up and tests cannot go on.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        loop {
            // Relaxed: the flag is set on this thread.
            if flag.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(value) = future.as_mut().poll(&mut context)
            {
                return value;
            }
            self.turn_if(|| !flag.0.load(Ordering::Relaxed)).expect("the I/O driver works");
        }
    }

    /// One turn: runs ready tasks and what was deferred, submits, sleeps if `may_sleep` and nothing is ready, and
    /// wakes whose operations or timers are done. They run in the next turn.
    pub fn turn(&self, may_sleep: bool) -> io::Result<()> {
        self.turn_if(|| may_sleep)
    }

    fn turn_if(&self, may_sleep: impl Fn() -> bool) -> io::Result<()> {
        let inner = &*self.0;
        self.run_ready();
        inner.turns.set(inner.turns.get() + 1);
        let busy = !may_sleep()
            || inner.tasks.has_ready()
            || !inner.yielded.borrow().is_empty()
            || !inner.deferred.borrow().is_empty();
        let wait = match (busy, inner.timers.borrow_mut().next()) {
            (true, _) => Wait::No,
            (false, Some(when)) if when <= inner.now.get() => Wait::No,
            (false, Some(when)) => Wait::Until(when),
            (false, None) => Wait::Forever,
        };
        let mut completions = inner.completions.take();
        let result = {
            let mut driver = inner.driver.borrow_mut();
            let result = driver.turn(wait, &mut completions);
            inner.now.set(driver.now());
            result
        };
        for completion in completions.drain(..) {
            self.deliver(completion);
        }
        inner.completions.replace(completions);
        inner.computing.borrow_mut().deliver();
        for waker in inner.yielded.take() {
            waker.wake();
        }
        loop {
            let due = inner.timers.borrow_mut().pop_due(inner.now.get());
            match due {
                Some(waker) => waker.wake(),
                None => return result,
            }
        }
    }

    /// Runs tasks, then what was deferred to the end of the turn, until both are empty or the turn has had its share.
    fn run_ready(&self) {
        let inner = &*self.0;
        let mut left = TASKS_PER_TURN_MAX;
        for _ in 0..ROUNDS_PER_TURN_MAX {
            left -= inner.tasks.run(left);
            let deferred = inner.deferred.take();
            if deferred.is_empty() {
                return;
            }
            for call in deferred {
                call();
            }
        }
    }

    fn deliver(&self, completion: Completion) {
        let delivered = self.0.slots.borrow_mut().deliver(completion);
        if let Some(token) = delivered.pause {
            self.0.driver.borrow_mut().cancel(token);
        }
        if let Some(handle) = delivered.close {
            self.0.driver.borrow_mut().close_socket(handle);
        }
        if let Some(waker) = &delivered.waker {
            waker.wake_by_ref();
        }
    }

    /// Runs `call` after the ready tasks of this turn and before what they started is submitted.
    pub fn at_turn_end(&self, call: impl FnOnce() + 'static) {
        self.0.deferred.borrow_mut().push_back(Box::new(call));
    }

    /// Lets other tasks and completions go first: ready again in the next turn.
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        let reactor = self.clone();
        let mut yielded = false;
        poll_fn(move |context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            reactor.0.yielded.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
    }

    /// Done when the time has come.
    pub fn sleep_until(&self, when: Instant) -> Sleep {
        Sleep { reactor: self.clone(), when, timer: None }
    }

    /// Done after `duration`, counted from this turn's time.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sleep_until(Instant(self.now().0.saturating_add(nanos)))
    }

    /// Drops every task where it stands, which cancels their operations; then runs turns, for `within` at most, until
    /// the driver has given these operations back. Returns how many it did not.
    pub fn stop(&self, within: Duration) -> io::Result<usize> {
        self.0.tasks.clear();
        self.0.deferred.take();
        let end = self.sleep(within).when;
        // So that the last turn does not sleep beyond it.
        self.0.timers.borrow_mut().insert(end, Waker::noop().clone());
        let left = || self.0.slots.borrow().abandoned();
        while left() > 0 && self.now() < end {
            self.turn(true)?;
        }
        Ok(left())
    }

    /// Starts an operation now. Dropping the future cancels it if it waits for a peer; a file operation runs on.
    pub(super) fn submit(&self, op: Op, keep: Option<Rc<Descriptor>>) -> Operation {
        let cancel = !op.is_of_disk();
        let token = self.0.slots.borrow_mut().insert(false, keep);
        let refused = match token {
            Some(token) => {
                self.0.driver.borrow_mut().submit(token, op);
                None
            }
            None => Some(Completion {
                token: Token { slot: u32::MAX, generation: 0 },
                result: Err(io::ErrorKind::WouldBlock.into()),
                bytes: bytes::Bytes::new(),
                more: false,
                op: Some(op),
            }),
        };
        Operation { reactor: self.clone(), token, cancel, refused }
    }

    /// Starts a multishot operation.
    pub(super) fn submit_stream(&self, op: Op, keep: Rc<Descriptor>) -> io::Result<Stream> {
        let accepts = matches!(op, Op::Accept { .. });
        let token = self.0.slots.borrow_mut().insert(true, Some(keep)).ok_or(io::ErrorKind::WouldBlock)?;
        self.0.driver.borrow_mut().submit(token, op);
        Ok(Stream { reactor: self.clone(), token: Some(token), accepts })
    }

    pub(super) fn driver(&self) -> &SharedDriver {
        &self.0.driver
    }

    pub(super) fn timers(&self) -> &RefCell<Timers> {
        &self.0.timers
    }

    pub(super) fn workers(&self) -> &OnceCell<Workers> {
        &self.0.workers
    }

    pub(super) fn computing(&self) -> &RefCell<Computing> {
        &self.0.computing
    }

    fn abandon(&self, token: Token, cancel: bool, accepts: bool) {
        let (completions, in_flight) = self.0.slots.borrow_mut().abandon(token, accepts);
        if cancel && in_flight {
            self.0.driver.borrow_mut().cancel(token);
        }
        for completion in completions {
            if let (true, Ok(handle)) = (accepts, &completion.result) {
                self.0.driver.borrow_mut().close_socket(super::Handle(*handle as i32));
            }
        }
    }
}

/// One operation in flight.
pub(super) struct Operation {
    reactor: Reactor,
    token: Option<Token>,
    cancel: bool,
    refused: Option<Completion>,
}

impl Future for Operation {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(refused) = self.refused.take() {
            return Poll::Ready(refused);
        }
        let token = self.token.expect("not polled after it was done");
        let polled = self.reactor.0.slots.borrow_mut().poll(token, context);
        if polled.is_ready() {
            self.token = None;
        }
        polled
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.reactor.abandon(token, self.cancel, false);
        }
    }
}

/// A multishot operation in flight.
pub(super) struct Stream {
    reactor: Reactor,
    /// `None` after the last completion.
    token: Option<Token>,
    accepts: bool,
}

impl Stream {
    /// The next completion; `None` after the last.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Completion>> {
        let Some(token) = self.token else { return Poll::Ready(None) };
        let polled = self.reactor.0.slots.borrow_mut().poll_stream(token, context);
        if let Poll::Ready(completion) = &polled
            && !completion.more
        {
            self.token = None;
        }
        polled.map(Some)
    }

    /// Asks for its end; what has arrived still comes, then the last completion.
    pub(super) fn pause(&self) {
        if let Some(token) = self.token
            && self.reactor.0.slots.borrow_mut().pause(token)
        {
            self.reactor.0.driver.borrow_mut().cancel(token);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.reactor.abandon(token, true, self.accepts);
        }
    }
}

/// A timer; nothing is left of it when it is dropped.
#[must_use]
pub struct Sleep {
    reactor: Reactor,
    when: Instant,
    timer: Option<TimerKey>,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("when", &self.when).finish()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.reactor.now() >= self.when {
            return Poll::Ready(());
        }
        let mut timers = self.reactor.0.timers.borrow_mut();
        if !self.timer.is_some_and(|key| timers.update(key, context.waker())) {
            let key = timers.insert(self.when, context.waker().clone());
            drop(timers);
            self.timer = Some(key);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.reactor.0.timers.borrow_mut().remove(key);
        }
    }
}

struct Flag(AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
