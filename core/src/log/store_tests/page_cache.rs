//! Starts after a crash on the page cache that was written through, and on another one.

use std::path::Path;

use super::{World, batch, read_all, spec, sync_spec};
use crate::log::*;
use crate::reactor::sim::Crash;
use crate::reactor::{Disk, File, OpenMode, read_file};

const SEGMENT: &str = "/data/t-0/00000000000000000000.log";
/// Below this offset a batch's byte is flipped: behind an index entry, before the last batch.
const FLIPPED_BYTE: u64 = 700;

/// Appends so many batches of 300 bytes, one record each; all of them are acked.
fn append(world: &World, store: &mut LogStore, key: LogKey, leader_epoch: i32, count: usize) {
    for _ in 0..count {
        store.append(key, &batch(1, 300, 0), leader_epoch).expect("appended");
        store.end_turn();
        world.turns(3);
        store.take_acked(&mut Vec::new());
    }
}

#[test]
fn batches_are_read_again_only_on_another_page_cache() {
    for is_same in [true, false] {
        let mut world = World::new(3);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        append(&world, &mut store, key, 0, 5);
        world.crash(Some(store), Crash::Process);
        world.disk.rot(Path::new(SEGMENT), FLIPPED_BYTE, 1).expect("there");
        if !is_same {
            world.disk.remove_file(Path::new("/data/.ringlog/page-cache")).expect("a mark");
        }
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(store.log_end_offset(key), if is_same { 5 } else { 1 });
    }
}

#[test]
fn a_torn_last_batch_is_cut_on_the_same_page_cache() {
    for cut_bytes in [1, 200] {
        let mut world = World::new(3);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        append(&world, &mut store, key, 0, 5);
        world.crash(Some(store), Crash::Process);
        let file = File::open(&world.dyn_disk(), Path::new(SEGMENT), OpenMode::READ_WRITE).expect("opens");
        file.set_len(file.len().expect("read") - cut_bytes).expect("cut");
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(store.log_end_offset(key), 4);
        append(&world, &mut store, key, 0, 3);
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 7);
    }
}

#[test]
fn a_start_syncs_nothing_of_class_page_cache_and_says_so() {
    let mut world = World::new(5);
    let specs = [spec(0), sync_spec(1)];
    let mut store = world.open_with(&[]);
    let keys = specs.clone().map(|spec| store.create(spec).expect("created"));
    // The class sync log has something to recover; the other one is over some segments.
    keys.iter().for_each(|key| append(&world, &mut store, *key, 0, 9));
    world.crash(Some(store), Crash::Process);
    let mut store = world.open_with(&specs);
    let keys = specs.clone().map(|spec| store.create(spec).expect("created"));
    assert_eq!(keys.map(|key| store.log_end_offset(key)), [9, 9]);
    // Nothing used the log since: what the next start believes of it is what was synced before.
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&specs);
    let keys = specs.map(|spec| store.create(spec).expect("created"));
    assert!(store.log_end_offset(keys[0]) <= 9);
    assert_eq!(store.log_end_offset(keys[1]), 9);
    let left = store.log_end_offset(keys[0]) as usize;
    assert_eq!(read_all(&world.reactor, &mut store, keys[0], 900).len(), left);
}

#[test]
fn what_a_start_keeps_for_class_sync_is_synced_before_it_is_noted() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        append(&world, &mut store, key, 0, 9);
        world.crash(Some(store), Crash::Process);
        // The topic got class sync, and the broker was killed before the log had it.
        let mut store = world.open_with(&[sync_spec(0)]);
        let key = store.create(sync_spec(0)).expect("created");
        append(&world, &mut store, key, 0, 1);
        world.crash(Some(store), Crash::Power);
        let mut store = world.open_with(&[sync_spec(0)]);
        let key = store.create(sync_spec(0)).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 10);
    }
}

#[test]
fn what_an_earlier_life_wrote_is_synced_by_a_checkpoint_of_this_one() {
    let mut world = World::new(6);
    let mut store = world.open_with(&[]);
    let key = store.create(spec(0)).expect("created");
    append(&world, &mut store, key, 0, 4);
    world.crash(Some(store), Crash::Process);
    let mut store = world.open_with(&[spec(0)]);
    let key = store.create(spec(0)).expect("created");
    // Ends the segment that the first life began, and the next one: a checkpoint syncs both.
    append(&world, &mut store, key, 1, 12);
    world.turns(50);
    let synced = read_file(&world.dyn_disk(), Path::new("/data/.ringlog/synced-0")).expect("a checkpoint");
    assert!(String::from_utf8(synced).expect("text").contains("page-cache"));
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&[spec(0)]);
    let key = store.create(spec(0)).expect("created");
    assert!(store.log_end_offset(key) >= 10, "two segments");
}

#[test]
fn leader_epochs_that_no_file_has_are_found() {
    let mut world = World::new(7);
    let mut store = world.open_with(&[]);
    let mut key = store.create(spec(0)).expect("created");
    let began = [(0, 7), (2, 1), (3, 9), (7, 2)];
    for (leader_epoch, count) in began {
        append(&world, &mut store, key, leader_epoch, count);
        world.crash(Some(store), Crash::Process);
        if leader_epoch != 2 {
            let _ = world.disk.remove_file(Path::new("/data/t-0/leader-epoch-checkpoint"));
        }
        store = world.open_with(&[spec(0)]);
        key = store.create(spec(0)).expect("created");
    }
    let ends = [0, 1, 2, 3, 5, 7].map(|epoch| store.end_offset_for_epoch(key, epoch).expect("opens"));
    assert_eq!(ends, [Some((0, 7)), Some((0, 7)), Some((2, 8)), Some((3, 17)), Some((3, 17)), Some((7, 19))]);
}

#[test]
fn the_class_that_a_topic_got_counts_after_the_next_crash() {
    let mut world = World::new(8);
    let mut store = world.open_with(&[]);
    let key = store.create(sync_spec(0)).expect("created");
    append(&world, &mut store, key, 0, 3);
    let mut before = sync_spec(0);
    for durability in [Durability::PageCache, Durability::Sync, Durability::PageCache] {
        world.crash(Some(store), Crash::Process);
        // All of it is noted in the class that it had.
        drop(world.open_with(std::slice::from_ref(&before)));
        world.crash(None, Crash::Process);
        before = LogSpec { durability, ..spec(0) };
        store = world.open_with(std::slice::from_ref(&before));
        let key = store.create(before.clone()).expect("created");
        append(&world, &mut store, key, 0, 2);
    }
    world.crash(Some(store), Crash::Process);
    let mut store = world.open_with(&[spec(0)]);
    let key = store.create(spec(0)).expect("created");
    assert_eq!(store.log_end_offset(key), 9);
    assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 9);
}
