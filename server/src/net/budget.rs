//! Bytes that requests and answers may hold: of one connection, within those of its shard.
//!
//! What is there is counted, never refused: a frame that has arrived is handled and an answer is sent. Whoever would add
//! more waits for room first, or asks for less.
//!
//! Invariants:
//! - What is held goes back when its [`Held`] is dropped, whichever way the work on it ends.
//! - Who holds nothing may add a small request, however full the shard is: those who fill it cannot shut others out.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A bound on bytes; clones are the same one.
#[derive(Clone)]
pub struct Budget(Rc<Inner>);

struct Inner {
    bytes_max: usize,
    held: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
    /// Told when somebody has to wait.
    watcher: Cell<Option<Waker>>,
    parent: Option<Budget>,
}

impl Budget {
    /// A bound of its own.
    pub fn new(bytes_max: usize) -> Self {
        Self::with_parent(bytes_max, None)
    }

    /// A bound within this one: what it holds, both hold.
    pub fn within(&self, bytes_max: usize) -> Self {
        Self::with_parent(bytes_max, Some(self.clone()))
    }

    fn with_parent(bytes_max: usize, parent: Option<Self>) -> Self {
        let (held, waiting, watcher) = (Cell::new(0), RefCell::default(), Cell::default());
        Self(Rc::new(Inner { bytes_max, held, waiting, watcher, parent }))
    }

    /// Counts bytes until the result is dropped.
    pub fn hold(&self, bytes: usize) -> Held {
        let mut held = Held { budget: self.clone(), bytes: 0 };
        held.resize(bytes);
        held
    }

    /// Bytes up to the nearest bound.
    pub fn left(&self) -> usize {
        let left = self.0.bytes_max.saturating_sub(self.0.held.get());
        self.0.parent.as_ref().map_or(left, |parent| parent.left().min(left))
    }

    /// Waits until `bytes` more fit below the bound, so that some room is left for small requests when large ones have
    /// taken theirs. What exceeds a bound by itself fits where nothing is held.
    pub fn poll_room(&self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let held = self.0.held.get();
        if held > 0 && held + bytes >= self.0.bytes_max {
            let mut waiting = self.0.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            if let Some(watcher) = self.0.watcher.take() {
                watcher.wake();
            }
            return Poll::Pending;
        }
        match &self.0.parent {
            Some(parent) if held > 0 || bytes > 0 => parent.poll_room(bytes, context),
            _ => Poll::Ready(()),
        }
    }

    /// Whether somebody waits for room here.
    pub fn is_short(&self) -> bool {
        !self.0.waiting.borrow().is_empty()
    }

    /// Done when somebody waits for room here. For one task at a time.
    pub async fn short(&self) {
        poll_fn(|context| {
            if self.is_short() {
                return Poll::Ready(());
            }
            self.0.watcher.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn change(&self, from: usize, to: usize) {
        self.0.held.set(self.0.held.get() - from + to);
        if to < from {
            self.0.waiting.take().into_iter().for_each(Waker::wake);
        }
        if let Some(parent) = &self.0.parent {
            parent.change(from, to);
        }
    }
}

/// Bytes counted in a [`Budget`] until this is dropped.
#[must_use]
pub struct Held {
    budget: Budget,
    bytes: usize,
}

impl Held {
    /// Where they are counted.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts what `other` counted, too. Both are of the same budget.
    pub fn join(&mut self, mut other: Self) {
        debug_assert!(Rc::ptr_eq(&self.budget.0, &other.budget.0));
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Counts another number from now on.
    pub fn resize(&mut self, bytes: usize) {
        self.budget.change(self.bytes, bytes);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_nearest_bound_counts_and_room_is_told() {
        let shard = Budget::new(100);
        let (one, other) = (shard.within(80), shard.within(80));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);

        let mut held = one.hold(70);
        assert_eq!((one.left(), other.left()), (10, 30));
        assert!(one.poll_room(10, &mut context).is_pending());
        assert!(one.poll_room(9, &mut context).is_ready());
        assert!(other.poll_room(29, &mut context).is_ready());
        assert!(!shard.is_short());
        assert!(other.poll_room(30, &mut context).is_pending());
        assert!(shard.is_short());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        held.resize(60);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2, "one waited at its own bound, one at the shard's");
        drop(held);
        assert_eq!((one.left(), shard.left()), (80, 100));
    }

    #[test]
    fn who_holds_nothing_is_not_shut_out() {
        let shard = Budget::new(100);
        let (greedy, modest) = (shard.within(100), shard.within(100));
        let mut context = Context::from_waker(Waker::noop());
        let _all = greedy.hold(100);
        assert!(modest.poll_room(0, &mut context).is_ready());
        assert!(modest.poll_room(1, &mut context).is_pending());
        let _request = modest.hold(1);
        assert!(modest.poll_room(0, &mut context).is_pending());
    }

    #[test]
    fn what_is_larger_than_the_bound_fits_alone() {
        let budget = Budget::new(10);
        let mut context = Context::from_waker(Waker::noop());
        assert!(budget.poll_room(1000, &mut context).is_ready());
        let held = budget.hold(1000);
        assert_eq!(budget.left(), 0);
        assert!(budget.poll_room(0, &mut context).is_pending());
        drop(held);
        assert!(budget.poll_room(0, &mut context).is_ready());
    }
}
