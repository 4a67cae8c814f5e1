//! Wakes one waiting task of the same thread.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Set by one task, waited for by another. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub struct Signal(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    set: bool,
    waker: Option<Waker>,
}

impl Signal {
    /// Ends the current or the next wait.
    pub fn set(&self) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.set = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Done when it was set since the last wait.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if std::mem::take(&mut state.set) {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}
