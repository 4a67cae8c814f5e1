//! What a fetch at any offset costs in a log: the offset index is searched, and the batch is read from the page cache. What
//! grows with the number of batches is the search. `cargo bench -p ringlog-core --bench index`.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringlog_core::log::commit_log::CommitLogConfig;
use ringlog_core::log::{COMMIT_LOG_FOLDER, Durability, LogConfig, LogKey, LogSpec, LogStore, ReadResult, StoreConfig};
use ringlog_core::reactor::{IoConfig, IoDriver, Pieces, Reactor};
use ringlog_core::record::{BatchBuilder, NewRecord};
use uuid::Uuid;

/// Appended in one turn.
const TURN: i64 = 1_000;
/// From one offset to the next that is asked for: a prime, so that all are, far from each other.
const STEP: i64 = 611_953;

fn store(reactor: &Reactor, folder: &tempfile::TempDir) -> LogStore {
    fs::create_dir_all(folder.path().join(COMMIT_LOG_FOLDER)).expect("a writable folder");
    let commit_log =
        CommitLogConfig { file_bytes: 8 << 20, file_count: 2, prewrite: false, ..CommitLogConfig::default() };
    let config = StoreConfig { commit_log, ..StoreConfig::default() };
    LogStore::open(reactor.clone(), folder.path().to_owned(), 0, config).expect("an empty folder")
}

/// A log of class page-cache with so many batches of one record, all in its segment.
fn log(store: &mut LogStore, partition_index: i32, batches: i64) -> LogKey {
    let spec = LogSpec {
        topic_name: "t".into(),
        topic_id: Uuid::from_u128(1),
        partition_index,
        durability: Durability::PageCache,
        config: LogConfig::default().into(),
    };
    let key = store.create(spec).expect("a new log");
    let mut builder = BatchBuilder::new();
    builder.push(NewRecord { value: Some(&[7; 100]), ..NewRecord::default() });
    let batch = Bytes::from(builder.build());
    for index in 1..=batches {
        store.append(key, &batch, 0).expect("room");
        if index % TURN == 0 {
            store.end_turn();
        }
    }
    assert_eq!(store.acked_end_offset(key), batches, "all are in the file");
    key
}

fn read(reactor: &Reactor, store: &mut LogStore, key: LogKey, offset: i64, end: i64) -> Pieces {
    match store.read(key, offset, end, 1, true).expect("it is there") {
        ReadResult::Ready(pieces) => pieces,
        ReadResult::Cold(reading) => reactor.block_on(reading).expect("it is there"),
    }
}

fn random_reads(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a writable folder");
    let reactor = Reactor::new(IoDriver::choose().0.start(IoConfig::default()).expect("a driver"));
    let mut store = store(&reactor, &folder);
    let mut group = criterion.benchmark_group("log");
    for (partition, batches) in [(0, TURN), (1, 400 * TURN)] {
        let key = log(&mut store, partition, batches);
        let mut offset = 0;
        group.bench_function(BenchmarkId::new("read at an offset", batches), |bencher| {
            bencher.iter(|| {
                offset = (offset + STEP) % batches;
                read(&reactor, &mut store, key, offset, batches)
            });
        });
    }
    group.finish();
    drop(store);
    reactor.stop(Duration::from_secs(5)).expect("the driver works");
}

criterion_group!(benches, random_reads);
criterion_main!(benches);
