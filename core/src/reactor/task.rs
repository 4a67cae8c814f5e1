//! The run queue of one executor, and its tasks.
//!
//! A task's schedule function must be `Send`, the queue is not: so it names its executor by id and finds the queue in a
//! thread-local table. Invariant: a task is scheduled only on the thread of its executor; another thread reaches it
//! through a ring and a doorbell.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::{self, ThreadId};

use async_task::{Runnable, Task};
use pin_project_lite::pin_project;
use slab::Slab;

thread_local! {
    static QUEUES: RefCell<Vec<(u64, Rc<Queue>)>> = const { RefCell::new(Vec::new()) };
}

/// Ids are never reused, so a late wake-up cannot meet a newer executor. Relaxed: only uniqueness matters.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

#[derive(Default)]
struct Queue {
    ready: RefCell<VecDeque<Runnable>>,
    /// Every task that has not ended, so that [`Tasks::clear`] can end it.
    tasks: RefCell<Slab<Task<()>>>,
}

pin_project! {
    /// A future that leaves its queue's tasks when it ends. An `async` block would hold it twice: caught, and awaited.
    struct Listed<F> {
        #[pin]
        future: F,
        queue: Weak<Queue>,
        key: usize,
    }
}

impl<F: Future<Output = ()>> Future for Listed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        ready!(this.future.poll(context));
        if let Some(queue) = this.queue.upgrade()
            && let Some(task) = queue.tasks.borrow_mut().try_remove(*this.key)
        {
            task.detach();
        }
        Poll::Ready(())
    }
}

/// The tasks of one executor.
pub(super) struct Tasks {
    id: u64,
    queue: Rc<Queue>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let queue = Rc::new(Queue::default());
        QUEUES.with(|queues| queues.borrow_mut().push((id, Rc::clone(&queue))));
        Self { id, queue }
    }

    /// Starts a task; it is first polled in the next turn.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let (id, home) = (self.id, thread::current().id());
        let mut tasks = self.queue.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let key = entry.key();
        let listed = Listed { future, queue: Rc::downgrade(&self.queue), key };
        let (runnable, task) = async_task::spawn_local(listed, move |runnable| schedule(id, home, runnable));
        entry.insert(task);
        drop(tasks);
        runnable.schedule();
    }

    /// Whether a task is ready.
    pub(super) fn has_ready(&self) -> bool {
        !self.queue.ready.borrow().is_empty()
    }

    /// Tasks that have not ended.
    pub(super) fn count(&self) -> usize {
        self.queue.tasks.borrow().len()
    }

    /// Runs ready tasks, also those that become ready meanwhile, at most `limit`; returns how many.
    pub(super) fn run(&self, limit: usize) -> usize {
        let mut ran = 0;
        while ran < limit {
            let Some(runnable) = self.queue.ready.borrow_mut().pop_front() else { break };
            runnable.run();
            ran += 1;
        }
        ran
    }

    /// Drops every task where it stands.
    pub(super) fn clear(&self) {
        loop {
            let tasks: Vec<_> = self.queue.tasks.borrow_mut().drain().collect();
            let ready: Vec<_> = self.queue.ready.borrow_mut().drain(..).collect();
            if tasks.is_empty() && ready.is_empty() {
                return;
            }
            // A dropped handle cancels its task and schedules it once more; dropping that runnable drops the future.
            drop(tasks);
            drop(ready);
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // A failing access means that the thread is ending, and the table with it.
        let _ = QUEUES.try_with(|queues| queues.borrow_mut().retain(|(id, _)| *id != self.id));
        self.clear();
    }
}

fn schedule(id: u64, home: ThreadId, runnable: Runnable) {
    let queue = QUEUES
        .try_with(|queues| queues.borrow().iter().find(|(other, _)| *other == id).map(|(_, queue)| Rc::clone(queue)));
    match queue {
        Ok(Some(queue)) => queue.ready.borrow_mut().push_back(runnable),
        // The executor is gone: the task ends here.
        _ if thread::current().id() == home => drop(runnable),
        _ => {
            // Neither running nor dropping it is allowed on this thread.
            std::mem::forget(runnable);
            panic!("a task was woken on another thread; threads reach a reactor through a ring and its doorbell");
        }
    }
}
