//! Lock-free rings between shards: the only way from one thread's state to another's.
//!
//! [`ring`] makes one bounded single-producer single-consumer ring, [`Doorbell`] wakes a thread that sleeps, and
//! [`Mesh`] joins both into one port per shard. Nothing here knows what the messages mean, or io_uring.
//!
//! Invariants:
//! - Each end of a ring belongs to one thread at a time: it is `Send`, takes `&mut self`, and is neither `Clone` nor `Sync`.
//! - Nothing blocks. Full and empty are answers.
//! - No wake-up is lost: whoever declares itself asleep looks at its rings once more before it sleeps.
//!
//! With `--cfg loom` the atomics below are loom's, here and nowhere else: `core/tests/loom_ring.rs` walks the interleavings.

mod doorbell;
mod mesh;
mod spsc;

pub use doorbell::{Doorbell, WakeCallback};
pub use mesh::{Mesh, MeshInbox, MeshOutbox, MeshPort, SendError, WAITING_MAX};
pub use spsc::{Consumer, Producer, ring};

/// The shared-memory primitives, swapped as a set for the model checker.
#[cfg(not(loom))]
mod sync {
    pub(super) use std::sync::Arc;
    pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

    /// `std`'s cell with the interface of loom's.
    #[derive(Debug)]
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(loom)]
mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}
