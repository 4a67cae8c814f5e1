//! Partitions in the simulated world, on a store whose memory is soon in use: by many appends at once, or by a reader who
//! keeps what was read.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::log::commit_log::CommitLogConfig;
use ringlog_core::log::{
    AppendError, CleanerConfig, DirectConfig, Durability, LogConfig, LogSpec, LogStore, StoreConfig, start_log_dir,
};
use ringlog_core::reactor::Disk;
use ringlog_core::reactor::Pieces;
use ringlog_core::reactor::sim::{DiskCall, DiskFault, SimConfig, SimWorld};
use ringlog_core::record::{BatchBuilder, NewRecord};
use uuid::Uuid;

use super::super::{
    Isolation, PartitionError, PartitionReply, PartitionRequest, Partitions, ReadRequest, TopicPartition,
};
use crate::metadata::{ShardCleaner, ShardScrubber};

const SECOND: Duration = Duration::from_secs(1);
/// Of small batches: what the store holds of these, a commit log's write of them leaves.
const SMALL: usize = 3_000;
/// Batches of this size go past the commit log.
const LARGE: usize = 9_000;

type Answer = Result<i64, PartitionError>;

/// Partitions 0 and 1 are of class sync, 2 is of class page-cache.
struct Bench {
    world: SimWorld,
    partitions: Partitions,
    answers: Rc<RefCell<Vec<(u32, Answer)>>>,
}

fn name(partition_index: i32) -> TopicPartition {
    TopicPartition { topic_id: Uuid::from_u128(7), partition_index }
}

fn batch(producer: Option<(i64, i32)>, value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new();
    if let Some((producer_id, base_sequence)) = producer {
        builder.set_producer(producer_id, 0, base_sequence);
    }
    builder.push(NewRecord { timestamp: 1, key: None, value: Some(&vec![7; value_bytes]), headers: &[] });
    builder.build().into()
}

impl Bench {
    fn new() -> Self {
        Self::with_partitions(&[Durability::Sync, Durability::Sync, Durability::PageCache])
    }

    fn with_partitions(classes: &[Durability]) -> Self {
        let world = SimWorld::new(1, SimConfig::default());
        let (reactor, disk) = (world.reactor(0, 0), world.disk(0));
        disk.create_dir_all(Path::new("/data")).unwrap();
        let dyn_disk: Rc<dyn Disk> = Rc::clone(&disk) as Rc<dyn Disk>;
        start_log_dir(&dyn_disk, Path::new("/data"), &[], 0, 0).unwrap();
        let commit_log = CommitLogConfig {
            file_bytes: 1 << 20,
            entry_bytes_max: 16 << 10,
            write_bytes_max: 16 << 10,
            chunk_bytes: 16 << 10,
            staging_bytes_max: 64 << 10,
            ..CommitLogConfig::default()
        };
        let direct = DirectConfig { batch_bytes_min: LARGE, group_bytes: 16 << 10, memory_bytes_max: 32 << 10 };
        let config = StoreConfig { commit_log, direct, ..StoreConfig::default() };
        let store = LogStore::open(reactor.clone(), "/data".into(), 0, config).unwrap();
        let cleaner = || ShardCleaner { is_enabled: false, backoff: SECOND, config: CleanerConfig::default() };
        let scrubber = || ShardScrubber { bytes_per_second: 0.0, interval: SECOND };
        let partitions = Partitions::new(reactor, store, SECOND, Box::new(cleaner), Box::new(scrubber), Rc::default());
        for (partition_index, durability) in (0..).zip(classes.iter().copied()) {
            let spec = LogSpec {
                topic_name: "t".into(),
                topic_id: name(0).topic_id,
                partition_index,
                durability,
                config: Rc::new(LogConfig::default()),
            };
            partitions.create(name(partition_index), 0, spec).unwrap();
        }
        Self { world, partitions, answers: Rc::default() }
    }

    fn append(&self, id: u32, partition_index: i32, batch: Bytes, timeout_ms: i32) {
        let answers = Rc::clone(&self.answers);
        let reply = Box::new(move |reply| {
            let PartitionReply::Append(result) = reply else { unreachable!("an append is answered by an append") };
            answers.borrow_mut().push((id, result.map(|outcome| outcome.base_offset)));
        });
        let append = PartitionRequest::Append { batch, timeout_ms };
        self.partitions.request(name(partition_index), append, reply);
    }

    fn run(&self, duration: Duration) {
        self.world.run_for(duration);
    }

    fn queued(&self) -> usize {
        self.partitions.0.queue.waiting.borrow().len()
    }

    /// What was answered since the last call, in order.
    fn take(&self) -> Vec<(u32, Answer)> {
        self.answers.take()
    }

    fn take_ids(&self) -> Vec<u32> {
        self.take().into_iter().map(|(id, answer)| answer.map(|_| id).expect("appended")).collect()
    }

    /// One batch.
    fn read(&self, partition_index: i32, offset: i64) -> Option<Pieces> {
        let read = ReadRequest {
            offset,
            max_bytes: 1,
            at_least_one_batch: true,
            current_leader_epoch: -1,
            isolation: Isolation::Uncommitted,
        };
        let pieces = Rc::new(RefCell::new(None));
        let into = Rc::clone(&pieces);
        let reply = Box::new(move |reply| {
            if let PartitionReply::Read(Ok(outcome)) = reply {
                into.replace(Some(outcome.records));
            }
        });
        self.partitions.request(name(partition_index), PartitionRequest::Read(read), reply);
        pieces.take()
    }

    /// Has all memory of the commit log in use, until what is returned is dropped.
    fn fill(&self) -> Vec<Pieces> {
        let mut kept = Vec::new();
        let mut id = 1_000;
        while self.queued() == 0 {
            self.append(id, 0, batch(None, SMALL), 10);
            id += 1;
            self.run(SECOND / 10);
            kept.extend(self.read(0, kept.len() as i64));
            if let Some((_, Err(error))) = self.take().pop() {
                assert_timed_out(&Err(error));
                return kept;
            }
        }
        unreachable!("the last one waits no longer than its time")
    }
}

fn assert_timed_out(answer: &Answer) {
    assert!(matches!(answer, Err(PartitionError::Append(AppendError::Busy))), "{answer:?}");
}

#[test]
fn what_finds_no_room_is_appended_a_little_later_in_its_order() {
    for value_bytes in [SMALL, LARGE] {
        let bench = Bench::new();
        for sequence in 0..40 {
            for partition_index in 0..2 {
                let of_producer = batch(Some((i64::from(partition_index), sequence)), value_bytes);
                bench.append(sequence as u32, partition_index, of_producer.clone(), 10_000);
                if sequence == 39 {
                    // Sent again before the first one is answered.
                    bench.append(40, partition_index, of_producer, 10_000);
                }
            }
        }
        assert!(bench.queued() > 20, "{} of {value_bytes}", bench.queued());
        bench.run(SECOND);
        assert_eq!(bench.queued(), 0);
        let answers = bench.take();
        let mut offsets: Vec<(u32, i64)> =
            answers.into_iter().map(|(id, answer)| (id, answer.expect("appended"))).collect();
        offsets.sort_unstable();
        let expected: Vec<(u32, i64)> = (0..41).flat_map(|id| [(id, i64::from(id.min(39))); 2]).collect();
        assert_eq!(offsets, expected);
    }
}

#[test]
fn memory_that_comes_back_on_another_thread_lets_the_next_one_in() {
    let bench = Bench::new();
    let kept = bench.fill();
    bench.append(1, 1, batch(None, SMALL), i32::MAX);
    bench.append(2, 0, batch(None, SMALL), i32::MAX);
    bench.run(10 * SECOND);
    assert_eq!((bench.queued(), bench.take().len()), (2, 0));
    std::thread::scope(|scope| {
        scope.spawn(move || drop(kept));
    });
    bench.run(SECOND);
    assert_eq!(bench.take_ids(), [1, 2]);
}

#[test]
fn none_waits_longer_than_its_request_says_and_what_comes_behind_it_is_not_taken_for_it() {
    let bench = Bench::new();
    let kept = bench.fill();
    bench.append(1, 1, batch(Some((5, 0)), SMALL), 60_000);
    bench.append(2, 1, batch(Some((5, 1)), SMALL), 200);
    bench.append(3, 1, batch(Some((5, 2)), SMALL), 60_000);
    bench.append(4, 1, batch(None, SMALL), 0);
    bench.run(SECOND / 10);
    let mut ended = bench.take();
    bench.run(SECOND / 5);
    ended.extend(bench.take());
    let ids: Vec<u32> = ended.iter().map(|(id, _)| *id).collect();
    ended.iter().for_each(|(_, answer)| assert_timed_out(answer));
    assert_eq!((ids, bench.queued()), (vec![4, 2], 2));
    drop(kept);
    bench.run(SECOND);
    let answers = bench.take();
    assert!(
        matches!(answers[..], [(3, Err(PartitionError::Append(AppendError::BehindRefused))), (1, Ok(0))]),
        "{answers:?}"
    );
    bench.append(5, 1, batch(Some((5, 1)), SMALL), 60_000);
    bench.append(6, 1, batch(Some((5, 2)), SMALL), 60_000);
    bench.run(SECOND);
    assert_eq!(bench.take_ids(), [5, 6]);
    bench.run(60 * SECOND);
    assert!(bench.partitions.0.queue.waiting.borrow().next_end().is_none(), "nobody keeps the time of none");
}

#[test]
fn reads_and_other_classes_go_on_while_appends_wait() {
    let bench = Bench::new();
    let _kept = bench.fill();
    bench.append(1, 1, batch(None, SMALL), 60_000);
    bench.append(2, 2, batch(None, SMALL), 60_000);
    bench.run(SECOND);
    assert!(bench.read(0, 0).is_some_and(|pieces| !pieces.is_empty()));
    assert_eq!((bench.take_ids(), bench.queued()), (vec![2], 1));
}

#[test]
fn a_later_one_that_would_fit_does_not_overtake() {
    let bench = Bench::new();
    let kept = bench.fill();
    bench.append(1, 0, batch(None, SMALL), 60_000);
    drop(kept);
    // In the turn in which there is room again.
    bench.append(2, 0, batch(None, 10), 60_000);
    bench.append(3, 1, batch(None, 10), 60_000);
    assert_eq!(bench.queued(), 3);
    bench.run(SECOND);
    assert_eq!(bench.take_ids(), [1, 2, 3]);
}

#[test]
fn a_change_of_class_is_waited_for_and_holds_no_other_partition_up() {
    let bench = Bench::new();
    bench.append(1, 0, batch(None, 10), 60_000);
    bench.run(SECOND);
    bench.partitions.reconfigure(name(0), &Rc::new(LogConfig::default()), Durability::PageCache);
    bench.append(2, 0, batch(None, 10), 60_000);
    bench.append(3, 0, batch(None, 10), 60_000);
    bench.append(4, 1, batch(None, 10), 60_000);
    // As the end of the turn does.
    bench.partitions.append_queued();
    assert_eq!(bench.queued(), 2, "those of the partition that changes");
    bench.run(SECOND);
    let mut ids = bench.take_ids();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[test]
fn each_partition_that_waits_is_tried_once_however_many_others_are_appended() {
    const CHANGING: usize = 200;
    const APPENDS: usize = 100;
    let bench = Bench::with_partitions(&[Durability::Sync; CHANGING + 1]);
    let changing = 1..=CHANGING as i32;
    changing.clone().for_each(|partition_index| bench.append(0, partition_index, batch(None, 10), 60_000));
    bench.run(SECOND);
    assert_eq!(bench.take_ids().len(), CHANGING);
    for partition_index in changing {
        bench.partitions.reconfigure(name(partition_index), &Rc::new(LogConfig::default()), Durability::PageCache);
        (1..4).for_each(|id| bench.append(id, partition_index, batch(None, 10), 60_000));
    }
    (0..APPENDS as u32).for_each(|id| bench.append(id, 0, batch(None, 10), 60_000));
    assert_eq!((bench.queued(), bench.partitions.0.queue.tries.get()), (3 * CHANGING + APPENDS, 0));
    for wakes in 1..4 {
        // As the end of the turn does.
        bench.partitions.append_queued();
        assert_eq!(bench.queued(), 3 * CHANGING, "those of the partitions that change");
        assert_eq!(bench.partitions.0.queue.tries.get(), APPENDS + wakes * CHANGING);
    }
    bench.run(SECOND);
    assert_eq!(bench.take_ids().len(), 3 * CHANGING + APPENDS);
}

#[test]
fn a_failed_log_a_removed_partition_and_an_end_let_nobody_wait() {
    let bench = Bench::new();
    let _kept = bench.fill();
    bench.append(1, 0, batch(None, SMALL), 60_000);
    bench.append(2, 1, batch(None, SMALL), 60_000);
    bench.append(3, 1, batch(None, SMALL), 60_000);
    bench.partitions.refuse_queued(name(0));
    assert!(matches!(bench.take()[..], [(1, Err(PartitionError::Append(AppendError::Busy)))]));
    bench.partitions.remove(name(1)).unwrap();
    let answers = bench.take();
    assert!(
        matches!(answers[..], [(2, Err(PartitionError::Unknown)), (3, Err(PartitionError::Unknown))]),
        "{answers:?}"
    );
    bench.append(4, 0, batch(None, SMALL), 60_000);
    assert_eq!(bench.queued(), 1);
    bench.partitions.close().expect("closes");
    assert_eq!((bench.queued(), bench.take().len()), (0, 0));

    let bench = Bench::new();
    bench.world.disk(0).inject(DiskFault::eio("commit-", DiskCall::Write).sticky());
    (0..40).for_each(|id| bench.append(id, 0, batch(None, SMALL), 60_000));
    let (queued, taken) = (bench.queued(), 40 - bench.queued());
    bench.run(SECOND);
    let answers = bench.take();
    let count = |is: fn(&AppendError) -> bool| {
        answers.iter().filter(|(_, answer)| matches!(answer, Err(PartitionError::Append(error)) if is(error))).count()
    };
    let in_doubt = count(|error| matches!(error, AppendError::MaybeAppended(_)));
    assert_eq!((in_doubt, count(|error| matches!(error, AppendError::Stopped(_)))), (taken, queued));
}
