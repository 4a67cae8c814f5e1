//! Random histories of one compacted log against a model: writes, tombstones, idempotent producers, rounds with writes and
//! reads in between, retention, clean stops, crashes at any I/O.
//!
//! Held against the model: each record that is read is the one that was written at its offset; the newest record of each key
//! is what replaying the log gives; below the cleaned offset a key is there once; a producer's last batch is known.
//!
//! `cargo test -p ringlog-core --lib cleaner` runs 100 seeds, `RINGLOG_CLEANER_SEEDS=0..10000` that many.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::super::store_tests::{NOW_MS, World, joined};
use super::super::*;
use super::filter::payload_of;
use crate::planting::Planting;
use crate::reactor::sim::{Clockwork, Crash, DirectoryModel, DiskCall, DiskFault};
use crate::record::{BatchBuilder, BatchView, Codec, NewRecord, RawRecords};

const KEYS: u64 = 12;
const LIVES: u64 = 4;
const TOPIC_ID: u128 = 0x0abc;

/// What was written at an offset.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp: i64,
}

/// A batch of an idempotent producer.
struct Sent {
    bytes: Bytes,
    base_offset: i64,
    last_offset: i64,
    next_sequence: i32,
}

/// What happened, to see that the histories are not idle.
#[derive(Debug, Default)]
struct Counts {
    rounds: u64,
    swaps: u64,
    failed_rounds: u64,
    records_gone: u64,
}

struct History {
    world: World,
    clock: Rc<Clockwork>,
    spec: LogSpec,
    cleaner: CleanerConfig,
    records: BTreeMap<i64, Written>,
    sent: [Vec<Sent>; 3],
    acked_end_offset: i64,
    /// A producer's last batch may be gone: by retention, or because a later one, for which compaction did not keep it, was
    /// lost with the page cache.
    may_forget: bool,
    counts: Counts,
}

/// The life of a store is over: I/O fails from some call on.
struct Died;

impl History {
    fn new(seed: u64) -> Self {
        // Retention relies on it that of its renames a power cut leaves the first ones. A swap does not.
        let is_deleted = seed.is_multiple_of(4);
        let directories = if is_deleted { DirectoryModel::Journaled } else { DirectoryModel::Strict };
        let world = World::with_directories(seed, directories);
        let clock = Rc::clone(world.disk.clock());
        let config = LogConfig {
            segment_bytes: clock.between(700, 3_000) as u32,
            index_interval_bytes: clock.between(1, 400) as u32,
            is_compacted: true,
            is_deleted,
            retention_ms: -1,
            retention_bytes: clock.between(3_000, 9_000) as i64,
            min_cleanable_dirty_ratio: clock.below(60) as f64 / 100.0,
            min_compaction_lag_ms: if clock.chance(200) { 2_000 } else { 0 },
            max_compaction_lag_ms: if clock.chance(200) { 5_000 } else { i64::MAX },
            delete_retention_ms: [0, 1_000, 1 << 40][clock.below(3) as usize],
            ..LogConfig::default()
        };
        let spec = LogSpec {
            topic_name: "c".into(),
            topic_id: uuid::Uuid::from_u128(TOPIC_ID),
            partition_index: 0,
            durability: if clock.chance(600) { Durability::Sync } else { Durability::PageCache },
            config: config.into(),
        };
        let cleaner = CleanerConfig {
            dedupe_buffer_bytes: 0,
            load_factor: [0.012, 0.9][clock.below(2) as usize],
            io_buffer_bytes: clock.between(0, 4_000) as usize,
            ..CleanerConfig::default()
        };
        let (sent, counts) = Default::default();
        Self {
            world,
            clock,
            spec,
            cleaner,
            records: BTreeMap::new(),
            sent,
            acked_end_offset: 0,
            may_forget: is_deleted,
            counts,
        }
    }

    fn run(mut self) -> Counts {
        let mut from_clean_stop = true;
        for life in 0..LIVES {
            let specs = std::slice::from_ref(&self.spec);
            start_log_dir(&self.world.dyn_disk(), Path::new("/data"), specs, NOW_MS, 64).expect("recovered");
            let mut store = self.world.open_store();
            let key = store.create(self.spec.clone()).expect("created");
            self.meet_again(&mut store, key, from_clean_stop);
            if life == 0 {
                self.note_first_segment(&mut store, key);
            }
            let died = self.live(&mut store, key).is_err();
            from_clean_stop = !died && self.clock.chance(500);
            if from_clean_stop && life + 1 < LIVES {
                self.acked_end_offset = store.log_end_offset(key);
                self.world.close(store);
                self.forget_snapshots();
                self.world.crash(None, Crash::Power);
            } else {
                let crash = if self.clock.chance(500) { Crash::Power } else { Crash::Process };
                if crash == Crash::Power && self.spec.durability == Durability::PageCache {
                    self.acked_end_offset = 0;
                    self.may_forget = true;
                }
                self.world.crash(Some(store), crash);
            }
            self.world.disk.heal();
        }
        self.counts
    }

    /// Has the first segment's name on the disk before there is a second one: recovery relies on it, as journals keep it.
    fn note_first_segment(&mut self, store: &mut LogStore, key: LogKey) {
        let bytes = Bytes::from(self.batch(None));
        let appended = store.append(key, &bytes, 0).expect("the disk is well");
        self.note(None, bytes, &appended);
        store.end_turn();
        store.rolled = true;
        store.end_turn();
        self.world.turns(20);
        self.turn(store, key);
    }

    /// After a start: nothing acked is gone.
    fn meet_again(&mut self, store: &mut LogStore, key: LogKey, from_clean_stop: bool) {
        let end = store.log_end_offset(key);
        assert!(end >= self.acked_end_offset, "ends at {end}, acked was {}", self.acked_end_offset);
        assert!(!from_clean_stop || end == self.acked_end_offset);
        self.acked_end_offset = end;
        self.records.split_off(&end);
        for sent in &mut self.sent {
            sent.retain(|sent| sent.last_offset < end);
        }
        // Its first use tells where retention has left its start.
        store.producers(key).expect("the disk is well");
        let checked = self.check(store, key, None);
        assert!(checked.is_ok(), "the disk is well");
        for producer in 0..self.sent.len() {
            let Some(last) = self.sent[producer].last() else { continue };
            let (bytes, base_offset) = (last.bytes.clone(), last.base_offset);
            let again = store.append(key, &bytes, 0).expect("taken, or known");
            if self.may_forget && !again.duplicate {
                // It is forgotten, and what it sends is a batch of an unknown producer.
                self.note(Some(producer), bytes, &again);
                continue;
            }
            assert!(again.duplicate && again.base_offset == base_offset, "{again:?} of producer {producer}");
        }
    }

    /// Producer state must be found in the batches then.
    fn forget_snapshots(&self) {
        if self.may_forget || self.clock.chance(500) {
            return;
        }
        let (disk, dir) = (self.world.dyn_disk(), Path::new("/data/c-0"));
        for entry in disk.list_dir(dir).unwrap_or_default() {
            assert!(!entry.name.ends_with(".cleaned") && !entry.name.ends_with(".swap"), "{}", entry.name);
            if entry.name.ends_with(".snapshot") {
                disk.remove_file(&dir.join(entry.name)).expect("removed");
            }
        }
        disk.sync_dir(dir).unwrap_or_default();
    }

    fn live(&mut self, store: &mut LogStore, key: LogKey) -> Result<(), Died> {
        for _ in 0..self.clock.below(40) {
            match self.clock.below(20) {
                0..=11 => self.write(store, key)?,
                12..=15 => self.clean(store, key)?,
                16..=17 => self.check(store, key, None)?,
                18 => self.retire(store, key)?,
                _ => self.world.now_ms.set(self.world.now_ms.get() + self.clock.between(1, 3_000) as i64),
            }
        }
        Ok(())
    }

    fn write(&mut self, store: &mut LogStore, key: LogKey) -> Result<(), Died> {
        for _ in 0..self.clock.between(1, 6) {
            let producer = self.clock.chance(500).then(|| self.clock.below(3) as usize);
            let bytes = Bytes::from(self.batch(producer));
            match store.append(key, &bytes, 0) {
                Ok(appended) => self.note(producer, bytes, &appended),
                Err(AppendError::Busy) => {}
                Err(_) => return Err(Died),
            }
        }
        self.turn(store, key);
        Ok(())
    }

    fn turn(&mut self, store: &mut LogStore, key: LogKey) {
        store.end_turn();
        self.world.turns(self.clock.below(4) as usize);
        store.take_acked(&mut Vec::new());
        store.take_failed(&mut Vec::new());
        self.acked_end_offset = store.acked_end_offset(key);
    }

    fn batch(&self, producer: Option<usize>) -> Vec<u8> {
        let codec = if self.clock.chance(300) { Codec::ALL[self.clock.below(5) as usize] } else { Codec::None };
        let mut builder = BatchBuilder::new().codec(codec);
        if let Some(producer) = producer {
            let sequence = self.sent[producer].last().map_or(0, |last| last.next_sequence);
            builder.set_producer(producer as i64 + 7, 0, sequence);
        }
        for _ in 0..self.clock.between(1, 6) {
            let key = format!("key {}", self.clock.below(KEYS));
            let value = vec![self.clock.below(256) as u8; self.clock.below(90) as usize];
            let timestamp = self.world.now_ms.get() - self.clock.below(1_000) as i64;
            let value = self.clock.chance(750).then_some(&value[..]);
            builder.push(NewRecord { timestamp, key: Some(key.as_bytes()), value, ..NewRecord::default() });
        }
        builder.build()
    }

    fn note(&mut self, producer: Option<usize>, bytes: Bytes, appended: &Appended) {
        assert!(!appended.duplicate);
        for (delta, record) in records_of(&bytes) {
            self.records.insert(appended.base_offset + delta, record);
        }
        if let Some(producer) = producer {
            let batch = BatchView::parse(&bytes).expect("a batch");
            let next_sequence = batch.last_sequence() + 1;
            let Appended { base_offset, last_offset, .. } = *appended;
            self.sent[producer].push(Sent { bytes, base_offset, last_offset, next_sequence });
        }
    }

    /// A round, perhaps one in which the disk dies.
    fn clean(&mut self, store: &mut LogStore, key: LogKey) -> Result<(), Died> {
        let dies = self.clock.chance(250);
        if dies {
            let (call, calls_max) =
                [(DiskCall::Any, 150), (DiskCall::Rename, 20), (DiskCall::SyncDir, 10)][self.clock.below(3) as usize];
            let calls = self.clock.below(calls_max) as u32;
            self.world.disk.inject(DiskFault::eio("", call).after(calls).sticky());
        }
        let cleaned = self.clean_round(store, key);
        if dies { Err(Died) } else { cleaned }
    }

    fn clean_round(&mut self, store: &mut LogStore, key: LogKey) -> Result<(), Died> {
        let Ok(Dirtiness::Due(_)) = store.dirtiness(key) else { return Ok(()) };
        let Some(mut cleaning) = store.begin_cleaning(key, &self.cleaner).map_err(|_| Died)? else { return Ok(()) };
        assert!(store.begin_cleaning(key, &self.cleaner).map_err(|_| Died)?.is_none(), "one round at a time");
        let reactor = self.world.reactor.clone();
        self.counts.rounds += 1;
        loop {
            let segment = match reactor.block_on(cleaning.next_segment()) {
                Ok(Some(segment)) => segment,
                Ok(None) => break,
                Err(error) => {
                    self.counts.failed_rounds += 1;
                    store.end_cleaning(cleaning, Err(error));
                    return Err(Died);
                }
            };
            match self.clock.below(6) {
                0 => self.write(store, key)?,
                1 => self.check(store, key, None)?,
                2 => self.retire(store, key)?,
                _ => {}
            }
            // It is there, but after a failed sync nothing is trusted.
            store.swap_in(key, segment).map_err(|_| Died)?.ok_or(Died)?;
            self.counts.swaps += 1;
        }
        store.end_cleaning(cleaning, Ok(()));
        let log = open_log_of(store, key);
        let cleaned_offset = log.cleaned_offset;
        self.check(store, key, Some(cleaned_offset))?;
        self.turn(store, key);
        Ok(())
    }

    fn retire(&mut self, store: &mut LogStore, key: LogKey) -> Result<(), Died> {
        let retired = store.retire(key).map_err(|_| Died)?;
        let disk = self.world.dyn_disk();
        retired.files.iter().for_each(|file| disk.remove_file(file).unwrap_or_default());
        Ok(())
    }

    /// Reads everything and compares.
    fn check(&mut self, store: &mut LogStore, key: LogKey, cleaned_offset: Option<i64>) -> Result<(), Died> {
        let (start, end) = (store.log_start_offset(key), store.acked_end_offset(key));
        let mut from = start;
        let (mut view, mut seen, mut count) = (BTreeMap::new(), BTreeMap::new(), 0);
        while from < end {
            let max_bytes = self.clock.below(4_000) as usize;
            let read = match store.read(key, from, end, max_bytes, true).map_err(|_| Died)? {
                ReadResult::Ready(pieces) => joined(&pieces),
                ReadResult::Cold(read) => joined(&self.world.reactor.block_on(read).map_err(|_| Died)?),
            };
            let mut rest = &read[..];
            assert!(!rest.is_empty(), "no batch at {from} of {end}");
            while !rest.is_empty() {
                let batch = BatchView::parse(rest).expect("whole batches");
                assert!(batch.is_crc_valid() && batch.last_offset() >= from);
                for (delta, record) in records_of(batch.bytes()) {
                    let offset = batch.base_offset() + delta;
                    if offset < start {
                        continue;
                    }
                    assert_eq!(Some(&record), self.records.get(&offset), "at {offset}");
                    count += 1;
                    if cleaned_offset.is_some_and(|cleaned| offset < cleaned) {
                        let before = seen.insert(record.key.clone(), offset);
                        assert_eq!(before, None, "{:?} is there again at {offset}", record.key);
                    }
                    apply(&mut view, record);
                }
                from = batch.next_offset();
                rest = &rest[batch.bytes().len()..];
            }
        }
        let mut expected = BTreeMap::new();
        let written = self.records.range(start..end.max(start));
        self.counts.records_gone += written.clone().count() as u64 - count;
        written.for_each(|(_, record)| apply(&mut expected, record.clone()));
        assert_eq!(view, expected, "the view from {start} to {end}");
        Ok(())
    }
}

fn apply(view: &mut BTreeMap<Vec<u8>, Vec<u8>>, record: Written) {
    match record.value {
        Some(value) => view.insert(record.key, value),
        None => view.remove(&record.key),
    };
}

/// The records of a batch, each with its offset from the batch's.
fn records_of(bytes: &[u8]) -> Vec<(i64, Written)> {
    let batch = BatchView::parse(bytes).expect("a batch");
    let payload = payload_of(&batch).expect("it can be opened");
    let take = |record: Result<crate::record::RawRecord<'_>, _>| {
        let view = record.expect("a record").view;
        let timestamp = batch.base_timestamp() + view.timestamp_delta;
        let key = view.key.expect("a key").to_vec();
        (i64::from(view.offset_delta), Written { key, value: view.value.map(<[u8]>::to_vec), timestamp })
    };
    RawRecords::new(&payload, batch.record_count()).map(take).collect()
}

pub(super) fn open_log_of(store: &mut LogStore, key: LogKey) -> &mut super::super::log::Log {
    match &mut store.logs[key.0 as usize].as_mut().expect("it is there").state {
        super::super::store::LogState::Open(log) => log,
        super::super::store::LogState::Unopened(_) => panic!("it was used"),
    }
}

#[test]
fn the_compacted_view_is_the_models_whatever_happens() {
    let seeds = std::env::var("RINGLOG_CLEANER_SEEDS").unwrap_or_else(|_| "0..100".to_owned());
    let (from, to) = seeds.split_once("..").expect("RINGLOG_CLEANER_SEEDS=0..100");
    let mut total = Counts::default();
    for seed in from.parse().expect("a number")..to.parse().expect("a number") {
        let run = catch_unwind(AssertUnwindSafe(|| History::new(seed).run()));
        let counts = run.unwrap_or_else(|_| panic!("RINGLOG_CLEANER_SEEDS={seed}..{} repeats this", seed + 1));
        total.rounds += counts.rounds;
        total.swaps += counts.swaps;
        total.failed_rounds += counts.failed_rounds;
        total.records_gone += counts.records_gone;
    }
    println!("{total:?}");
    assert!(total.swaps > 0 && total.records_gone > 0);
}

/// Whether one of the first histories goes wrong with this bug.
fn finds(bug: PlantedBug) -> bool {
    let _planting = Planting::new(Some(bug));
    (0..400).any(|seed| catch_unwind(AssertUnwindSafe(|| History::new(seed).run())).is_err())
}

#[test]
fn planted_bugs_are_found() {
    for bug in [PlantedBug::LastOfProducerDropped, PlantedBug::CleanedNotSynced, PlantedBug::UnsyncedCleaned] {
        assert!(finds(bug), "{bug:?}");
    }
}
