//! Tails that reach their segments by late writes past the page cache.

use std::path::Path;

use super::*;

const RECORD_BYTES: usize = 700;

fn config() -> StoreConfig {
    let commit_log = commit_log::CommitLogConfig {
        file_bytes: 256 << 10,
        entry_bytes_max: 16 << 10,
        write_bytes_max: 16 << 10,
        chunk_bytes: 32 << 10,
        staging_bytes_max: 256 << 10,
        prewrite: false,
        ..commit_log::CommitLogConfig::default()
    };
    let direct = DirectConfig { batch_bytes_min: 6_000, group_bytes: 16 << 10, memory_bytes_max: 64 << 10 };
    StoreConfig {
        tail_flush_bytes: 8_192,
        late_bytes_min: 4_096,
        late_memory_bytes_max: 16 << 10,
        dirty_bytes_max: 64 << 10,
        direct,
        commit_log,
        ..StoreConfig::default()
    }
}

fn sync_spec(segment_bytes: u32) -> LogSpec {
    let config = Rc::new(LogConfig { segment_bytes, ..*spec(0).config });
    LogSpec { durability: Durability::Sync, config, ..spec(0) }
}

/// A store whose writes take time: they are there after [`LateWorld::settle`].
struct LateWorld {
    world: World,
    store: LogStore,
    key: LogKey,
    sent: Vec<Vec<u8>>,
}

impl LateWorld {
    fn new(segment_bytes: u32) -> Self {
        Self::on(World::new(3), segment_bytes)
    }

    fn on(world: World, segment_bytes: u32) -> Self {
        let path = PathBuf::from("/data");
        start_log_dir(&world.dyn_disk(), &path, &[], NOW_MS, 64).expect("empty");
        let mut store = LogStore::open(world.reactor.clone(), path, 0, config()).expect("opens");
        let key = store.create(sync_spec(segment_bytes)).expect("created");
        Self { world, store, key, sent: Vec::new() }
    }

    fn append(&mut self, batches: usize, value_bytes: usize) {
        for _ in 0..batches {
            let bytes = batch(1, value_bytes, self.sent.len() as u8);
            self.sent.push(bytes[16..].to_vec());
            self.store.append(self.key, &bytes, 0).expect("appended");
        }
        self.store.end_turn();
    }

    /// Lets the commit log's writes and the late ones end, and starts what follows.
    fn settle(&mut self) {
        for _ in 0..6 {
            self.world.turns(2);
            self.store.end_turn();
        }
        self.store.take_acked(&mut Vec::new());
    }

    fn len(&self, base_offset: i64) -> u64 {
        let path = format!("/data/t-0/{base_offset:020}.log");
        let file = File::open(&self.world.dyn_disk(), Path::new(&path), OpenMode::READ).expect("it is there");
        file.len().expect("a length")
    }

    fn check(&mut self) {
        assert_eq!(read_all(&self.world.reactor, &mut self.store, self.key, 3_000), self.sent);
    }

    /// A clean stop, behind which all is in the files.
    fn close(mut self) {
        self.check();
        let end = self.store.log_end_offset(self.key);
        self.world.close(self.store);
        assert_eq!(offsets_in_files(&self.world.dyn_disk(), Path::new("/data/t-0")), end);
    }

    /// The log as a power cut left it.
    fn lose_power(mut self) -> (World, LogStore, LogKey) {
        self.world.crash(Some(self.store), Crash::Power);
        let (path, spec) = (PathBuf::from("/data"), sync_spec(1 << 20));
        start_log_dir(&self.world.dyn_disk(), &path, std::slice::from_ref(&spec), NOW_MS, 64).expect("recovered");
        let mut store = LogStore::open(self.world.reactor.clone(), path, 0, config()).expect("opens");
        let key = store.create(spec).expect("there");
        (self.world, store, key)
    }
}

#[test]
fn whole_blocks_are_written_and_the_rest_is_served_from_memory() {
    let mut late = LateWorld::new(1 << 20);
    late.append(12, RECORD_BYTES);
    late.settle();
    assert_eq!(late.len(0), 8_192, "whole blocks, in the middle of a batch");
    late.check();
    late.append(12, RECORD_BYTES);
    late.settle();
    assert_eq!(late.len(0), 16_384);
    late.close();
}

#[test]
fn small_batches_of_several_logs_do_not_keep_the_memory_of_the_commit_log() {
    let mut late = LateWorld::new(1 << 20);
    let [a, b, c] = [1, 2, 3]
        .map(|partition_index| late.store.create(LogSpec { partition_index, ..sync_spec(1 << 20) }).expect("created"));
    let keys = [late.key, a, b, c];
    // Each turn is a block of the commit log, of which there are 64 in memory, however little is in it.
    for turn in 0..300 {
        late.store.append(keys[turn % keys.len()], &batch(1, 20, 0), 0).expect("there is room");
        late.store.end_turn();
        late.world.turns(2);
    }
    late.settle();
    assert_eq!(keys.map(|key| late.store.acked_end_offset(key)), [75; 4]);
}

#[test]
fn a_segment_may_end_while_a_late_write_is_under_way() {
    let mut late = LateWorld::new(12_000);
    late.append(12, RECORD_BYTES);
    // The write of the first segment has not ended when the second one begins.
    late.append(12, RECORD_BYTES);
    assert_eq!(late.store.opened_size(late.key).expect("open").1, 2);
    late.settle();
    late.check();
    late.append(40, RECORD_BYTES);
    late.settle();
    late.close();
}

#[test]
fn several_segments_may_end_while_a_late_write_is_under_way() {
    let mut late = LateWorld::new(12_000);
    late.append(1, RECORD_BYTES);
    late.settle();
    late.append(12, RECORD_BYTES);
    // The files of the second and the third one are not there yet.
    late.append(36, RECORD_BYTES);
    assert_eq!(late.store.opened_size(late.key).expect("open").1, 4);
    // Nor are they for a run of the checkpointer, which syncs the first one.
    late.store.delete_records(late.key, 1).expect("taken");
    late.store.end_turn();
    late.settle();
    late.settle();
    assert_eq!(late.store.take_moved_starts(), [(late.key, Ok(1))]);
    late.sent.remove(0);
    let read = read_all(&late.world.reactor, &mut late.store, late.key, 3_000);
    assert!(read == late.sent);
    late.append(1, RECORD_BYTES);
    let (sent, acked) = (late.sent.clone(), late.store.acked_end_offset(late.key));
    let (world, mut store, key) = late.lose_power();
    assert!(acked >= 49 && store.acked_end_offset(key) >= acked);
    let read = read_all(&world.reactor, &mut store, key, 3_000);
    assert!(read[..] == sent[..read.len()]);
}

#[test]
fn a_large_batch_behind_a_late_write_goes_through_the_commit_log() {
    let mut late = LateWorld::new(1 << 20);
    late.append(12, RECORD_BYTES);
    late.append(1, 7_000);
    late.settle();
    late.check();
    late.append(1, 7_000);
    late.append(3, RECORD_BYTES);
    late.settle();
    late.check();
}

#[test]
fn deleted_records_behind_a_late_write_are_gone_when_it_is_told() {
    let mut late = LateWorld::new(1 << 20);
    late.append(13, RECORD_BYTES);
    // All has ended, and the store has not looked yet.
    late.world.turns(3);
    late.store.take_acked(&mut Vec::new());
    late.store.delete_records(late.key, -1).expect("taken");
    let end = late.store.log_start_offset(late.key);
    late.settle();
    late.settle();
    assert_eq!(late.store.take_moved_starts(), [(late.key, Ok(end))]);
    let (_, store, key) = late.lose_power();
    assert_eq!((store.log_start_offset(key), end > 0), (end, true));
}

#[test]
fn where_direct_writes_are_refused_tails_go_through_the_page_cache() {
    let config = SimDiskConfig { refuse_direct: true, ..SimDiskConfig::default() };
    let mut late = LateWorld::on(World::with_config(3, config), 1 << 20);
    late.append(12, RECORD_BYTES);
    assert!(late.len(0) > 8_192, "all of it, at once");
    late.settle();
    late.check();
}

#[test]
fn what_a_late_write_could_not_bring_stays_and_is_served() {
    let mut late = LateWorld::new(1 << 20);
    late.append(1, RECORD_BYTES);
    late.settle();
    late.world.disk.inject(DiskFault::eio("t-0/00000000000000000000.log", DiskCall::Write).sticky());
    late.append(12, RECORD_BYTES);
    late.settle();
    late.check();
    let refused = late.store.append(late.key, &batch(1, 10, 0), 0).expect_err("the log has stopped");
    assert!(matches!(refused, AppendError::Stopped(_)), "{refused}");
    // Nobody syncs what is not there, and the commit log keeps it: a power cut takes nothing.
    let (acked, sent) = (late.store.acked_end_offset(late.key), late.sent.clone());
    late.world.disk.heal();
    let (world, mut store, key) = late.lose_power();
    assert_eq!(store.acked_end_offset(key), acked);
    assert_eq!(read_all(&world.reactor, &mut store, key, 3_000), sent);
}

#[test]
fn what_is_released_is_synced_where_a_log_start_waits_for_a_late_write() {
    let mut late = LateWorld::new(1 << 20);
    while late.store.sync.commit_log.pressure().oldest_file_end.is_none() {
        late.append(12, RECORD_BYTES);
        late.settle();
    }
    late.append(12, RECORD_BYTES);
    late.settle();
    let (oldest, written) = (late.store.sync.commit_log.oldest_unreleased(), late.len(0));
    late.append(12, RECORD_BYTES);
    // Up to what was acked, of which the rest is on its way.
    late.store.delete_records(late.key, -1).expect("taken");
    for _ in 0..100 {
        late.store.end_turn();
        if late.store.sync.commit_log.oldest_unreleased() > oldest {
            break;
        }
        late.world.turns(1);
    }
    assert!(late.store.sync.commit_log.oldest_unreleased() > oldest, "what was in the first file is not needed");
    late.world.crash(Some(late.store), Crash::Power);
    let path = format!("/data/t-0/{:020}.log", 0);
    let file = File::open(&late.world.dyn_disk(), Path::new(&path), OpenMode::READ).expect("it is there");
    assert!(file.len().expect("a length") >= written);
}
