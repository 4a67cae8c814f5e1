//! What the commit logs held for logs that a start does not touch.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{World, batch, batch_of, offsets_in_files, read_all, spec, sync_spec};
use crate::log::*;
use crate::reactor::Disk;
use crate::reactor::sim::{Crash, DirectoryModel, DiskCall, DiskFault};

const DAY_MS: i64 = 24 * 3_600_000;

fn folder(partition_index: i32) -> PathBuf {
    Path::new("/data").join(sync_spec(partition_index).folder())
}

fn create_all(store: &mut LogStore, specs: &[LogSpec]) -> Vec<LogKey> {
    specs.iter().map(|spec| store.create(spec.clone()).expect("created")).collect()
}

/// Appends one batch to each and waits for the ack.
fn append_all(world: &World, store: &mut LogStore, keys: &[LogKey], tag: u8) {
    for key in keys {
        store.append(*key, &batch(1, 50, tag), 0).expect("appended");
    }
    store.end_turn();
    world.turns(3);
    store.take_acked(&mut Vec::new());
}

/// Logs with three batches each, after a crash. Nothing of them is in a segment.
fn crashed(specs: &[LogSpec]) -> World {
    let mut world = World::new(31);
    world.carried_logs_min = 2;
    let mut store = world.open_with(&[]);
    let keys = create_all(&mut store, specs);
    (0..3).for_each(|tag| append_all(&world, &mut store, &keys, tag));
    world.crash(Some(store), Crash::Power);
    world
}

#[test]
fn a_start_makes_no_folder_for_what_is_carried_and_its_tail_does_when_it_is_written() {
    let specs = [0, 1, 2].map(sync_spec);
    let mut world = crashed(&specs);
    for _ in 0..3 {
        let mut store = world.open_with(&specs);
        let keys = create_all(&mut store, &specs);
        store.forget_others();
        assert_eq!([0, 1, 2].map(|index| world.disk.exists(&folder(index))), [false; 3]);
        assert_eq!(keys.iter().map(|key| store.acked_end_offset(*key)).collect::<Vec<_>>(), [3; 3]);
        world.crash(Some(store), Crash::Power);
    }
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    let size_bytes = 3 * batch(1, 50, 0).len() as u64;
    assert_eq!(store.size_bytes(keys[0]).expect("known"), size_bytes);
    assert!(!world.disk.exists(&folder(0)));
    assert_eq!(read_all(&world.reactor, &mut store, keys[0], 100).len(), 3);
    append_all(&world, &mut store, &keys[1..2], 9);
    assert_eq!([0, 1, 2].map(|index| world.disk.exists(&folder(index))), [false; 3]);
    // Until the commit log fills: the oldest tails go first.
    let mut count = 3;
    for step in 0.. {
        if world.disk.exists(&folder(0)) && world.disk.exists(&folder(1)) {
            break;
        }
        assert!(step < 5_000, "the tails are never written");
        match store.append(keys[2], &batch(1, 300, 7), 0) {
            Ok(_) => count += 1,
            Err(error) => assert_eq!(error, AppendError::Busy),
        }
        store.end_turn();
        world.turns(3);
        store.take_acked(&mut Vec::new());
    }
    // What is not synced is carried again, with what came behind.
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    let counts: Vec<_> = keys.iter().map(|key| read_all(&world.reactor, &mut store, *key, 100).len()).collect();
    assert_eq!(counts, [3, 4, count]);
}

#[test]
fn a_clean_stop_and_the_recovery_by_hand_leave_the_files_of_all_logs() {
    for by_hand in [false, true] {
        let specs = [0, 1].map(sync_spec);
        let mut world = crashed(&specs);
        let mut store = world.open_with(&specs);
        create_all(&mut store, &specs);
        if by_hand {
            world.crash(Some(store), Crash::Power);
            let recovered = recover_log_dir(&world.dyn_disk(), Path::new("/data"), &specs, super::NOW_MS, 7);
            assert_eq!(recovered.expect("recovered").replayed_entries, 6);
        } else {
            world.close(store);
        }
        world.crash(None, Crash::Power);
        assert!(!world.disk.exists(Path::new("/data/.ringlog")));
        for index in [0, 1] {
            assert_eq!(offsets_in_files(&world.dyn_disk(), &folder(index)), 3);
            for file in ["partition.metadata", "leader-epoch-checkpoint", "00000000000000000003.snapshot"] {
                assert!(world.disk.exists(&folder(index).join(file)), "{file}");
            }
        }
    }
}

#[test]
fn young_records_are_not_opened_for_retention_and_old_ones_are_retired() {
    let mut short = sync_spec(0);
    Rc::make_mut(&mut short.config).retention_ms = DAY_MS;
    let specs = [short, sync_spec(1)];
    let world = crashed(&specs);
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    for key in &keys {
        assert!(store.retire(*key).expect("looked at").is_bounded);
    }
    assert!(!world.disk.exists(&folder(0)));
    world.now_ms.set(super::NOW_MS + DAY_MS + 1);
    assert!(store.retire(keys[0]).expect("looked at").is_bounded);
    assert!(world.disk.exists(&folder(0)) && !world.disk.exists(&folder(1)));
    store.end_turn();
    world.turns(30);
    store.end_turn();
    store.retire(keys[0]).expect("synced by now");
    assert_eq!((store.log_start_offset(keys[0]), store.log_end_offset(keys[0])), (3, 3));
}

#[test]
fn a_log_that_is_to_have_another_class_is_not_carried() {
    let specs = [0, 1].map(sync_spec);
    let world = crashed(&specs);
    let specs = [spec(0), sync_spec(1)];
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    assert!(world.disk.exists(&folder(0)) && !world.disk.exists(&folder(1)));
    // And one that gets it while it is served is opened for it.
    store.change_class(keys[1], Durability::PageCache);
    for _ in 0..10 {
        store.end_turn();
        world.turns(3);
    }
    assert!(world.disk.exists(&folder(1)));
    assert_eq!(store.append(keys[1], &batch(1, 50, 9), 0).map(|appended| appended.base_offset), Ok(3));
    assert_eq!(keys.iter().map(|key| store.log_end_offset(*key)).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_full_disk_takes_nothing_from_what_was_carried() {
    let specs = [0, 1].map(sync_spec);
    let world = crashed(&specs);
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    world.disk.set_capacity(Some(0));
    assert_eq!(read_all(&world.reactor, &mut store, keys[0], 100).len(), 3);
    world.disk.set_capacity(None);
    append_all(&world, &mut store, &keys, 9);
    assert_eq!(keys.iter().map(|key| store.acked_end_offset(*key)).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn a_log_that_finds_no_room_to_be_opened_is_opened_later_and_takes_no_batch_out_of_turn() {
    let small = |index| {
        let config = Rc::new(LogConfig { segment_bytes: 300, ..*spec(index).config });
        LogSpec { config, ..sync_spec(index) }
    };
    let specs = [0, 1].map(small);
    let world = crashed(&specs);
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    let sent = |sequence| batch_of(Some((7, 0, sequence)), &[super::NOW_MS], b"v");
    world.disk.set_capacity(Some(0));
    for _ in 0..3 {
        assert_eq!(store.append(keys[0], &sent(0), 0), Err(AppendError::DiskFull));
    }
    world.disk.set_capacity(None);
    assert_eq!(store.append(keys[0], &sent(1), 0), Err(AppendError::BehindRefused), "the one before it comes again");
    assert_eq!(
        [0, 1].map(|sequence| store.append(keys[0], &sent(sequence), 0).map(|appended| appended.base_offset)),
        [Ok(3), Ok(4)]
    );
}

#[test]
fn a_repeated_batch_is_known_from_what_was_carried() {
    let specs = [0, 1].map(sync_spec);
    let mut world = World::new(32);
    world.carried_logs_min = 1;
    let mut store = world.open_with(&[]);
    let keys = create_all(&mut store, &specs);
    let sent = |sequence| batch_of(Some((7, 0, sequence)), &[super::NOW_MS], b"v");
    (0..4).for_each(|sequence| assert!(!store.append(keys[0], &sent(sequence), 0).expect("appended").duplicate));
    store.end_turn();
    world.turns(3);
    world.crash(Some(store), Crash::Process);
    let mut store = world.open_with(&specs);
    let keys = create_all(&mut store, &specs);
    let again = store.append(keys[0], &sent(3), 0).expect("known");
    assert!(again.duplicate && again.base_offset == 3);
    assert_eq!(store.append(keys[0], &sent(4), 0).expect("the next").base_offset, 4);
}

#[test]
fn damage_of_what_is_carried_is_refused() {
    let specs = [0, 1].map(sync_spec);
    let mut world = crashed(&specs);
    let start = |world: &World| start_log_dir(&world.dyn_disk(), Path::new("/data"), &specs, super::NOW_MS, 1);
    start(&world).expect("recovered");
    let path = Path::new("/data/.ringlog/carried");
    let size = crate::reactor::read_file(&world.dyn_disk(), path).expect("there").len() as u64;
    world.disk.rot(path, size - 1, 1).expect("there");
    let mut store = world.open_store();
    let keys = create_all(&mut store, &specs);
    let reads: Vec<_> = keys.iter().map(|key| store.read(*key, 0, 3, 100, true).is_ok()).collect();
    assert_eq!(reads, [true, false]);
    world.crash(Some(store), Crash::Process);
    assert!(start(&world).is_err());
}

/// Files of commit logs that hold what is carried, and the ids of their logs.
fn kept(world: &World) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new("/data/.ringlog");
    let names = world.disk.list_dir(dir).expect("there").into_iter().map(|entry| entry.name);
    let kept = names.filter(|name| name.ends_with(".carried"));
    kept.map(|name| {
        let bytes = crate::reactor::read_file(&world.dyn_disk(), &dir.join(&name)).expect("there");
        (name, bytes[16..24].to_vec())
    })
    .collect()
}

#[test]
fn what_is_carried_stays_in_the_commit_logs_of_one_start_and_the_lesser_is_copied() {
    let specs = [0, 1].map(sync_spec);
    let mut world = crashed(&specs);
    let mut store = world.open_with(&specs);
    let first = kept(&world);
    assert_eq!(first.len(), 1, "one file has entries");
    // Less than that one has: it is copied.
    let keys = create_all(&mut store, &specs);
    append_all(&world, &mut store, &keys[..1], 7);
    append_all(&world, &mut store, &keys[..1], 8);
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&specs);
    assert_eq!(kept(&world), first);
    let keys = create_all(&mut store, &specs);
    assert_eq!(keys.iter().map(|key| store.acked_end_offset(*key)).collect::<Vec<_>>(), [5, 3]);
    // More.
    for tag in 20..40 {
        append_all(&world, &mut store, &keys, tag);
    }
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&specs);
    let second = kept(&world);
    assert!(!second.is_empty() && second.iter().all(|(_, log_id)| *log_id != first[0].1), "{second:?}");
    let keys = create_all(&mut store, &specs);
    let counts: Vec<_> = keys.iter().map(|key| read_all(&world.reactor, &mut store, *key, 100).len()).collect();
    assert_eq!(counts, [25, 23]);
    world.close(store);
    assert!(!world.disk.exists(Path::new("/data/.ringlog")));
}

#[test]
fn a_start_that_is_cut_short_anywhere_loses_nothing() {
    let specs = [0, 1, 2].map(sync_spec);
    for (crash, directories) in [
        (Crash::Process, DirectoryModel::Strict),
        (Crash::Power, DirectoryModel::Strict),
        (Crash::Power, DirectoryModel::Journaled),
    ] {
        for lesser in [1, 40] {
            for calls in 0.. {
                let mut world = World::with_directories(u64::from(calls), directories);
                world.carried_logs_min = 1;
                let mut store = world.open_with(&[]);
                let keys = create_all(&mut store, &specs);
                (0..6).for_each(|tag| append_all(&world, &mut store, &keys, tag));
                world.crash(Some(store), crash);
                let mut store = world.open_with(&specs);
                let keys = create_all(&mut store, &specs);
                (0..lesser).for_each(|tag| append_all(&world, &mut store, &keys[1..2], tag));
                world.crash(Some(store), crash);
                world.disk.die_after(calls);
                let path = Path::new("/data");
                let is_done = start_log_dir(&world.dyn_disk(), path, &specs, super::NOW_MS, 1).is_ok();
                world.crash(None, crash);
                // The next one refers to what that one left, or reads it.
                world.carried_logs_min = [1, usize::MAX][calls as usize % 2];
                let mut store = world.open_with(&specs);
                let keys = create_all(&mut store, &specs);
                let counts: Vec<_> =
                    keys.iter().map(|key| read_all(&world.reactor, &mut store, *key, 1_000).len()).collect();
                assert_eq!(counts, [6, 6 + lesser as usize, 6], "{calls} calls, {crash:?}, {directories:?}");
                if is_done {
                    assert!(calls > 50, "{calls}");
                    break;
                }
            }
        }
    }
}

#[test]
fn what_may_not_outlive_a_power_cut_is_copied() {
    let specs = [0].map(sync_spec);
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.carried_logs_min = 1;
        let mut store = world.open_with(&[]);
        let keys = create_all(&mut store, &specs);
        (0..3).for_each(|tag| append_all(&world, &mut store, &keys, tag));
        // The page cache has it, the device does not.
        world.disk.inject(DiskFault::eio("commit-", DiskCall::Sync));
        append_all(&world, &mut store, &keys, 3);
        world.crash(Some(store), Crash::Process);
        let mut store = world.open_with(&specs);
        let key = store.create(specs[0].clone()).expect("created");
        let told = store.acked_end_offset(key);
        assert_eq!(told, 4);
        world.crash(Some(store), Crash::Power);
        let mut store = world.open_with(&specs);
        let key = store.create(specs[0].clone()).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 100).len(), 4, "seed {seed}");
    }
}
