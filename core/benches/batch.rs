//! What each produced byte costs: the checks of a batch of 100-byte records, and the CRC alone.
//! `cargo bench -p ringlog-core --bench batch`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_core::record::{BatchBuilder, BatchView, NewRecord, ProduceRules, validate_produce};

const NOW_MS: i64 = 1_700_000_000_000;
const RECORD_BYTES: usize = 100;

fn batch(records: usize) -> Vec<u8> {
    let value = [7; RECORD_BYTES];
    let mut builder = BatchBuilder::new();
    for at in 0..records as i64 {
        builder.push(NewRecord { timestamp: NOW_MS + at, value: Some(&value), ..NewRecord::default() });
    }
    builder.build()
}

fn checks(criterion: &mut Criterion) {
    let rules = ProduceRules::default();
    let mut group = criterion.benchmark_group("batch");
    for records in [1, 150, 9_000] {
        let batch = batch(records);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_with_input(BenchmarkId::new("validate_produce", records), &batch, |bencher, batch| {
            bencher.iter(|| validate_produce(black_box(batch), &rules, NOW_MS).expect("a right batch"));
        });
        group.bench_with_input(BenchmarkId::new("crc", records), &batch, |bencher, batch| {
            let view = BatchView::parse(batch).expect("a whole batch");
            bencher.iter(|| black_box(&view).compute_crc());
        });
    }
    group.finish();
}

criterion_group!(benches, checks);
criterion_main!(benches);
