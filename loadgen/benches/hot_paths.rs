//! What the load generator does for every key, every answer and every batch.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_core::record::{Codec, partition_of};
use ringlog_loadgen::client::Outgoing;
use ringlog_loadgen::recorder::{Recorder, Timing, Volume};
use ringlog_loadgen::series::Cut;
use ringlog_loadgen::workload::stamp::Stamp;
use ringlog_loadgen::workload::{BatchSpec, Front, KeySpec, PrebuiltBatches, Sizes};

/// Repetitions of what takes nanoseconds.
const MANY: u64 = 1_000;

fn partitioner(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("partitioner");
    group.throughput(Throughput::Elements(MANY));
    for length in [10, 100] {
        let keys: Vec<Vec<u8>> = (0..MANY as usize).map(|index| vec![index as u8; length]).collect();
        group.bench_function(format!("{length} B keys"), |bencher| {
            bencher.iter(|| keys.iter().map(|key| partition_of(black_box(key), 100)).sum::<usize>());
        });
    }
}

fn recorder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(MANY));
    let mut recorder = Recorder::new(Cut { start: Duration::ZERO, length: Duration::from_secs(1) });
    group.bench_function("record", |bencher| {
        bencher.iter(|| {
            for index in 0..MANY {
                let planned = Duration::from_nanos(index);
                let answered = planned + Duration::from_nanos(100_000 + index * 977);
                recorder.record(Timing { planned, sent: planned, answered }, Volume { records: 1, bytes: 100 });
            }
        });
    });
}

fn spec(batch_bytes: usize, codec: Codec) -> BatchSpec {
    BatchSpec {
        batch_bytes,
        records: None,
        sizes: Sizes::List(vec![100]),
        keys: KeySpec::None,
        codec,
        compressible: 0.5,
        seed: 1,
    }
}

/// A batch that leaves: its front is written, its tail shared.
fn send_batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("send a prebuilt batch");
    group.throughput(Throughput::Elements(MANY));
    for size in [200, 16 << 10, 1 << 20] {
        let batches = PrebuiltBatches::build(&spec(size, Codec::None), 1);
        group.bench_function(format!("{size} B"), |bencher| {
            bencher.iter(|| {
                let mut out = Outgoing::default();
                for sequence in 0..MANY {
                    let instant = Duration::from_nanos(sequence);
                    let stamp = Stamp { run: 1, producer: 2, sequence, planned: instant, sent: instant };
                    let front = Front { timestamp_ms: 1, producer: None, stamp };
                    batches.get(sequence as usize % batches.variants()).write(&front, &mut out);
                }
                out.take()
            });
        });
    }
}

/// What happens once, before the run.
fn build_batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build eight batches of 64 KiB");
    group.throughput(Throughput::Bytes(8 << 16));
    for codec in Codec::ALL {
        let spec = spec(1 << 16, codec);
        group.bench_function(format!("{codec:?}"), |bencher| {
            bencher.iter_batched(|| spec.clone(), |spec| PrebuiltBatches::build(&spec, 1), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, partitioner, recorder, send_batch, build_batches);
criterion_main!(benches);
