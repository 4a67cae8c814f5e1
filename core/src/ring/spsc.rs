//! A bounded ring with one producer and one consumer.
//!
//! `head` counts what was ever popped, `tail` what was ever pushed; both wrap around `usize`. Slot `n & mask` holds the
//! value number `n` exactly while `head <= n < tail`. Only the consumer writes `head`, only the producer writes `tail`,
//! each on its own cache line, and each end keeps the last value it saw of the other's so that it seldom reads it.
//!
//! Orderings come in pairs: the store of `tail` (Release) in [`Producer`] with its load (Acquire) in [`Consumer`] hands
//! the values over; the store of `head` (Release) in [`Consumer`] with its load (Acquire) in [`Producer`] hands the slots
//! back; the store of each `gone` flag (Release) in a drop with its load (Acquire) in the other end's `is_abandoned`.
//!
//! An end moves to another thread:
//! ```
//! let (mut producer, mut consumer) = ringlog_core::ring::ring::<String>(4);
//! let pusher = std::thread::spawn(move || producer.push("moved".into()));
//! assert_eq!(pusher.join().unwrap(), Ok(()));
//! assert_eq!(consumer.pop().as_deref(), Some("moved"));
//! ```
//! It is not shared between threads:
//! ```compile_fail,E0277
//! fn shared<T: Sync>(_: T) {}
//! let (producer, _consumer) = ringlog_core::ring::ring::<u64>(4);
//! shared(producer);
//! ```
//! ```compile_fail,E0277
//! fn shared<T: Sync>(_: T) {}
//! let (_producer, consumer) = ringlog_core::ring::ring::<u64>(4);
//! shared(consumer);
//! ```
//! It is not cloned:
//! ```compile_fail,E0599
//! let (producer, _consumer) = ringlog_core::ring::ring::<u64>(4);
//! let second = producer.clone();
//! ```
//! ```compile_fail,E0599
//! let (_producer, consumer) = ringlog_core::ring::ring::<u64>(4);
//! let second = consumer.clone();
//! ```
//! Values that may not leave their thread do not pass through it:
//! ```compile_fail,E0277
//! fn sent<T: Send>(_: T) {}
//! let (producer, _consumer) = ringlog_core::ring::ring::<std::rc::Rc<u64>>(4);
//! sent(producer);
//! ```
#![expect(unsafe_code, reason = "slots are written and read without a lock, by the protocol above")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use super::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell};

/// Makes a ring of `capacity` values, a power of two.
///
/// # Panics
/// When `capacity` is not a power of two.
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "the capacity of a ring is a power of two, not {capacity}");
    let shared = Arc::new(Shared {
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
        producer_gone: AtomicBool::new(false),
        consumer_gone: AtomicBool::new(false),
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0, not_sync: PhantomData };
    (producer, Consumer { shared, head: 0, tail_seen: 0, not_sync: PhantomData })
}

/// The end that pushes.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// What `shared.tail` holds: this end alone writes it.
    tail: usize,
    /// A value that `shared.head` once had: at most its present one.
    head_seen: usize,
    not_sync: PhantomData<Cell<()>>,
}

/// The end that pops.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// What `shared.head` holds: this end alone writes it.
    head: usize,
    /// A value that `shared.tail` once had: at most its present one.
    tail_seen: usize,
    not_sync: PhantomData<Cell<()>>,
}

struct Shared<T> {
    head: CachePadded<AtomicUsize>,
    tail: CachePadded<AtomicUsize>,
    producer_gone: AtomicBool,
    consumer_gone: AtomicBool,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched by one thread at a time: by the producer while it is outside of `head..tail`, by the consumer
// while it is inside, and the Release and Acquire pairs of the module's docs order the two. Values cross threads, hence `Send`.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: it owns its values; nothing in it is tied to a thread.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Producer<T> {
    /// Pushes one value, or hands it back when the ring is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.room(1) == 0 {
            return Err(value);
        }
        self.write(self.tail, value);
        self.publish(self.tail.wrapping_add(1));
        Ok(())
    }

    /// Pushes from `values` until the ring is full or they end, and publishes them at once. Returns how many.
    /// Takes no value that it cannot push. Should `values` panic, what this call had taken is leaked.
    pub fn push_batch(&mut self, values: &mut impl Iterator<Item = T>) -> usize {
        let wanted = values.size_hint().1.unwrap_or(usize::MAX);
        let room = self.room(wanted);
        let mut tail = self.tail;
        for value in values.take(room) {
            self.write(tail, value);
            tail = tail.wrapping_add(1);
        }
        let pushed = tail.wrapping_sub(self.tail);
        if pushed > 0 {
            self.publish(tail);
        }
        pushed
    }

    /// Whether a push would be refused, by a fresh look at the consumer's index.
    pub fn is_full(&mut self) -> bool {
        self.room(self.capacity()) == 0
    }

    /// Values it holds at most.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// Whether the consumer is gone: what is pushed from now on is dropped unread.
    pub fn is_abandoned(&self) -> bool {
        // Acquire: with the Release in the consumer's drop.
        self.shared.consumer_gone.load(Ordering::Acquire)
    }

    /// Free slots, looking at the consumer's index only when fewer than `wanted` are known to be free.
    fn room(&mut self, wanted: usize) -> usize {
        let capacity = self.capacity();
        let known = capacity - self.tail.wrapping_sub(self.head_seen);
        if known >= wanted.min(capacity) {
            return known;
        }
        // Acquire: with the Release in `Consumer::release`; the values in those slots were moved out before.
        self.head_seen = self.shared.head.load(Ordering::Acquire);
        debug_assert!(self.tail.wrapping_sub(self.head_seen) <= capacity, "head never passes tail");
        capacity - self.tail.wrapping_sub(self.head_seen)
    }

    /// Fills the free slot of value number `number`.
    fn write(&mut self, number: usize, value: T) {
        debug_assert!(number.wrapping_sub(self.head_seen) < self.capacity(), "slot {number} is free");
        self.shared.slot(number).with_mut(|slot| {
            // SAFETY: `number` is not in `head..tail` (it is within the room that `room` found and not published), so the
            // consumer does not touch this slot and no value in it is lost; only this end writes, through `&mut self`.
            unsafe { (*slot).write(value) };
        });
    }

    fn publish(&mut self, tail: usize) {
        self.tail = tail;
        // Release: with the Acquire in `Consumer::ready`; the slots below `tail` are filled.
        self.shared.tail.store(tail, Ordering::Release);
    }
}

impl<T> Consumer<T> {
    /// Pops the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        if self.ready(1) == 0 {
            return None;
        }
        let value = self.take(self.head);
        self.release(self.head.wrapping_add(1));
        Some(value)
    }

    /// Pops up to `max` values in order, hands each to `each`, and frees their slots at once. Returns how many.
    /// Should `each` panic, the values it was given are gone and the rest stays.
    pub fn pop_batch(&mut self, max: usize, mut each: impl FnMut(T)) -> usize {
        let count = self.ready(max).min(max);
        if count == 0 {
            return 0;
        }
        let mut batch = Batch { head: self.head, consumer: self };
        for _ in 0..count {
            let value = batch.consumer.take(batch.head);
            batch.head = batch.head.wrapping_add(1);
            each(value);
        }
        count
    }

    /// Whether nothing is there to pop, by a fresh look at the producer's index.
    pub fn is_empty(&mut self) -> bool {
        self.ready(self.capacity()) == 0
    }

    /// Values it holds at most.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// Whether the producer is gone. What it pushed is still there: once this is true, an empty ring stays empty.
    pub fn is_abandoned(&self) -> bool {
        // Acquire: with the Release in the producer's drop; its last `tail` is seen too.
        self.shared.producer_gone.load(Ordering::Acquire)
    }

    /// Values to pop, looking at the producer's index only when fewer than `wanted` are known.
    fn ready(&mut self, wanted: usize) -> usize {
        let known = self.tail_seen.wrapping_sub(self.head);
        if known >= wanted.min(self.capacity()) {
            return known;
        }
        // Acquire: with the Release in `Producer::publish`; the slots below are filled.
        self.tail_seen = self.shared.tail.load(Ordering::Acquire);
        debug_assert!(self.tail_seen.wrapping_sub(self.head) <= self.capacity(), "tail is at most one lap ahead");
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Moves value number `number` out. The caller counts it as popped before it can be asked for again.
    fn take(&mut self, number: usize) -> T {
        debug_assert!(number != self.tail_seen, "slot {number} is filled");
        self.shared.slot(number).with_mut(|slot| {
            // SAFETY: `number` is in `head..tail` (below the `tail_seen` that `ready` acquired), so the slot holds a value
            // and the producer leaves it alone until `release`; `pop` and `Batch` advance past it, so it is read once.
            unsafe { (*slot).assume_init_read() }
        })
    }

    fn release(&mut self, head: usize) {
        self.head = head;
        // Release: with the Acquire in `Producer::room`; the values below `head` were moved out.
        self.shared.head.store(head, Ordering::Release);
    }
}

/// Frees the slots of a batch when it ends, also by a panic of the receiver.
struct Batch<'a, T> {
    consumer: &'a mut Consumer<T>,
    head: usize,
}

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        self.consumer.release(self.head);
    }
}

impl<T> Shared<T> {
    fn slot(&self, number: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[number & (self.slots.len() - 1)]
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, and the counting of `Arc` ordered what they did before this.
        let tail = self.tail.load(Ordering::Relaxed);
        let mut number = self.head.load(Ordering::Relaxed);
        while number != tail {
            self.slot(number).with_mut(|slot| {
                // SAFETY: `number` is in `head..tail`, so the slot holds a value; nobody else is left to touch it.
                unsafe { (*slot).assume_init_drop() };
            });
            number = number.wrapping_add(1);
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // Release: with the Acquire in `Consumer::is_abandoned`.
        self.shared.producer_gone.store(true, Ordering::Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        // Release: with the Acquire in `Producer::is_abandoned`.
        self.shared.consumer_gone.store(true, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("tail", &self.tail).field("capacity", &self.capacity()).finish()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).field("capacity", &self.capacity()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize as Count;

    /// Counts its drops.
    struct Counted<'a>(&'a Count);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn full_hands_the_value_back() {
        let (mut producer, mut consumer) = ring(2);
        assert_eq!((producer.push(1), producer.push(2), producer.push(3)), (Ok(()), Ok(()), Err(3)));
        assert!(producer.is_full());
        assert_eq!(consumer.pop(), Some(1));
        assert_eq!(producer.push(3), Ok(()));
        assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(2), Some(3), None));
        assert!(consumer.is_empty());
    }

    #[test]
    fn a_batch_takes_only_what_fits() {
        let (mut producer, mut consumer) = ring(4);
        let mut values = 0..10;
        assert_eq!(producer.push_batch(&mut values), 4);
        assert_eq!(values, 4..10);
        let mut popped = Vec::new();
        assert_eq!(consumer.pop_batch(3, |value| popped.push(value)), 3);
        assert_eq!(producer.push_batch(&mut values), 3);
        assert_eq!(consumer.pop_batch(usize::MAX, |value| popped.push(value)), 4);
        assert_eq!(consumer.pop_batch(usize::MAX, |_| ()), 0);
        assert_eq!(popped, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn indexes_wrap_around() {
        let (mut producer, mut consumer) = ring(4);
        let start = usize::MAX - 1;
        (producer.tail, producer.head_seen, consumer.head, consumer.tail_seen) = (start, start, start, start);
        producer.shared.head.store(start, Ordering::Relaxed);
        producer.shared.tail.store(start, Ordering::Relaxed);
        for round in 0..3 {
            assert_eq!(producer.push_batch(&mut (0..9)), 4, "round {round}");
            assert_eq!(producer.push(9), Err(9));
            let mut popped = Vec::new();
            assert_eq!(consumer.pop_batch(9, |value| popped.push(value)), 4);
            assert_eq!(popped, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn what_is_left_is_dropped_with_the_ring() {
        let drops = Count::new(0);
        let (mut producer, mut consumer) = ring(8);
        assert_eq!(producer.push_batch(&mut (0..5).map(|_| Counted(&drops))), 5);
        drop(consumer.pop());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        drop(consumer);
        assert!(producer.is_abandoned());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        drop(producer);
        assert_eq!(drops.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_panic_in_a_batch_drops_nothing_twice() {
        let drops = Count::new(0);
        let (mut producer, mut consumer) = ring(4);
        assert_eq!(producer.push_batch(&mut (0..4).map(|_| Counted(&drops))), 4);
        let mut calls = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            consumer.pop_batch(4, |_value| {
                calls += 1;
                assert!(calls < 2, "planted");
            })
        }));
        assert!(result.is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        assert_eq!(consumer.pop_batch(4, drop), 2);
        assert_eq!(drops.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn what_a_gone_producer_pushed_is_still_read() {
        let (mut producer, mut consumer) = ring(2);
        assert!(!consumer.is_abandoned());
        producer.push(7).unwrap();
        drop(producer);
        assert!(consumer.is_abandoned());
        assert_eq!((consumer.pop(), consumer.pop()), (Some(7), None));
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn capacity_must_be_a_power_of_two() {
        let _ = ring::<u8>(3);
    }

    #[test]
    fn two_threads_keep_the_order() {
        let count: u64 = if cfg!(miri) { 200 } else { 200_000 };
        let (mut producer, mut consumer) = ring(64);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut values = 0..count;
                while !values.is_empty() {
                    if producer.push_batch(&mut values) == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            let mut next = 0;
            while next < count {
                let popped = consumer.pop_batch(16, |value| {
                    assert_eq!(value, next);
                    next += 1;
                });
                if popped == 0 {
                    std::thread::yield_now();
                }
            }
        });
        assert!(consumer.is_empty() && consumer.is_abandoned());
    }
}
