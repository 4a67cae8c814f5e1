//! Two threads, one ring between them, beside `rtrb` and `crossbeam-channel`: `cargo bench -p ringlog-core --bench ring`.
//!
//! A time is that of [`COUNT`] values from one thread to the other. Who meets a full or an empty ring spins, and yields
//! its core after a while, so that figures on a machine with fewer free cores than threads are of the scheduler.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_utils::Backoff;

const COUNT: u64 = 100_000;
const CAPACITY: usize = 1024;
const BATCHES: [usize; 2] = [1, 64];

/// Runs `push(from, to)`, which says how many it pushed, beside `pop(max)`, which says how many it popped.
fn transfer(batch: usize, mut push: impl FnMut(u64, u64) -> u64 + Send, mut pop: impl FnMut(usize) -> u64) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut next, backoff) = (0, Backoff::new());
            while next < COUNT {
                match push(next, COUNT.min(next + batch as u64)) {
                    0 => backoff.snooze(),
                    pushed => {
                        next += pushed;
                        backoff.reset();
                    }
                }
            }
        });
        let (mut left, backoff) = (COUNT, Backoff::new());
        while left > 0 {
            match pop(batch) {
                0 => backoff.snooze(),
                popped => {
                    left -= popped;
                    backoff.reset();
                }
            }
        }
    });
}

fn ours(batch: usize) {
    let (mut producer, mut consumer) = ringlog_core::ring::ring::<u64>(CAPACITY);
    if batch == 1 {
        let pop = |_| consumer.pop().map_or(0, |value| (black_box(value), 1).1);
        return transfer(batch, move |from, _| u64::from(producer.push(from).is_ok()), pop);
    }
    let push = move |from, to| producer.push_batch(&mut (from..to)) as u64;
    transfer(batch, push, |max| consumer.pop_batch(max, |value| _ = black_box(value)) as u64);
}

fn rtrb_ring(batch: usize) {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    if batch == 1 {
        let pop = |_| consumer.pop().map_or(0, |value| (black_box(value), 1).1);
        return transfer(batch, move |from, _| u64::from(producer.push(from).is_ok()), pop);
    }
    let push = move |from: u64, to: u64| {
        let room = producer.slots().min((to - from) as usize);
        let chunk = producer.write_chunk_uninit(room).expect("no more than the free slots");
        chunk.fill_from_iter(from..to) as u64
    };
    transfer(batch, push, |max| {
        let count = consumer.slots().min(max);
        let chunk = consumer.read_chunk(count).expect("no more than the filled slots");
        chunk.into_iter().map(|value| (black_box(value), 1).1).sum()
    });
}

fn crossbeam(batch: usize) {
    let (sender, receiver) = crossbeam_channel::bounded::<u64>(CAPACITY);
    let push = move |from, to| (from..to).take_while(|&value| sender.try_send(value).is_ok()).count() as u64;
    transfer(batch, push, |max| {
        let values = std::iter::from_fn(|| receiver.try_recv().ok());
        values.take(max).map(|value| (black_box(value), 1).1).sum()
    });
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/two threads");
    group.throughput(Throughput::Elements(COUNT)).warm_up_time(Duration::from_millis(500));
    for batch in BATCHES {
        group.bench_function(BenchmarkId::new("ringlog", batch), |bencher| bencher.iter(|| ours(batch)));
        group.bench_function(BenchmarkId::new("rtrb", batch), |bencher| bencher.iter(|| rtrb_ring(batch)));
        group.bench_function(BenchmarkId::new("crossbeam-channel", batch), |bencher| bencher.iter(|| crossbeam(batch)));
    }
    group.finish();
}

criterion_group!(benches, two_threads);
criterion_main!(benches);
