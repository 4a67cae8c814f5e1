//! A signal that any thread may give, for one task of a reactor: wakers of tasks belong to the reactor's own thread.
//!
//! Invariant: what is given while nobody waits is kept, once, for who waits next.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use super::Reactor;
use super::workers::Ended;

/// The receiving end.
pub struct Signal {
    reactor: Reactor,
    given: Arc<Given>,
}

struct Given {
    is_given: AtomicBool,
    number: u64,
    ended: Arc<Ended>,
}

impl std::task::Wake for Given {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel, the pair of the swap in `Signal::given`: what happened before is seen by who is told.
        if !self.is_given.swap(true, Ordering::AcqRel) {
            self.ended.tell(self.number);
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signal").field("number", &self.given.number).finish_non_exhaustive()
    }
}

impl Reactor {
    /// A signal to this reactor.
    pub fn signal(&self) -> Signal {
        let (number, ended) = self.computing().borrow_mut().new_signal();
        Signal { reactor: self.clone(), given: Arc::new(Given { is_given: AtomicBool::new(false), number, ended }) }
    }
}

impl Signal {
    /// Gives the signal, on any thread.
    pub fn waker(&self) -> Waker {
        Arc::clone(&self.given).into()
    }

    /// Done when the signal was given since this was last done. For one task at a time.
    pub async fn given(&self) {
        poll_fn(|context| {
            let mut computing = self.reactor.computing().borrow_mut();
            // Before the look at the flag: whoever gives the signal afterwards finds this waker.
            computing.await_number(self.given.number, context.waker().clone());
            if !self.given.is_given.swap(false, Ordering::AcqRel) {
                return Poll::Pending;
            }
            computing.forget_number(self.given.number);
            Poll::Ready(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::reactor::{IoConfig, IoDriver};

    #[test]
    fn another_thread_wakes_a_task_and_what_came_early_is_kept() {
        let reactor =
            Reactor::new(IoDriver::Uring.start(IoConfig::default()).expect("io_uring is allowed where tests run"));
        let signal = reactor.signal();
        for _ in 0..3 {
            let waker = signal.waker();
            thread::scope(|scope| {
                scope.spawn(move || waker.wake());
                reactor.block_on(signal.given());
            });
        }
        signal.waker().wake();
        signal.waker().wake();
        reactor.block_on(signal.given());
        let mut again = std::pin::pin!(signal.given());
        let mut context = std::task::Context::from_waker(Waker::noop());
        assert!(again.as_mut().poll(&mut context).is_pending(), "kept once");
    }
}
