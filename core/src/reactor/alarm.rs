//! An alarm: calls at the earliest of the times to which it was set.
//!
//! Invariants:
//! - It rings once for all times to which it was set since it rang last; who waits for a later one sets it again.
//! - Set to no time it has no timer: a shard where nobody waits sleeps.
//! - It rings in a turn of its own, at most once in each, and never when it was dropped.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::timer::TimerKey;
use super::{Instant, Reactor};

/// Who sets it owns it.
#[must_use = "dropping it takes it away"]
pub struct Alarm(Rc<Shared>);

struct Shared {
    reactor: Reactor,
    when: Cell<Option<Instant>>,
    timer: Cell<Option<TimerKey>>,
    /// Of the task that rings, once that waits.
    waker: RefCell<Option<Waker>>,
    is_dropped: Cell<bool>,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Alarm").field("when", &self.0.when.get()).finish_non_exhaustive()
    }
}

impl Reactor {
    /// An alarm that is set to no time. `ring` is called in a task; it may set the alarm.
    pub fn alarm(&self, ring: impl Fn() + 'static) -> Alarm {
        let shared = Rc::new(Shared {
            reactor: self.clone(),
            when: Cell::new(None),
            timer: Cell::new(None),
            waker: RefCell::new(None),
            is_dropped: Cell::new(false),
        });
        let of_task = Rc::clone(&shared);
        self.spawn(poll_fn(move |context| of_task.poll(context, &ring)));
        Alarm(shared)
    }
}

impl Alarm {
    /// Rings at this time, unless it is to ring before.
    pub fn set(&self, when: Instant) {
        if self.0.when.get().is_none_or(|earlier| when < earlier) {
            self.0.set(Some(when));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.is_dropped.set(true);
        self.0.set(None);
        let waker = self.0.waker.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    fn set(&self, when: Option<Instant>) {
        self.when.set(when);
        let mut timers = self.reactor.timers().borrow_mut();
        if let Some(timer) = self.timer.take() {
            timers.remove(timer);
        }
        if let (Some(when), Some(waker)) = (when, &*self.waker.borrow()) {
            self.timer.set(Some(timers.insert(when, waker.clone())));
        }
    }

    fn poll(&self, context: &mut Context<'_>, ring: &impl Fn()) -> Poll<()> {
        let is_first = self.waker.borrow_mut().replace(context.waker().clone()).is_none();
        if is_first {
            // It may have been set before there was a task to wake.
            self.set(self.when.get());
        } else if self.when.get().is_some_and(|when| when <= self.reactor.now()) {
            self.set(None);
            ring();
        }
        if self.is_dropped.get() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reactor::sim::{SimConfig, SimWorld};

    const MS: u64 = 1_000_000;

    struct Bench {
        world: SimWorld,
        reactor: Reactor,
        start: Instant,
        /// When it rang, in milliseconds after the start.
        rung: Rc<RefCell<Vec<u64>>>,
    }

    impl Bench {
        fn new() -> Self {
            let world = SimWorld::new(1, SimConfig::default());
            let reactor = world.reactor(0, 0);
            Self { start: reactor.now(), world, reactor, rung: Rc::default() }
        }

        fn at(&self, after_ms: u64) -> Instant {
            Instant(self.start.0 + after_ms * MS)
        }

        fn alarm(&self) -> Alarm {
            let (reactor, start, rung) = (self.reactor.clone(), self.start, Rc::clone(&self.rung));
            self.reactor.alarm(move || rung.borrow_mut().push((reactor.now().0 - start.0) / MS))
        }

        fn run_until(&self, after_ms: u64) {
            self.world.run_for(Duration::from_nanos(self.at(after_ms).0 - self.world.now().0));
        }

        /// Nothing happens for an hour: there is no timer.
        fn assert_asleep(&self) {
            let turns = self.reactor.turns();
            self.world.run_for(Duration::from_secs(3_600));
            assert_eq!(self.reactor.turns(), turns + 1, "to fall asleep");
        }
    }

    #[test]
    fn the_earliest_time_rings_once_whichever_was_set_first() {
        for times in [[20, 10, 30], [10, 30, 20], [30, 20, 10]] {
            let bench = Bench::new();
            let alarm = bench.alarm();
            alarm.set(bench.at(times[0]));
            bench.run_until(5);
            alarm.set(bench.at(times[1]));
            bench.run_until(7);
            alarm.set(bench.at(times[2]));
            bench.run_until(40);
            assert_eq!(*bench.rung.borrow(), [10], "{times:?}");
            bench.assert_asleep();
        }
    }

    #[test]
    fn it_rings_again_at_a_later_time_to_which_it_is_set_when_it_has_rung() {
        let bench = Bench::new();
        let alarm = bench.alarm();
        bench.run_until(1);
        for (when, until) in [(10, 11), (30, 31), (25, 40)] {
            alarm.set(bench.at(when));
            bench.run_until(until);
        }
        assert_eq!(*bench.rung.borrow(), [10, 30, 31], "a time that has passed is now");
        bench.assert_asleep();
    }

    #[test]
    fn who_sets_it_to_now_each_time_it_rings_lets_others_run_between() {
        let bench = Bench::new();
        let alarm = Rc::new(RefCell::new(None));
        let (reactor, of_ring, rung) = (bench.reactor.clone(), Rc::clone(&alarm), Rc::clone(&bench.rung));
        alarm.replace(Some(bench.reactor.alarm(move || {
            rung.borrow_mut().push(reactor.turns());
            if rung.borrow().len() < 3 {
                of_ring.borrow().as_ref().map(|alarm: &Alarm| alarm.set(reactor.now())).expect("it rings");
            }
        })));
        alarm.borrow().as_ref().expect("made above").set(bench.at(10));
        bench.run_until(20);
        assert!(bench.rung.borrow().is_sorted_by(|turn, next| turn < next), "{:?}", bench.rung.borrow());
        assert_eq!(bench.rung.borrow().len(), 3);
        drop(alarm.take());
    }

    #[test]
    fn a_dropped_one_leaves_neither_a_timer_nor_a_task() {
        for runs_first in [false, true] {
            let bench = Bench::new();
            let tasks = bench.reactor.tasks_count();
            let alarm = bench.alarm();
            alarm.set(bench.at(10));
            if runs_first {
                bench.run_until(5);
            }
            drop(alarm);
            bench.run_until(6);
            assert_eq!(bench.reactor.tasks_count(), tasks);
            bench.assert_asleep();
            assert!(bench.rung.borrow().is_empty());
        }
    }
}
