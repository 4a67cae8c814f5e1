//! The rules of compaction one by one, on the simulated disk.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use bytes::Bytes;

use super::super::store_tests::{NOW_MS, World, joined};
use super::super::*;
use super::model_tests::open_log_of;
use super::plan::Source;
use super::swap::{file_path, finish_swaps};
use crate::planting::Planting;
use crate::reactor::sim::{Crash, DiskCall, DiskFault};
use crate::reactor::{File, OpenMode, read_file};
use crate::record::{BatchBuilder, BatchView, Batches, Codec, NewRecord, RawRecords};

const DIR: &str = "/data/c-0";

fn spec(config: LogConfig) -> LogSpec {
    LogSpec {
        topic_name: "c".into(),
        topic_id: uuid::Uuid::from_u128(1),
        partition_index: 0,
        durability: Durability::PageCache,
        config: LogConfig { is_compacted: true, is_deleted: false, ..config }.into(),
    }
}

/// Segments of two batches of about 140 bytes.
fn small() -> LogConfig {
    LogConfig { segment_bytes: 350, min_cleanable_dirty_ratio: 0.0, ..LogConfig::default() }
}

/// A batch of these keys; a value of `None` is a tombstone.
fn batch(records: &[(&str, Option<u8>)]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for (key, value) in records {
        let value = value.map(|tag| [tag; 70]);
        let value = value.as_ref().map(|value| &value[..]);
        builder.push(NewRecord { timestamp: NOW_MS, key: Some(key.as_bytes()), value, ..NewRecord::default() });
    }
    builder
}

struct Compacted {
    world: World,
    store: LogStore,
    key: LogKey,
}

impl Compacted {
    fn new(config: LogConfig) -> Self {
        Self::with_seed(1, config)
    }

    fn with_seed(seed: u64, config: LogConfig) -> Self {
        let world = World::new(seed);
        let spec = spec(config);
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec).expect("created");
        Self { world, store, key }
    }

    /// Returns the offset of its first record.
    fn append(&mut self, bytes: Vec<u8>) -> i64 {
        let appended = self.store.append(self.key, &Bytes::from(bytes), 0).expect("appended");
        self.turn();
        appended.base_offset
    }

    fn turn(&mut self) {
        self.store.end_turn();
        self.world.turns(20);
        self.store.end_turn();
        self.store.take_acked(&mut Vec::new());
    }

    /// Writes the key so many times.
    fn put_many(&mut self, key: &str, count: u8) {
        for tag in 0..count {
            self.put(key, tag);
        }
    }

    fn put(&mut self, key: &str, value: impl Into<Option<u8>>) -> i64 {
        self.append(batch(&[(key, value.into())]).build())
    }

    /// Ends the active segment.
    fn roll(&mut self) {
        let active = |this: &mut Self| open_log_of(&mut this.store, this.key).active().base_offset;
        let before = active(self);
        while active(self) == before {
            self.put("filler", 0);
        }
        // The first look asks for the sync of what was ended.
        self.dirtiness();
        self.turn();
        self.turn();
    }

    fn dirtiness(&mut self) -> Dirtiness {
        self.store.dirtiness(self.key).expect("looked at")
    }

    /// A round, if it is due.
    fn clean(&mut self) -> bool {
        let config = CleanerConfig::default();
        let Some(mut cleaning) = self.store.begin_cleaning(self.key, &config).expect("begun") else { return false };
        while let Some(segment) = self.world.reactor.block_on(cleaning.next_segment()).expect("written") {
            self.store.swap_in(self.key, segment).expect("swapped").expect("it is there");
        }
        self.store.end_cleaning(cleaning, Ok(()));
        self.turn();
        true
    }

    fn bytes(&mut self) -> Vec<u8> {
        let (start, end) = (self.store.log_start_offset(self.key), self.store.acked_end_offset(self.key));
        let (mut from, mut bytes) = (start, Vec::new());
        while from < end {
            match self.store.read(self.key, from, end, 1 << 20, true).expect("readable") {
                ReadResult::Ready(pieces) => bytes.extend(joined(&pieces)),
                ReadResult::Cold(read) => bytes.extend(joined(&self.world.reactor.block_on(read).expect("read"))),
            }
            from = Batches::new(&bytes).last().expect("a batch").next_offset();
        }
        bytes
    }

    /// (offset, key, whether it has a value) of everything that is left.
    fn records(&mut self) -> Vec<(i64, String, bool)> {
        let bytes = self.bytes();
        let records = Batches::new(&bytes).filter(|batch| !batch.is_control()).flat_map(|batch| {
            assert!(batch.is_crc_valid());
            let records = RawRecords::new(batch.payload(), batch.record_count());
            records
                .map(|record| record.expect("a record").view)
                .map(move |view| {
                    let key = String::from_utf8(view.key.expect("a key").to_vec()).expect("text");
                    (batch.base_offset() + i64::from(view.offset_delta), key, view.value.is_some())
                })
                .collect::<Vec<_>>()
        });
        records.filter(|(_, key, _)| key != "filler").collect()
    }

    fn files(&self, extension: &str) -> Vec<String> {
        let entries = self.world.dyn_disk().list_dir(Path::new(DIR)).expect("the folder");
        entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(extension)).collect()
    }
}

fn record(offset: i64, key: &str, has_value: bool) -> (i64, String, bool) {
    (offset, key.to_owned(), has_value)
}

#[test]
fn the_newest_record_of_each_key_stays_at_its_offset() {
    let mut log = Compacted::new(small());
    let first: Vec<i64> = ["a", "b", "a", "c", "b"].iter().map(|key| log.put(key, 1)).collect();
    log.roll();
    let active = log.put("a", 2);
    assert_eq!(log.dirtiness(), Dirtiness::Due(1.0));
    assert!(log.clean());
    let expected = [record(first[2], "a", true), record(first[3], "c", true), record(first[4], "b", true)];
    assert_eq!(
        log.records(),
        [&expected[..], &[record(active, "a", true)]].concat(),
        "the active segment is not cleaned"
    );
    assert_eq!(log.dirtiness(), Dirtiness::Clean);
    assert!(!log.clean());
    assert_eq!(log.store.logs_to_clean(), []);
    log.roll();
    assert_eq!(log.store.logs_to_clean(), [log.key]);
    assert!(log.clean());
    assert_eq!(log.records(), [&expected[1..], &[record(active, "a", true)]].concat());
}

#[test]
fn a_segment_of_which_all_stays_is_not_written_again() {
    let mut log = Compacted::new(small());
    let offsets = ["a", "b", "c", "d", "d", "e"].map(|key| log.put(key, 1));
    log.roll();
    // What stays of the second segment's start is longer than what is read at a time.
    let config = CleanerConfig { io_buffer_bytes: 100, ..CleanerConfig::default() };
    let mut cleaning = log.store.begin_cleaning(log.key, &config).expect("begun").expect("due");
    let mut written = Vec::new();
    while let Some(segment) = log.world.reactor.block_on(cleaning.next_segment()).expect("written") {
        written.push(segment.sources.clone());
        log.store.swap_in(log.key, segment).expect("swapped").expect("it is there");
    }
    log.store.end_cleaning(cleaning, Ok(()));
    log.turn();
    assert_eq!(written, [[offsets[2]]], "the one with an outdated `d`");
    let expected = [(0, "a"), (1, "b"), (2, "c"), (4, "d"), (5, "e")].map(|(at, key)| record(offsets[at], key, true));
    assert_eq!(log.records(), expected);
}

#[test]
fn a_tombstone_stays_until_its_delete_horizon() {
    let mut log = Compacted::new(LogConfig { delete_retention_ms: 1_000, ..small() });
    log.put("a", 1);
    log.put("b", 1);
    let tombstone = log.put("a", None);
    log.roll();
    assert!(log.clean());
    assert_eq!(log.records(), [record(1, "b", true), record(tombstone, "a", false)]);
    let bytes = log.bytes();
    let batch = Batches::new(&bytes).find(|batch| batch.base_offset() == tombstone).expect("it stays");
    assert!(batch.has_delete_horizon() && batch.base_timestamp() == NOW_MS + 1_000);
    assert_eq!(batch.max_timestamp(), NOW_MS);
    for (wait_ms, stays) in [(999, true), (1, false)] {
        log.world.now_ms.set(log.world.now_ms.get() + wait_ms);
        log.roll();
        assert!(log.clean());
        assert_eq!(log.records().contains(&record(tombstone, "a", false)), stays, "after {wait_ms} ms more");
    }
}

#[test]
fn dirty_ratio_and_lags_say_when() {
    let mut log = Compacted::new(LogConfig { min_cleanable_dirty_ratio: 0.5, ..small() });
    for tag in 0..8 {
        log.put(&format!("key {tag}"), tag);
    }
    log.roll();
    assert!(log.clean());
    log.roll();
    assert_eq!(log.dirtiness(), Dirtiness::Clean, "most of it is clean");
    let config = LogConfig { max_compaction_lag_ms: 500, min_cleanable_dirty_ratio: 0.5, ..small() };
    log.store.reconfigure(log.key, &spec(config.clone()).config);
    assert_eq!(log.dirtiness(), Dirtiness::Later);
    log.world.now_ms.set(NOW_MS + 501);
    assert!(matches!(log.dirtiness(), Dirtiness::Due(_)), "it waits for too long");
    let config = LogConfig { min_compaction_lag_ms: 1_000, ..config };
    log.store.reconfigure(log.key, &spec(config).config);
    assert_eq!(log.dirtiness(), Dirtiness::Later, "it is too young");
    log.world.now_ms.set(NOW_MS + 1_000);
    assert!(log.clean());
}

#[test]
fn segments_become_one_and_an_emptied_one_keeps_its_end() {
    let mut log = Compacted::new(small());
    log.put_many("a", 7);
    log.roll();
    assert!(log.files(".log").len() > 3);
    let end = open_log_of(&mut log.store, log.key).active().base_offset;
    assert!(log.clean());
    let segments: Vec<i64> =
        open_log_of(&mut log.store, log.key).segments.iter().map(|segment| segment.base_offset).collect();
    assert!(segments.windows(2).all(|pair| {
        let bytes = read_file(&log.world.dyn_disk(), &file_path(Path::new(DIR), pair[0], ".log", "")).expect("there");
        Batches::new(&bytes).last().expect("never empty").next_offset() == pair[1]
    }));
    assert_eq!(log.records(), [record(6, "a", true)]);
    (0..3).for_each(|_| {
        log.roll();
        assert!(log.clean());
    });
    let files = log.files(".log");
    assert!(files.len() <= 4, "what was cleaned before is joined: {files:?} up to {end}");
}

#[test]
fn a_producers_last_batch_stays_without_its_records() {
    let mut log = Compacted::new(LogConfig { segment_bytes: 1_400, ..small() });
    let of =
        |producer_id, sequence| batch(&[("a", Some(1)), ("a", Some(2))]).producer(producer_id, 0, sequence).build();
    for sequence in [0, 2, 4] {
        log.append(of(7, sequence));
    }
    let last = log.append(of(8, 0));
    log.put("a", 3);
    log.roll();
    assert!(log.clean());
    let bytes = log.bytes();
    let kept: Vec<_> = Batches::new(&bytes).filter(|batch| batch.producer_id() >= 0).collect();
    let seen: Vec<_> = kept.iter().map(|b| (b.producer_id(), b.last_sequence(), b.record_count())).collect();
    assert_eq!(seen, [(7, 5, 0), (8, 1, 0)]);
    assert_eq!((kept[1].base_offset(), kept[1].last_offset()), (last, last + 1));
}

#[test]
fn records_of_aborted_transactions_go_and_markers_follow() {
    let (data, marker) = (
        |id: i64, sequence| batch(&[("t", Some(1))]).producer(id, 0, sequence).transactional().build(),
        |id: i64, is_commit: bool| {
            let mut builder = BatchBuilder::new().producer(id, 0, -1).transactional().control();
            let (key, value) = ([0, 0, 0, u8::from(is_commit)], [0; 6]);
            builder.push(NewRecord { timestamp: NOW_MS, key: Some(&key), value: Some(&value), ..NewRecord::default() });
            builder.build()
        },
    );
    let mut transactions = super::transactions::CleanedTransactions::new(vec![AbortedTransaction {
        producer_id: 1,
        first_offset: 0,
        last_offset: 2,
        last_stable_offset: 0,
    }]);
    let mut at = 0;
    let mut is_spent = |mut bytes: Vec<u8>| {
        crate::record::patch_base_offset_and_epoch(&mut bytes, at, 0);
        at += 1;
        transactions.is_spent(&BatchView::parse(&bytes).expect("a batch"))
    };
    assert!(is_spent(data(1, 0)), "aborted");
    assert!(!is_spent(data(2, 0)), "committed, or open");
    assert!(!is_spent(marker(1, false)), "a batch of it was met");
    assert!(!is_spent(marker(2, true)));
    assert!(is_spent(marker(2, true)), "nothing of it was met");
    assert!(is_spent(marker(1, false)));
    assert!(!is_spent(data(1, 1)), "a later transaction");
    assert!(!is_spent(batch(&[("p", None)]).build()));
    assert_eq!(transactions.take_retained().len(), 1);
    assert_eq!(transactions.take_retained(), []);
}

/// Number and extension.
type Files<'a> = &'a [(i64, &'a str)];

#[test]
fn a_crash_between_any_two_steps_of_a_swap_is_finished_or_undone() {
    let (disk, dir) = (World::new(3).dyn_disk(), Path::new(DIR));
    let written = |base: i64, count: i64| {
        let mut builder = BatchBuilder::new().at(base, 0);
        (0..count).for_each(|_| builder.push(NewRecord { key: Some(b"k"), ..NewRecord::default() }));
        builder.build()
    };
    let put = |name: &str, bytes: &[u8]| {
        disk.create_dir_all(dir).expect("made");
        let file = File::open(&disk, &dir.join(name), OpenMode::REWRITE).expect("made");
        file.write_all_at(0, bytes).expect("written");
    };
    let names = || -> Vec<String> { disk.list_dir(dir).expect("there").into_iter().map(|entry| entry.name).collect() };
    let base = |number: i64, rest: &str| format!("{number:020}{rest}");
    // (what is there, what is left): 0 and 10 become one that ends at 20, where the active one begins.
    let cases: [(Files<'_>, Files<'_>); 5] = [
        (&[(0, ".log"), (0, ".log.cleaned"), (10, ".log"), (20, ".log")], &[(0, ".log"), (10, ".log"), (20, ".log")]),
        (
            &[(0, ".log"), (0, ".log.swap"), (0, ".index.cleaned"), (10, ".log"), (20, ".log")],
            &[(0, ".log"), (10, ".log"), (20, ".log")],
        ),
        (
            &[(0, ".log"), (0, ".log.swap"), (0, ".index.swap"), (10, ".log"), (10, ".snapshot"), (20, ".log")],
            &[(0, ".index"), (0, ".log"), (20, ".log")],
        ),
        (&[(0, ".log"), (0, ".log.swap"), (0, ".index"), (20, ".log")], &[(0, ".index"), (0, ".log"), (20, ".log")]),
        (&[(0, ".log"), (0, ".index.swap"), (20, ".log")], &[(0, ".index"), (0, ".log"), (20, ".log")]),
    ];
    for (before, after) in cases {
        let _ = disk.remove_dir_all(dir);
        for (number, rest) in before {
            put(&base(*number, rest), &written(*number, if rest.ends_with(".swap") { 20 } else { 10 }));
        }
        assert!(finish_swaps(&disk, dir, &names()).expect("finished"));
        assert_eq!(names(), after.iter().map(|(number, rest)| base(*number, rest)).collect::<Vec<_>>(), "{before:?}");
        assert!(!finish_swaps(&disk, dir, &names()).expect("nothing to do"));
    }
}

/// A swap of which call `calls` and all behind it fail, a power cut, and a start. Whether the log holds what it did.
fn is_kept_by_a_swap_that_is_cut_short(seed: u64, calls: u32) -> bool {
    let mut log = Compacted::with_seed(seed, small());
    for key in ["a", "b", "a", "c", "b", "a", "d", "a"] {
        log.put(key, 1);
    }
    log.roll();
    let newest = |records: Vec<(i64, String, bool)>| -> BTreeMap<String, i64> {
        records.into_iter().map(|(offset, key, _)| (key, offset)).collect()
    };
    let expected = newest(log.records());
    let joined = LogConfig { segment_bytes: 2_000, ..small() };
    log.store.reconfigure(log.key, &spec(joined).config);
    let Compacted { mut world, mut store, key } = log;
    let mut cleaning = store.begin_cleaning(key, &CleanerConfig::default()).expect("begun").expect("due");
    let segment = world.reactor.block_on(cleaning.next_segment()).expect("written").expect("there is one");
    world.disk.inject(DiskFault::eio("", DiskCall::Any).after(calls).sticky());
    let _ = store.swap_in(key, segment);
    world.crash(Some(store), Crash::Power);
    world.disk.heal();
    let spec = spec(small());
    let specs = std::slice::from_ref(&spec);
    let Ok(_) = start_log_dir(&world.dyn_disk(), Path::new("/data"), specs, NOW_MS, 64) else { return false };
    let mut store = world.open_store();
    let Ok(key) = store.create(spec) else { return false };
    let mut log = Compacted { world, store, key };
    let records = log.records();
    records.is_sorted_by(|one, next| one.0 < next.0) && newest(records) == expected
}

#[test]
fn a_power_cut_at_any_call_of_a_swap_leaves_the_log_as_it_was() {
    let is_kept = |seed, calls| catch_unwind(|| is_kept_by_a_swap_that_is_cut_short(seed, calls)).unwrap_or(false);
    let are_kept = || (0..30).all(|seed| (0..30).all(|calls| is_kept(seed, calls)));
    assert!(are_kept());
    for bug in [PlantedBug::SwapUnordered, PlantedBug::CleanedNotSynced] {
        let _planting = Planting::new(Some(bug));
        assert!(!are_kept(), "{bug:?}");
    }
}

#[test]
fn the_cleaned_offset_outlives_crash_and_stop_and_kafka_reads_it() {
    let mut log = Compacted::new(small());
    log.put_many("a", 6);
    log.roll();
    assert!(log.clean());
    let cleaned = open_log_of(&mut log.store, log.key).cleaned_offset;
    assert!(cleaned > 0);
    let Compacted { mut world, store, .. } = log;
    world.crash(Some(store), Crash::Power);
    let spec = spec(small());
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("opened");
    assert_eq!(store.dirtiness(key).expect("looked at"), Dirtiness::Clean);
    world.close(store);
    let text = read_file(&world.dyn_disk(), &Path::new("/data").join(CLEANER_OFFSET_FILE)).expect("there");
    assert_eq!(String::from_utf8(text).expect("text"), format!("0\n1\nc 0 {cleaned}\n"));
}

#[test]
fn a_batch_that_cannot_be_opened_ends_the_cleaning_of_its_log_and_nothing_else() {
    let mut log = Compacted::new(small());
    let mut bytes = batch(&[("a", Some(1))]).codec(Codec::Lz4).build();
    bytes[61] ^= 0xff;
    let crc = crate::record::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    log.append(bytes);
    log.roll();
    let mut cleaning = log.store.begin_cleaning(log.key, &CleanerConfig::default()).expect("begun").expect("due");
    let error = log.world.reactor.block_on(cleaning.next_segment()).expect_err("damaged");
    log.store.end_cleaning(cleaning, Err(error));
    assert_eq!(log.dirtiness(), Dirtiness::Clean, "not tried again");
    assert_eq!(log.files(".cleaned"), [] as [String; 0]);
    log.put("a", 2);
    assert!(!log.bytes().is_empty());
}

#[test]
fn a_read_goes_on_behind_a_hole_at_the_end_of_a_segment() {
    let mut log = Compacted::new(small());
    log.put_many("a", 6);
    log.roll();
    let (key, second) = (log.key, open_log_of(&mut log.store, log.key).segments[1].base_offset);
    let Compacted { world, store, .. } = log;
    world.close(store);
    // Kafka keeps the last batch of a round, not that of each segment.
    let path = file_path(Path::new(DIR), 0, ".log", "");
    let bytes = read_file(&world.dyn_disk(), &path).expect("there");
    let last = Batches::new(&bytes).last().expect("a batch").bytes().len();
    let file = File::open(&world.dyn_disk(), &path, OpenMode::READ_WRITE).expect("there");
    file.set_len((bytes.len() - last) as u64).expect("cut");
    let spec = spec(small());
    let mut store = world.open_with(std::slice::from_ref(&spec));
    assert_eq!(store.create(spec).expect("opened"), key);
    let end = store.acked_end_offset(key);
    let ReadResult::Ready(pieces) = store.read(key, second - 1, end, 1, true).expect("readable") else {
        panic!("it is in the page cache")
    };
    assert_eq!(BatchView::parse(&joined(&pieces)).expect("a batch").base_offset(), second);
}

#[test]
fn sources_of_a_plan_are_neighbours() {
    let mut log = Compacted::new(small());
    log.put_many("a", 6);
    log.roll();
    let end = log.store.acked_end_offset(log.key);
    let inner = open_log_of(&mut log.store, log.key);
    let mut files = super::super::descriptors::Descriptors::new(log.world.dyn_disk(), 8);
    let dirt = inner.dirt(end, |_| true, NOW_MS, &mut files).expect("looked at");
    let follows = |pair: &[Source]| pair[0].end_offset == pair[1].base_offset;
    assert!(dirt.sources.len() > 2 && dirt.sources.windows(2).all(follows));
    let third = dirt.sources[2].base_offset;
    assert_eq!(inner.dirt(third + 1, |_| true, NOW_MS, &mut files).expect("looked at").sources.len(), 2, "stable");
    let unsynced = inner.dirt(end, |base| base != third, NOW_MS, &mut files).expect("looked at");
    assert!(unsynced.sources.len() == 2 && unsynced.waits_for_sync);
}
