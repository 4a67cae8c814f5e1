//! Walks the interleavings of ring, doorbell and mesh with loom: `RUSTFLAGS="--cfg loom" cargo test --release --test loom_ring`.
//!
//! A lost wake-up is a deadlock here, which loom reports as a panic. The planted bugs show that it would be found.
#![cfg(loom)]

use std::ops::{Deref, DerefMut};
use std::sync::Arc as StdArc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use ringlog_core::ring::{Consumer, Doorbell, Mesh, ring};

/// Dropped only where nothing panics: loom's types panic when they are touched outside of a model's run, and the unwinding
/// from a planted deadlock is outside.
struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken by the drop only")
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("taken by the drop only")
    }
}

/// What a reactor sleeps on: a wake ends the present or the next sleep.
#[derive(Clone)]
struct Bed(Arc<(Mutex<bool>, Condvar)>);

impl Bed {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn sleep(&self) {
        let mut woken = self.0.0.lock().unwrap();
        while !*woken {
            woken = self.0.1.wait(woken).unwrap();
        }
        *woken = false;
    }

    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }

    fn callback(&self) -> StdArc<dyn Fn() + Send + Sync> {
        let bed = Kept::new(self.clone());
        StdArc::new(move || bed.wake())
    }
}

/// The doorbell, and what it would be with a bug.
trait Bell: Send + Sync + 'static {
    fn declare_asleep(&self);
    fn ring(&self);
}

impl Bell for Doorbell {
    fn declare_asleep(&self) {
        Doorbell::declare_asleep(self);
    }

    fn ring(&self) {
        Doorbell::ring(self);
    }
}

struct FencelessBell {
    asleep: AtomicBool,
    bed: Kept<Bed>,
}

impl Bell for FencelessBell {
    fn declare_asleep(&self) {
        self.asleep.store(true, Ordering::Release);
    }

    fn ring(&self) {
        if self.asleep.load(Ordering::Acquire) && self.asleep.swap(false, Ordering::AcqRel) {
            self.bed.wake();
        }
    }
}

enum SecondLook {
    Yes,
    Forgotten,
}

fn join(mut handle: Kept<thread::JoinHandle<()>>) {
    handle.0.take().expect("joined once").join().unwrap();
}

/// One batch, one bell; the receiver sleeps whenever it believes that nothing is there.
fn one_batch_wakes_the_receiver(bell: impl Bell, bed: &Bed, second_look: SecondLook) {
    let bell = Kept::new(Arc::new(bell));
    let (producer, consumer) = ring::<u32>(2);
    let (mut producer, mut consumer) = (Kept::new(producer), Kept::new(consumer));
    let pusher_bell = Kept::new(Arc::clone(&bell));
    let pusher = Kept::new(thread::spawn(move || {
        assert_eq!(producer.push_batch(&mut (1..3)), 2);
        pusher_bell.ring();
    }));
    let mut sum = 0;
    let mut drain = |consumer: &mut Consumer<u32>| consumer.pop_batch(2, |value| sum += value) > 0;
    while !drain(&mut consumer) {
        bell.declare_asleep();
        if matches!(second_look, SecondLook::Yes) && !consumer.is_empty() {
            continue;
        }
        bed.sleep();
    }
    join(pusher);
    assert_eq!(sum, 3);
}

#[test]
fn a_ring_hands_over_every_value_once_and_in_order() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::<Box<u32>>(2);
        let pusher = thread::spawn(move || {
            let mut values = (1..4).map(Box::new);
            while producer.push_batch(&mut values) > 0 {}
            let left = values.map(|value| *value).collect::<Vec<_>>();
            (left, producer)
        });
        let mut popped = Vec::new();
        for _ in 0..2 {
            popped.extend(consumer.pop().map(|value| *value));
        }
        let (left, producer) = pusher.join().unwrap();
        consumer.pop_batch(2, |value| popped.push(*value));
        assert_eq!([popped, left].concat(), [1, 2, 3]);
        drop(producer);
        assert!(consumer.is_abandoned());
    });
}

#[test]
fn a_ring_drops_what_is_left() {
    loom::model(|| {
        let value = Arc::new(());
        let (mut producer, mut consumer) = ring::<Arc<()>>(2);
        let pushed = Arc::clone(&value);
        let pusher = thread::spawn(move || {
            let _ = producer.push(Arc::clone(&pushed));
            let _ = producer.push(pushed);
        });
        drop(consumer.pop());
        drop(consumer);
        pusher.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn after_a_producer_is_gone_an_empty_ring_stays_empty() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring::<u32>(1);
        let pusher = thread::spawn(move || producer.push(1).unwrap());
        if consumer.is_abandoned() {
            assert_eq!(consumer.pop(), Some(1));
        }
        pusher.join().unwrap();
    });
}

#[test]
fn the_doorbell_loses_no_wake_up() {
    loom::model(|| {
        let bed = Kept::new(Bed::new());
        let bell = Doorbell::new();
        bell.set_wake(bed.callback());
        one_batch_wakes_the_receiver(bell, &bed, SecondLook::Yes);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn planted_a_doorbell_without_fences_is_found() {
    loom::model(|| {
        let bed = Kept::new(Bed::new());
        let bell = FencelessBell { asleep: AtomicBool::new(false), bed: Kept::new(bed.clone()) };
        one_batch_wakes_the_receiver(bell, &bed, SecondLook::Yes);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn planted_a_sleeper_without_a_second_look_is_found() {
    loom::model(|| {
        let bed = Kept::new(Bed::new());
        let bell = Doorbell::new();
        bell.set_wake(bed.callback());
        one_batch_wakes_the_receiver(bell, &bed, SecondLook::Forgotten);
    });
}

#[test]
fn a_stalled_sender_is_woken_when_there_is_room() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(5);
    model.check(|| {
        let mut ports = Mesh::new::<u32>(2, 1);
        let (mut to_sender, mut receiver) = ports.pop().unwrap().split();
        let (mut outbox, mut inbox) = ports.pop().unwrap().split();
        let (sender_bed, receiver_bed) = (Bed::new(), Bed::new());
        inbox.set_wake(sender_bed.callback());
        receiver.set_wake(receiver_bed.callback());
        let sender = thread::spawn(move || {
            outbox.send(1, 1).unwrap();
            outbox.send(1, 2).unwrap();
            while outbox.flush() > 0 {
                if inbox.may_sleep(&mut outbox) {
                    sender_bed.sleep();
                    inbox.awake();
                }
            }
            (outbox, inbox)
        });
        let mut received = Vec::new();
        while received.len() < 2 {
            if receiver.drain(|_, message| received.push(message)) == 0 && receiver.may_sleep(&mut to_sender) {
                receiver_bed.sleep();
                receiver.awake();
            }
        }
        drop(sender.join().unwrap());
        assert_eq!(received, [1, 2]);
    });
}

#[test]
fn a_flush_after_the_second_look_loses_no_wake_up() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let mut ports = Mesh::new::<u32>(2, 1);
        let (_to_sender, mut receiver) = ports.pop().unwrap().split();
        let (mut outbox, mut inbox) = ports.pop().unwrap().split();
        let bed = Bed::new();
        inbox.set_wake(bed.callback());
        let sender = thread::spawn(move || {
            assert!(inbox.may_sleep(&mut outbox), "nothing is there yet");
            outbox.send(1, 1).unwrap();
            outbox.send(1, 2).unwrap();
            while outbox.flush() > 0 {
                bed.sleep();
                inbox.awake();
            }
            (outbox, inbox)
        });
        let mut received = Vec::new();
        while received.is_empty() {
            receiver.drain(|_, message| received.push(message));
            thread::yield_now();
        }
        drop(sender.join().unwrap());
        receiver.drain(|_, message| received.push(message));
        assert_eq!(received, [1, 2]);
    });
}
