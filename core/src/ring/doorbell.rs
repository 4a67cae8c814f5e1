//! Wakes a thread that sleeps on something else than its rings, without a lost wake-up and seldom in vain.
//!
//! The sleeper: `declare_asleep`, look at all rings once more, sleep only if they are empty, `declare_awake`.
//! The pusher: publish, then `ring` once for the batch. Each side stores, passes a SeqCst fence, and loads what the other
//! stored. Of two SeqCst fences one is first: if the pusher's, the sleeper's second look finds the values; if the
//! sleeper's, the pusher finds the flag and wakes. While nobody sleeps, `ring` costs a fence and a load.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use super::sync::{AtomicBool, Ordering, fence};

/// Ends the present or the next sleep of the thread it belongs to. Called from any thread, at any time.
pub type WakeCallback = Arc<dyn Fn() + Send + Sync>;

/// One sleeper's bell, shared with all who push to it.
pub struct Doorbell {
    asleep: CachePadded<AtomicBool>,
    wake: OnceLock<WakeCallback>,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell {
    /// A bell whose owner is awake and has yet to say how it is woken.
    pub fn new() -> Self {
        Self { asleep: CachePadded::new(AtomicBool::new(false)), wake: OnceLock::new() }
    }

    /// How the owner is woken. Once, by the owner, before it first sleeps.
    ///
    /// # Panics
    /// When it was set before.
    pub fn set_wake(&self, wake: WakeCallback) {
        assert!(self.wake.set(wake).is_ok(), "a doorbell has one owner, who sets its wake callback once");
    }

    /// The owner is about to sleep. It must look at its rings after this call and before it sleeps.
    ///
    /// # Panics
    /// When no wake callback was set: nobody could end the sleep.
    pub fn declare_asleep(&self) {
        assert!(self.wake.get().is_some(), "who sleeps has said how it is woken");
        // Relaxed: the fence orders it before the owner's second look at its rings.
        self.asleep.store(true, Ordering::Relaxed);
        // SeqCst: with the fence in `ring`.
        fence(Ordering::SeqCst);
    }

    /// The owner is awake again, or did not sleep after all.
    pub fn declare_awake(&self) {
        // Relaxed: a pusher that still sees it asleep wakes it in vain, no more.
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Wakes the owner if it sleeps. After a batch was published. Returns whether the owner was woken by this call.
    pub fn ring(&self) -> bool {
        // SeqCst: with the fence in `declare_asleep`; orders the published index before the load of the flag.
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders the load. The exchange lets one of several pushers wake, and one that fails writes
        // nothing: every `false` of a pusher comes with a wake (a swap here fails the loom model of the mesh).
        if !self.asleep.load(Ordering::Relaxed)
            || self.asleep.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return false;
        }
        // Set before the flag was: the cell has its own Release and Acquire, and `declare_asleep` asserts it.
        if let Some(wake) = self.wake.get() {
            wake();
        }
        true
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("has_owner", &self.wake.get().is_some()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn wakes_only_a_sleeper_and_only_once() {
        let woken = Arc::new(AtomicUsize::new(0));
        let bell = Doorbell::new();
        let counter = Arc::clone(&woken);
        bell.set_wake(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(!bell.ring());
        bell.declare_asleep();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.declare_asleep();
        bell.declare_awake();
        assert!(!bell.ring());
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    #[should_panic(expected = "said how it is woken")]
    fn nobody_sleeps_without_a_wake_callback() {
        Doorbell::new().declare_asleep();
    }
}
