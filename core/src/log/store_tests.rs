//! Behaviour of the store on the simulated disk, with segments of a few hundred bytes.

mod aborted;
mod by_hand;
mod carried;
mod failures;
mod late_writes;
mod page_cache;
mod promises;
mod removal;
mod retention;
mod scrub;
mod tails;

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::header::{BatchHeader, HEADER_BYTES, crc_matches};
use super::*;
use crate::reactor::sim::{Clockwork, Crash, DirectoryModel, DiskCall, DiskEffect, DiskFault, SimDisk, SimDiskConfig};
use crate::reactor::{
    Completion, Disk, Driver, File, Handle, Instant, Op, OpenMode, Piece, Pieces, Reactor, Token, Wait, Wake, read_file,
};
use crate::record::TimestampType;

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

/// A driver with a disk and nothing else; reads complete at the next turn.
struct DiskDriver {
    disk: Rc<SimDisk>,
    done: Vec<Completion>,
    now_ms: Rc<Cell<i64>>,
}

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

impl Driver for DiskDriver {
    fn now(&self) -> Instant {
        Instant(0)
    }

    fn wall_clock_ms(&self) -> i64 {
        self.now_ms.get()
    }

    /// Another one each time, as no commit log has the id of one before it.
    fn random_u64(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(4);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    fn disk(&self) -> Rc<dyn Disk> {
        Rc::clone(&self.disk) as Rc<dyn Disk>
    }

    fn submit(&mut self, token: Token, mut op: Op) {
        let result = match &mut op {
            Op::Read { file, position, buffer } => file.read_at(*position, buffer).map(|count| count as u32),
            Op::Sync { file } => file.sync().map(|()| 0),
            Op::Write { file, position, parts, durable } => {
                let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                file.write_at(*position, &slices).and_then(|count| {
                    if *durable {
                        file.sync()?;
                    }
                    Ok(count as u32)
                })
            }
            Op::ReadAhead { file, position, len } => {
                self.disk.read_ahead(file.handle(), *position, u64::from(*len)).map(|()| 0)
            }
            other => panic!("not expected here: {other:?}"),
        };
        self.done.push(Completion { token, result, bytes: Bytes::new(), more: false, op: Some(op) });
    }

    fn cancel(&mut self, _token: Token) {}

    fn turn(&mut self, _wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        completions.append(&mut self.done);
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWake)
    }

    fn listen(&mut self, _address: SocketAddr) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn local_address(&self, _socket: Handle) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn peer_address(&self, _socket: Handle) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn socket(&mut self, _peer: SocketAddr) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_nodelay(&mut self, _socket: Handle) -> io::Result<()> {
        Ok(())
    }

    fn sendfile(&mut self, _socket: Handle, _file: Handle, _position: u64, _len: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown(&mut self, _socket: Handle) {}

    fn close_socket(&mut self, _socket: Handle) {}
}

pub(super) struct World {
    pub(super) disk: Rc<SimDisk>,
    pub(super) reactor: Reactor,
    /// The wall clock.
    pub(super) now_ms: Rc<Cell<i64>>,
    /// From so many logs on, what the commit logs hold is carried over a start.
    pub(super) carried_logs_min: usize,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_directories(seed, DirectoryModel::Strict)
    }

    pub(super) fn with_directories(seed: u64, directories: DirectoryModel) -> Self {
        Self::with_config(seed, SimDiskConfig { directories, ..SimDiskConfig::default() })
    }

    pub(super) fn with_config(seed: u64, config: SimDiskConfig) -> Self {
        let disk = SimDisk::with_config(Clockwork::new(seed), config);
        disk.create_dir_all(Path::new("/data")).expect("a folder");
        disk.sync_all(Path::new("/data")).expect("a folder that stays");
        let now_ms = Rc::new(Cell::new(NOW_MS));
        let reactor = Self::reactor(&disk, &now_ms);
        Self { disk, reactor, now_ms, carried_logs_min: 64 }
    }

    fn reactor(disk: &Rc<SimDisk>, now_ms: &Rc<Cell<i64>>) -> Reactor {
        Reactor::new(Box::new(DiskDriver { disk: Rc::clone(disk), done: Vec::new(), now_ms: Rc::clone(now_ms) }))
    }

    /// Ends the process: its tasks end with it.
    pub(super) fn crash(&mut self, store: Option<LogStore>, crash: Crash) {
        self.disk.crash(crash);
        drop(store);
        self.reactor = Self::reactor(&self.disk, &self.now_ms);
    }

    pub(super) fn dyn_disk(&self) -> Rc<dyn Disk> {
        Rc::clone(&self.disk) as Rc<dyn Disk>
    }

    fn open(&self) -> LogStore {
        self.open_with(&[spec(0), spec(1)])
    }

    pub(super) fn open_with(&self, specs: &[LogSpec]) -> LogStore {
        let carried_logs_min = self.carried_logs_min;
        start_log_dir(&self.dyn_disk(), Path::new("/data"), specs, NOW_MS, carried_logs_min).expect("recovered");
        self.open_store()
    }

    /// On a directory that was made ready.
    pub(super) fn open_store(&self) -> LogStore {
        self.open_store_of(0)
    }

    fn open_store_of(&self, shard_id: u16) -> LogStore {
        let config = StoreConfig {
            open_files_max: 5,
            tail_flush_bytes: 1_000,
            dirty_bytes_max: 6_000,
            direct: DirectConfig { batch_bytes_min: 700, group_bytes: 4 << 10, memory_bytes_max: 64 << 10 },
            commit_log: small_commit_log(),
            ..StoreConfig::default()
        };
        LogStore::open(self.reactor.clone(), PathBuf::from("/data"), shard_id, config).expect("opens")
    }

    pub(super) fn close(&self, mut store: LogStore) {
        let closed = store.close().expect("closes");
        self.turns(20);
        finish_clean_stop(&self.dyn_disk(), Path::new("/data"), &closed, 7).expect("stopped");
    }

    pub(super) fn turns(&self, count: usize) {
        for _ in 0..count {
            self.reactor.turn(false).expect("the driver works");
        }
    }
}

fn small_commit_log() -> commit_log::CommitLogConfig {
    commit_log::CommitLogConfig {
        file_bytes: 64 << 10,
        file_count: 4,
        entry_bytes_max: 8 << 10,
        write_bytes_max: 8 << 10,
        chunk_bytes: 16 << 10,
        staging_bytes_max: 64 << 10,
        prewrite: false,
        ..commit_log::CommitLogConfig::default()
    }
}

fn spec(partition_index: i32) -> LogSpec {
    LogSpec {
        topic_name: "t".into(),
        topic_id: uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        partition_index,
        durability: Durability::PageCache,
        config: LogConfig { segment_bytes: 2_000, index_interval_bytes: 200, ..LogConfig::default() }.into(),
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A batch as a producer sends it: one record per timestamp.
pub(super) fn batch_of(producer: Option<(i64, i16, i32)>, timestamps: &[i64], value: &[u8]) -> Bytes {
    let (producer_id, producer_epoch, base_sequence) = producer.unwrap_or((-1, -1, -1));
    let mut records = Vec::new();
    for (index, timestamp) in timestamps.iter().enumerate() {
        let mut record = vec![0];
        zigzag(timestamp - timestamps[0], &mut record);
        zigzag(index as i64, &mut record);
        zigzag(-1, &mut record);
        zigzag(value.len() as i64, &mut record);
        record.extend_from_slice(value);
        zigzag(0, &mut record);
        zigzag(record.len() as i64, &mut records);
        records.extend_from_slice(&record);
    }
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[8..12].copy_from_slice(&((HEADER_BYTES - 12 + records.len()) as i32).to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(timestamps.len() as i32 - 1).to_be_bytes());
    bytes[27..35].copy_from_slice(&timestamps[0].to_be_bytes());
    bytes[35..43].copy_from_slice(&timestamps.iter().max().expect("a record").to_be_bytes());
    bytes[43..51].copy_from_slice(&producer_id.to_be_bytes());
    bytes[51..53].copy_from_slice(&producer_epoch.to_be_bytes());
    bytes[53..57].copy_from_slice(&base_sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&(timestamps.len() as i32).to_be_bytes());
    bytes.extend_from_slice(&records);
    let crc = crate::record::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

fn batch(records: usize, value_bytes: usize, tag: u8) -> Bytes {
    batch_of(None, &vec![NOW_MS; records], &vec![tag; value_bytes])
}

/// Pieces that are all in memory.
pub(super) fn joined(pieces: &Pieces) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.bytes().expect("in memory").to_vec()).collect()
}

fn ready(result: Result<ReadResult, ReadError>) -> Vec<u8> {
    match result.expect("readable") {
        ReadResult::Ready(pieces) => joined(&pieces),
        ReadResult::Cold(_) => panic!("it is in memory"),
    }
}

/// Reads a log from its start to its end, piece by piece, and checks that offsets are dense and CRCs right.
/// Returns the batches without what the log patches.
fn read_all(reactor: &Reactor, store: &mut LogStore, key: LogKey, piece_bytes: usize) -> Vec<Vec<u8>> {
    let (mut from, end) = (store.log_start_offset(key), store.acked_end_offset(key));
    let mut batches = Vec::new();
    while from < end {
        let bytes = match store.read(key, from, end, piece_bytes, true).expect("readable") {
            ReadResult::Ready(pieces) => joined(&pieces),
            ReadResult::Cold(read) => joined(&reactor.block_on(read).expect("read")),
        };
        assert!(!bytes.is_empty(), "no batch at {from} of {end}");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).expect("whole batches");
            let (batch, behind) = rest.split_at(header.size_bytes as usize);
            assert!(crc_matches(batch));
            assert_eq!(header.base_offset, from, "dense");
            from = header.last_offset() + 1;
            batches.push(batch[16..].to_vec());
            rest = behind;
        }
    }
    assert_eq!(from, end);
    batches
}

/// An independent look at the files: segment after segment, batch after batch.
fn offsets_in_files(disk: &Rc<dyn Disk>, dir: &Path) -> i64 {
    let mut next = 0;
    for entry in disk.list_dir(dir).expect("the folder") {
        let Some(base) = entry.name.strip_suffix(".log") else { continue };
        assert_eq!(base.parse::<i64>().expect("digits"), next, "segments follow each other");
        let bytes = crate::reactor::read_file(disk, &dir.join(&entry.name)).expect("readable");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).expect("only whole batches");
            assert_eq!(header.base_offset, next);
            next = header.last_offset() + 1;
            rest = &rest[header.size_bytes as usize..];
        }
    }
    next
}

#[test]
fn reads_cross_segments_without_a_gap_whatever_the_limit() {
    let world = World::new(1);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    let mut sent = Vec::new();
    for turn in 0..40_usize {
        for step in 0..turn % 4 + 1 {
            let bytes = batch(step + 1, turn * 7 % 130, turn as u8);
            sent.push(bytes[16..].to_vec());
            store.append(key, &bytes, 3).expect("appended");
        }
        store.end_turn();
    }
    let mut acked = Vec::new();
    store.take_acked(&mut acked);
    assert_eq!(acked.last(), Some(&(key, store.log_end_offset(key))));
    for piece_bytes in [0, 1, 300, 5_000, 1 << 20] {
        assert_eq!(read_all(&world.reactor, &mut store, key, piece_bytes), sent);
    }
    assert_eq!(offsets_in_files(&world.dyn_disk(), Path::new("/data/t-0")), store.log_end_offset(key));
    let end = store.acked_end_offset(key);
    for from in 0..end {
        let bytes = ready(store.read(key, from, end, 0, true));
        let header = BatchHeader::parse(&bytes).expect("one batch");
        assert!(
            header.base_offset <= from && from <= header.last_offset() && bytes.len() == header.size_bytes as usize
        );
    }
    assert!(ready(store.read(key, end, end, 1, true)).is_empty());
    assert!(ready(store.read(key, 0, end, 60, false)).is_empty(), "no batch fits");
    assert!(matches!(store.read(key, end + 1, end, 1, true), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn a_clean_stop_leaves_what_the_next_start_trusts() {
    let world = World::new(2);
    let mut sent = Vec::new();
    for round in 0..5_usize {
        let mut store = world.open();
        let key = store.create(spec(0)).expect("created");
        let unused = store.create(spec(1)).expect("created");
        assert_eq!(store.log_end_offset(unused), 0);
        assert_eq!(read_all(&world.reactor, &mut store, key, 1_000), sent);
        for step in 0..17 {
            let bytes = batch(2, 60, (round * 17 + step) as u8);
            sent.push(bytes[16..].to_vec());
            store.append(key, &bytes, round as i32).expect("appended");
            store.end_turn();
        }
        assert_eq!(store.log_end_offset(key), sent.len() as i64 * 2);
        world.close(store);
        world.disk.crash(Crash::Power);
        let names: Vec<String> =
            world.disk.list_dir(Path::new("/data/t-0")).expect("folder").into_iter().map(|entry| entry.name).collect();
        let of_kind = |kind| names.iter().filter_map(move |name| name.strip_suffix(kind).map(str::to_owned));
        let mut bases_and_end: Vec<String> = of_kind(".log").skip(1).collect();
        bases_and_end.push(format!("{:020}", sent.len() * 2));
        assert_eq!(of_kind(".snapshot").collect::<Vec<_>>(), bases_and_end);
        assert!(
            names.iter().any(|name| name == "partition.metadata") && !names.iter().any(|name| name.ends_with("tmp"))
        );
    }
    let epochs = crate::reactor::read_file(&world.dyn_disk(), Path::new("/data/t-0/leader-epoch-checkpoint"));
    assert_eq!(epochs.expect("there"), b"0\n5\n0 0\n1 34\n2 68\n3 102\n4 136\n");
    let metadata = crate::reactor::read_file(&world.dyn_disk(), Path::new("/data/t-0/partition.metadata"));
    assert_eq!(metadata.expect("there"), b"version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7w");
}

#[test]
fn a_repeated_batch_gets_its_first_offsets_and_a_gap_is_refused() {
    let world = World::new(5);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    let of = |epoch, sequence| batch_of(Some((7, epoch, sequence)), &[NOW_MS, NOW_MS], b"v");
    for step in 0..7 {
        assert_eq!(store.append(key, &of(0, step * 2), 0).expect("fresh").base_offset, i64::from(step) * 2);
        store.end_turn();
    }
    let repeated = store.append(key, &of(0, 4), 0).expect("repeated");
    assert_eq!((repeated.base_offset, repeated.last_offset, repeated.duplicate), (4, 5, true));
    assert_eq!(store.append(key, &of(0, 18), 0), Err(AppendError::OutOfOrderSequence));
    assert_eq!(store.append(key, &of(1, 2), 0), Err(AppendError::OutOfOrderSequence));
    assert_eq!(store.append(key, &of(1, 0), 0).expect("new epoch").base_offset, 14);
    assert_eq!(store.append(key, &of(0, 14), 0), Err(AppendError::InvalidProducerEpoch));
    world.close(store);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("opened");
    assert!(store.append(key, &of(1, 0), 0).expect("remembered").duplicate);
    assert_eq!(store.append(key, &of(1, 2), 0).expect("next").base_offset, 16);
}

#[test]
fn the_broker_s_time_is_stamped_with_a_right_crc() {
    let world = World::new(6);
    let mut store = world.open();
    let mut stamped = spec(0);
    Rc::make_mut(&mut stamped.config).timestamp_type = TimestampType::LogAppendTime;
    let key = store.create(stamped).expect("created");
    let appended = store.append(key, &batch_of(None, &[5, 6], b"v"), 0).expect("appended");
    store.end_turn();
    assert_eq!(appended.log_append_time_ms, NOW_MS);
    let bytes = ready(store.read(key, 0, 2, 1_000, true));
    assert!(crc_matches(&bytes));
    assert_eq!(BatchHeader::parse(&bytes).expect("a batch").max_timestamp, NOW_MS);
}

#[test]
fn cold_batches_come_through_the_reactor() {
    let world = World::new(7);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    for tag in 0..30 {
        store.append(key, &batch(1, 100, tag), 0).expect("appended");
        store.end_turn();
    }
    for entry in world.disk.list_dir(Path::new("/data/t-0")).expect("folder") {
        world.disk.evict(&Path::new("/data/t-0").join(entry.name)).expect("evicted");
    }
    let ReadResult::Cold(read) = store.read(key, 5, 30, 1 << 20, true).expect("readable") else {
        panic!("it was evicted");
    };
    let bytes = joined(&world.reactor.block_on(read).expect("read"));
    assert_eq!(BatchHeader::parse(&bytes).expect("a batch").base_offset, 5);
    let batch_bytes = batch(1, 100, 0).len();
    assert_eq!(bytes.len(), 25 * batch_bytes);
}

#[test]
fn the_first_record_that_is_late_enough_is_found() {
    let world = World::new(8);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    for step in 0..50_i64 {
        let first = NOW_MS + step * 30;
        store.append(key, &batch_of(None, &[first, first + 10, first + 20], &[0; 40]), 0).expect("appended");
        store.end_turn();
    }
    let end = store.acked_end_offset(key);
    for step in 0..150_i64 {
        let found = store.offset_for_timestamp(key, NOW_MS + step * 10 - 5, end).expect("found");
        assert_eq!(found, Some((step, NOW_MS + step * 10)));
    }
    assert_eq!(store.offset_for_timestamp(key, NOW_MS + 1_491, end).expect("looked"), None);
    assert_eq!(store.max_timestamp(key).expect("known"), Some((149, NOW_MS + 1_490)));
}

#[test]
fn bytes_behind_the_last_batch_are_refused_after_a_clean_stop() {
    let world = World::new(10);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    store.append(key, &batch(3, 10, 0), 0).expect("appended");
    world.close(store);
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let file = File::open(&world.dyn_disk(), path, OpenMode::READ_WRITE).expect("there");
    let len = file.len().expect("known");
    file.write_all_at(len, &[0; 100]).expect("written");
    let mut store = world.open();
    let key = store.create(spec(0)).expect("taken in");
    assert!(matches!(store.append(key, &batch(1, 1, 1), 0), Err(AppendError::Stopped(_))));
}

pub(super) fn sync_spec(partition_index: i32) -> LogSpec {
    LogSpec { durability: Durability::Sync, ..spec(partition_index) }
}

#[test]
fn class_sync_acks_from_the_commit_log_and_serves_the_tail() {
    let world = World::new(11);
    let mut store = world.open_with(&[]);
    let keys = [0, 1].map(|index| store.create(sync_spec(index)).expect("created"));
    let mut sent = [Vec::new(), Vec::new()];
    for step in 0..200_usize {
        let bytes = batch(step % 3 + 1, step * 13 % 200, step as u8);
        sent[step % 2].push(bytes[16..].to_vec());
        let appended = store.append(keys[step % 2], &bytes, 0).expect("appended");
        store.end_turn();
        assert!(store.acked_end_offset(keys[step % 2]) <= appended.base_offset, "not before the commit log says so");
        world.turns(3);
        let mut acked = Vec::new();
        store.take_acked(&mut acked);
        assert_eq!(acked, [(keys[step % 2], appended.last_offset + 1)]);
        store.end_turn();
        world.turns(3);
    }
    for piece_bytes in [1, 700, 1 << 20] {
        for (key, sent) in keys.iter().zip(&sent) {
            assert_eq!(&read_all(&world.reactor, &mut store, *key, piece_bytes), sent);
        }
    }
    world.close(store);
    world.disk.crash(Crash::Power);
    assert!(
        !world.disk.exists(Path::new("/data/.ringlog")) && world.disk.exists(Path::new("/data/.kafka_cleanshutdown"))
    );
    assert_eq!(offsets_in_files(&world.dyn_disk(), Path::new("/data/t-0")), 199);
    let mut store = world.open_with(&[sync_spec(0), sync_spec(1)]);
    for (index, sent) in sent.iter().enumerate() {
        let key = store.create(sync_spec(index as i32)).expect("created");
        assert_eq!(&read_all(&world.reactor, &mut store, key, 700), sent);
    }
}

/// The indexes of all segments but the active one are whole.
fn check_indexes(disk: &Rc<dyn Disk>, dir: &Path) {
    let Ok(entries) = disk.list_dir(dir) else { return };
    let bases: Vec<i64> = entries.iter().filter_map(|entry| entry.name.strip_suffix(".log")?.parse().ok()).collect();
    for pair in bases.windows(2) {
        let read = |extension| crate::reactor::read_file(disk, &dir.join(format!("{:020}.{extension}", pair[0])));
        let log_bytes = read("log").expect("readable").len() as u64;
        let (offsets, times) = (read("index").expect("there"), read("timeindex").expect("there"));
        let sound = offset_index::sound_offset_entries(&offsets, pair[0], log_bytes, pair[1]);
        assert_eq!(sound.len() * offset_index::OFFSET_ENTRY_BYTES, offsets.len(), "{}", dir.display());
        let sound = time_index::sound_time_entries(&times, pair[0], pair[1]);
        assert_eq!(sound.len() * time_index::TIME_ENTRY_BYTES, times.len(), "{}", dir.display());
        assert!(
            !times.is_empty(),
            "a segment that was left has its largest timestamp: {} {bases:?} {}",
            dir.display(),
            pair[0]
        );
    }
}

#[test]
fn a_repeated_batch_that_was_not_acked_is_known_after_a_stop_of_any_kind() {
    for (stop, carried_logs_min) in [(0, 64), (1, 64), (2, 64), (1, 1), (2, 1)] {
        let mut world = World::new(21);
        world.carried_logs_min = carried_logs_min;
        let specs = [sync_spec(0), spec(1)];
        let mut store = world.open_with(&specs);
        let mut keys = specs.clone().map(|spec| store.create(spec).expect("created"));
        let sent = |sequence| batch_of(Some((7, 0, sequence)), &[NOW_MS], &[1; 300]);
        for life in 0..4 {
            for sequence in life * 10..life * 10 + 10 {
                for key in keys {
                    store.append(key, &sent(sequence), 0).expect("appended");
                }
                store.end_turn();
                world.turns(3);
            }
            match stop {
                0 => world.close(store),
                1 => world.crash(Some(store), Crash::Process),
                // Not even the recovery of the crash before has come to its end.
                _ => {
                    world.crash(Some(store), Crash::Process);
                    let store = world.open_with(&specs);
                    world.crash(Some(store), Crash::Process);
                }
            }
            store = world.open_with(&specs);
            keys = specs.clone().map(|spec| store.create(spec).expect("created"));
            for sequence in life * 10 + 5..life * 10 + 10 {
                for key in keys {
                    let again = store.append(key, &sent(sequence), 0).expect("known");
                    assert!(again.duplicate && again.base_offset == i64::from(sequence), "stop {stop}: {again:?}");
                }
            }
        }
    }
}

/// A random history with crashes: what was acked in its class is there afterwards, in order, and nothing else but what
/// was sent behind it.
///
/// With `carried_logs_min` 1 a log that is not used in a life has what it lacks carried over more than one start.
fn crash_history(seed: u64, carried_logs_min: usize) {
    let mut world = World::new(seed);
    world.carried_logs_min = carried_logs_min;
    let clock = Rc::clone(world.disk.clock());
    let specs = [sync_spec(0), sync_spec(1), spec(2)];
    let mut sent: [Vec<(i64, Vec<u8>)>; 3] = Default::default();
    let mut acked_ends = [0; 3];
    for life in 0..4 {
        let mut store = world.open_with(&specs);
        let keys = specs.clone().map(|spec| store.create(spec).expect("created"));
        let is_unused = [(); 3].map(|()| carried_logs_min == 1 && clock.chance(500));
        for (index, key) in keys.iter().enumerate() {
            let end = store.log_end_offset(*key);
            assert!(end >= acked_ends[index], "seed {seed} life {life} log {index}: {end} of {}", acked_ends[index]);
            sent[index].retain(|(last_offset, _)| *last_offset < end);
            acked_ends[index] = end;
            if is_unused[index] {
                continue;
            }
            let expected: Vec<Vec<u8>> = sent[index].iter().map(|(_, bytes)| bytes.clone()).collect();
            assert_eq!(
                read_all(&world.reactor, &mut store, *key, 900),
                expected,
                "seed {seed} life {life} log {index}"
            );
            check_indexes(&world.dyn_disk(), &Path::new("/data").join(specs[index].folder()));
        }
        for _ in 0..clock.below(300) {
            let index = clock.below(3) as usize;
            if is_unused[index] {
                continue;
            }
            let bytes = batch(clock.between(1, 4) as usize, clock.below(300) as usize, clock.below(250) as u8);
            match store.append(keys[index], &bytes, life) {
                Ok(appended) => sent[index].push((appended.last_offset, bytes[16..].to_vec())),
                Err(AppendError::Busy) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if clock.chance(500) {
                store.end_turn();
            }
            world.turns(clock.below(3) as usize);
            let mut acked = Vec::new();
            store.take_acked(&mut acked);
            for (key, end) in acked {
                acked_ends[key.0 as usize] = end;
            }
        }
        match clock.below(3) {
            0 => {
                world.close(store);
                for (index, sent) in sent.iter().enumerate() {
                    acked_ends[index] = sent.last().map_or(0, |(last_offset, _)| last_offset + 1);
                }
                world.crash(None, Crash::Power);
            }
            1 => world.crash(Some(store), Crash::Process),
            _ => {
                world.crash(Some(store), Crash::Power);
                // The class promises nothing here; what is left is a prefix.
                acked_ends[2] = 0;
            }
        }
    }
}

#[test]
fn nothing_acked_is_lost_in_a_crash() {
    for seed in 100..140 {
        crash_history(seed, 64);
        crash_history(seed, 1);
    }
}

#[test]
fn a_folder_says_durably_whose_it_is_before_a_point_is_noted() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        let mut store = world.open_with(&[]);
        let key = store.create(sync_spec(0)).expect("created");
        let points = Path::new("/data/.ringlog/synced-0");
        while !world.disk.exists(points) {
            store.append(key, &batch(1, 300, 0), 0).expect("appended");
            store.end_turn();
            world.turns(3);
        }
        world.crash(Some(store), Crash::Power);
        if world.disk.exists(points) {
            let bytes = read_file(&world.dyn_disk(), Path::new("/data/t-0/partition.metadata")).expect("there");
            assert_eq!(decode_partition_metadata(&bytes).expect("whole"), sync_spec(0).topic_id, "seed {seed}");
        }
    }
}

#[test]
fn large_reads_are_ranges_of_the_page_cache_that_end_with_a_batch_below_the_bound() {
    let world = World::new(8);
    let mut store = world.open();
    let config = Rc::new(LogConfig { index_interval_bytes: 200, ..LogConfig::default() });
    let key = store.create(LogSpec { config, ..spec(0) }).expect("created");
    let batch_bytes = batch(1, 10_000, 0).len();
    for tag in 0..100 {
        store.append(key, &batch(1, 10_000, tag), 0).expect("appended");
        store.end_turn();
    }
    for (from, bound, max_bytes, expected) in [
        (0, 100, 2 << 20, 0..100),
        (7, 100, 2 << 20, 7..100),
        (7, 60, 2 << 20, 7..60),
        (7, 100, 30 * batch_bytes, 7..37),
        (7, 100, 30 * batch_bytes - 1, 7..36),
    ] {
        let ReadResult::Ready(pieces) = store.read(key, from, bound, max_bytes, true).expect("readable") else {
            panic!("it is in memory");
        };
        let [Piece::File(range)] = &pieces[..] else { panic!("one range: {pieces:?}") };
        assert_eq!(range.position, expected.start * batch_bytes as u64, "{from}..{bound}");
        let end = range.position + range.len as u64;
        assert_eq!(end % batch_bytes as u64, 0, "whole batches");
        // The index may know less than the log does, by the batch that it would name next.
        let batches = end / batch_bytes as u64;
        assert!(batches == expected.end || batches + 1 == expected.end, "{batches} of {expected:?}");
    }
    let small = ready(store.read(key, 7, 100, 64 << 10, true));
    assert_eq!(small.len(), 6 * batch_bytes);
    world.disk.evict(Path::new("/data/t-0/00000000000000000000.log")).expect("evicted");
    let ReadResult::Cold(read) = store.read(key, 7, 100, 2 << 20, true).expect("readable") else {
        panic!("it was evicted");
    };
    let pieces = world.reactor.block_on(read).expect("read");
    assert!(matches!(&pieces[..], [Piece::File(range)] if range.len == 93 * batch_bytes), "in the page cache by now");
}

#[test]
fn large_batches_go_past_the_commit_log_and_small_ones_keep_their_place() {
    let world = World::new(14);
    let mut store = world.open_with(&[]);
    let mut large = sync_spec(0);
    Rc::make_mut(&mut large.config).segment_bytes = 9_000;
    let key = store.create(large.clone()).expect("created");
    let mut sent = Vec::new();
    for step in 0..60_usize {
        let bytes = if step % 5 < 3 { batch(2, 500, step as u8) } else { batch(1, 20, step as u8) };
        sent.push(bytes[16..].to_vec());
        let appended = store.append(key, &bytes, 3).expect("appended");
        let before = store.acked_end_offset(key);
        store.end_turn();
        assert_eq!(store.acked_end_offset(key), before, "not before the device says so");
        if step % 4 == 3 {
            for _ in 0..8 {
                world.turns(3);
                store.end_turn();
                store.take_acked(&mut Vec::new());
            }
            assert_eq!(store.acked_end_offset(key), appended.last_offset + 1);
            assert_eq!(read_all(&world.reactor, &mut store, key, 900), sent);
        }
    }
    let logged: usize = sent.iter().map(Vec::len).sum();
    assert!(store.commit_log_counters().payload_bytes < logged as u64 / 4, "{:?}", store.commit_log_counters());
    world.close(store);
    world.disk.crash(Crash::Power);
    let mut store = world.open_with(std::slice::from_ref(&large));
    let key = store.create(large).expect("taken in");
    assert_eq!(read_all(&world.reactor, &mut store, key, 900), sent);
}
