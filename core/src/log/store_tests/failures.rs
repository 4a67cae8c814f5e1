//! Writes and syncs that fail, and a disk that is full.

use std::time::Duration;

use super::*;

#[test]
fn a_full_disk_fails_appends_and_they_resume_by_themselves() {
    let world = World::new(3);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    store.append(key, &batch(1, 10, 0), 0).expect("appended");
    store.end_turn();
    let fault = DiskFault::eio(".log", DiskCall::Write).effect(DiskEffect::Errno(libc::ENOSPC)).sticky();
    world.disk.inject(fault);
    for tag in 0..3 {
        let appended = store.append(key, &batch(1, 100, tag), 0).expect("taken");
        assert_eq!(appended.base_offset, 1 + i64::from(tag));
    }
    assert_eq!(store.append(key, &batch(1, 1_800, 9), 0), Err(AppendError::DiskFull), "the segment cannot be ended");
    store.end_turn();
    let mut failed = Vec::new();
    store.take_failed(&mut failed);
    assert_eq!(failed, [FailedAppend { key, from_offset: 1, error: AppendError::DiskFull }]);
    assert_eq!((store.log_end_offset(key), store.acked_end_offset(key)), (1, 1));
    assert_eq!(read_all(&world.reactor, &mut store, key, 100).len(), 1);
    world.disk.heal();
    let producer = |sequence| batch_of(Some((7, 0, sequence)), &[NOW_MS], b"x");
    assert_eq!(store.append(key, &producer(0), 0).expect("resumes").base_offset, 1);
    store.end_turn();
    assert_eq!(read_all(&world.reactor, &mut store, key, 100).len(), 2);
    assert_eq!(offsets_in_files(&world.dyn_disk(), Path::new("/data/t-0")), 2);
}

#[test]
fn a_write_error_stops_the_log_and_takes_back_what_was_not_whole() {
    let world = World::new(4);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    let first = store.append(key, &batch_of(Some((7, 0, 0)), &[NOW_MS], b"a"), 0).expect("appended");
    store.end_turn();
    world.disk.inject(DiskFault::eio(".log", DiskCall::Write));
    store.append(key, &batch_of(Some((7, 0, 1)), &[NOW_MS], b"b"), 0).expect("taken");
    store.end_turn();
    let mut failed = Vec::new();
    store.take_failed(&mut failed);
    assert!(matches!(&failed[..], [FailedAppend { from_offset: 1, error: AppendError::Stopped(_), .. }]));
    assert!(matches!(store.append(key, &batch(1, 1, 1), 0), Err(AppendError::Stopped(_))));
    assert_eq!(read_all(&world.reactor, &mut store, key, 100).len() as i64, first.last_offset + 1);
}

#[test]
fn a_full_disk_behind_the_commit_log_keeps_what_was_acked_and_goes_on() {
    let mut world = World::new(12);
    let mut store = world.open_with(&[]);
    let key = store.create(sync_spec(0)).expect("created");
    let fault = DiskFault::eio("/t-0/", DiskCall::Write).effect(DiskEffect::Errno(libc::ENOSPC)).sticky();
    world.disk.inject(fault);
    let mut sent = Vec::new();
    let mut refused = 0;
    for step in 0..40_u8 {
        if step == 30 {
            world.disk.heal();
        }
        let bytes = batch(1, 200, step);
        match store.append(key, &bytes, 0) {
            Ok(_) => sent.push(bytes[16..].to_vec()),
            Err(AppendError::DiskFull) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        store.end_turn();
        world.turns(3);
        store.take_acked(&mut Vec::new());
        assert_eq!(store.acked_end_offset(key), sent.len() as i64);
    }
    assert!(refused > 10 && sent.len() > 10);
    assert_eq!(read_all(&world.reactor, &mut store, key, 900), sent);
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(&[sync_spec(0)]);
    let key = store.create(sync_spec(0)).expect("created");
    assert_eq!(read_all(&world.reactor, &mut store, key, 900), sent);
}

#[test]
fn a_failed_sync_of_a_segment_keeps_its_entries_in_the_commit_log() {
    let mut world = World::new(13);
    let mut store = world.open_with(&[]);
    let keys = [0, 1].map(|index| store.create(sync_spec(index)).expect("created"));
    world.disk.inject(DiskFault::eio("/t-1/", DiskCall::Sync).sticky());
    let mut sent = [Vec::new(), Vec::new()];
    for step in 0..400_usize {
        let bytes = batch(1, 300, step as u8);
        if store.append(keys[step % 2], &bytes, 0).is_ok() {
            sent[step % 2].push(bytes[16..].to_vec());
        }
        store.end_turn();
        world.turns(3);
        store.take_acked(&mut Vec::new());
    }
    for key in keys {
        assert!(matches!(store.append(key, &batch(1, 1, 1), 0), Err(AppendError::Stopped(_))), "both share the log");
    }
    let acked = keys.map(|key| store.acked_end_offset(key) as usize);
    assert!(store.close().is_err(), "a later sync says nothing of what the failed one lost");
    world.crash(Some(store), Crash::Power);
    world.disk.heal();
    let specs = [sync_spec(0), sync_spec(1)];
    let mut store = world.open_with(&specs);
    for ((spec, sent), acked) in specs.into_iter().zip(sent).zip(acked) {
        let key = store.create(spec).expect("created");
        let found = read_all(&world.reactor, &mut store, key, 900);
        assert!(acked > 5 && found.len() >= acked && found == sent[..found.len()], "{acked} acked");
    }
}

#[test]
fn a_start_after_a_failed_sync_does_not_believe_the_page_cache() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Sync).sticky());
        if seed % 2 == 1 {
            // The note of it can be made a little later only.
            world.disk.inject(DiskFault::eio("sync-failed", DiskCall::Open));
        }
        while store.append(key, &batch(1, 300, 0), 0).is_ok() {
            store.end_turn();
            world.turns(3);
        }
        store.end_turn();
        let acked = store.acked_end_offset(key);
        world.crash(Some(store), Crash::Process);
        world.disk.heal();
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len() as i64, acked);
        world.close(store);
        world.crash(None, Crash::Power);
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len() as i64, acked, "seed {seed}");
    }
}

#[test]
fn a_stop_that_cannot_note_a_failed_sync_begins_none() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        store.append(key, &batch(1, 300, 0), 0).expect("appended");
        store.end_turn();
        world.disk.inject(DiskFault::eio("", DiskCall::Sync).sticky());
        world.disk.inject(DiskFault::eio("sync-failed", DiskCall::Open).sticky());
        assert!(store.close().is_err());
        world.crash(Some(store), Crash::Process);
        world.disk.heal();
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 1);
        world.close(store);
        world.crash(None, Crash::Power);
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("created");
        assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 1, "seed {seed}");
    }
}

#[test]
fn syncs_that_failed_together_are_not_made_good_by_the_next_one() {
    let mut world = World::new(16);
    let specs = [0, 1, 2].map(sync_spec);
    let mut store = world.open_with(&[]);
    let keys = specs.clone().map(|spec| store.create(spec).expect("created"));
    // Of the syncs under way at a time only the first one's error is looked at.
    for index in 0..3 {
        world.disk.inject(DiskFault::eio(&format!("/t-{index}/00000000000000000000.log"), DiskCall::Sync));
    }
    for step in 0..400_usize {
        let _ = store.append(keys[step % 3], &batch(1, 300, step as u8), 0);
        store.end_turn();
        world.turns(3);
        store.take_acked(&mut Vec::new());
    }
    let acked = keys.map(|key| store.acked_end_offset(key));
    world.crash(Some(store), Crash::Power);
    world.disk.heal();
    let mut store = world.open_with(&specs);
    for (spec, acked) in specs.into_iter().zip(acked) {
        let key = store.create(spec).expect("created");
        assert!(read_all(&world.reactor, &mut store, key, 900).len() as i64 >= acked);
    }
}

#[test]
fn when_the_commit_log_fails_nobody_is_told_out_of_order_and_all_who_wait_are_told() {
    let world = World::new(17);
    let mut store = world.open_with(&[]);
    let keys = [0, 1, 2].map(|index| store.create(sync_spec(index)).expect("created"));
    let numbered = |sequence| batch_of(Some((7, 0, sequence)), &[NOW_MS], b"a");
    for key in keys {
        store.append(key, &numbered(0), 0).expect("appended");
    }
    store.end_turn();
    world.turns(3);
    store.take_acked(&mut Vec::new());
    // The first log stops for a reason of its own; the second has a batch under way, as it has; the third has none.
    world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Write));
    world.disk.inject(DiskFault::eio("commit-", DiskCall::Write));
    for value_bytes in [10, 600, 600] {
        store.append(keys[0], &batch(1, value_bytes, 0), 0).expect("taken");
    }
    store.append(keys[1], &numbered(1), 0).expect("taken");
    store.end_turn();
    world.turns(3);
    store.end_turn();
    let mut failed = Vec::new();
    store.take_failed(&mut failed);
    for key in &keys[..2] {
        let of_key = failed.iter().find(|failure| failure.key == *key).expect("it is told");
        assert!(matches!(of_key, FailedAppend { from_offset: 1, error: AppendError::MaybeAppended(_), .. }));
    }
    assert!(matches!(store.append(keys[1], &numbered(1), 0), Err(AppendError::MaybeAppended(_))));
    for (key, sequence) in [(keys[1], 2), (keys[1], 3), (keys[2], 1), (keys[2], 2)] {
        assert!(matches!(store.append(key, &numbered(sequence), 0), Err(AppendError::Stopped(_))), "{sequence}");
    }
}

#[test]
fn a_failed_direct_write_fails_what_was_on_its_way_and_stops_the_log() {
    let world = World::new(15);
    let mut store = world.open_with(&[]);
    let key = store.create(sync_spec(0)).expect("created");
    store.append(key, &batch(1, 10, 0), 0).expect("appended");
    store.end_turn();
    world.turns(3);
    store.take_acked(&mut Vec::new());
    world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Write).sticky());
    for tag in 1..3 {
        match store.append(key, &batch(1, 900, tag), 0) {
            Ok(_) => store.end_turn(),
            Err(error) => assert!(matches!(error, AppendError::Stopped(_))),
        }
        world.turns(3);
        store.end_turn();
    }
    let mut failed = Vec::new();
    store.take_failed(&mut failed);
    assert!(failed.iter().all(|failure| failure.from_offset >= 1), "{failed:?}");
    assert_eq!(store.acked_end_offset(key), 1);
    assert!(matches!(store.append(key, &batch(1, 10, 9), 0), Err(AppendError::Stopped(_))));
}

/// A log of class sync that has acked three records, which wait in memory for their segment.
fn three_acked(seed: u64) -> (World, LogStore, LogKey) {
    let world = World::new(seed);
    let mut store = world.open_with(&[]);
    let key = store.create(sync_spec(0)).expect("created");
    for tag in 0..3 {
        store.append(key, &batch(1, 100, tag), 0).expect("appended");
    }
    store.end_turn();
    world.turns(3);
    store.take_acked(&mut Vec::new());
    (world, store, key)
}

/// Records that the next start finds in that log.
fn found(world: &World) -> usize {
    let mut store = world.open_with(&[sync_spec(0)]);
    let key = store.create(sync_spec(0)).expect("created");
    read_all(&world.reactor, &mut store, key, 900).len()
}

#[test]
fn a_checkpoint_does_not_count_what_a_failed_sync_beside_it_may_have_lost() {
    for seed in 0..8 {
        let (mut world, mut store, key) = three_acked(seed);
        // Both of them sync the segment: the first time for the large batch, and then for the checkpoint.
        world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Sync));
        store.delete_records(key, 1).expect("taken");
        store.append(key, &batch(1, 900, 3), 0).expect("taken");
        for _ in 0..10 {
            store.end_turn();
            world.turns(1);
        }
        assert!(matches!(store.take_moved_starts()[..], [(_, Err(_))]));
        world.crash(Some(store), Crash::Power);
        assert_eq!(found(&world), 3, "seed {seed}");
    }
}

#[test]
fn a_failure_that_the_stop_cuts_off_from_its_task_is_no_clean_stop() {
    for seed in 0..8 {
        let (mut world, mut store, key) = three_acked(seed);
        // The first sync of the large batch is of the small ones.
        world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Sync));
        store.append(key, &batch(1, 900, 3), 0).expect("taken");
        store.end_turn();
        world.turns(1);
        assert_eq!(world.reactor.stop(Duration::from_secs(1)).expect("the driver works"), 0);
        assert!(store.close().is_err(), "seed {seed}");
        world.crash(Some(store), Crash::Power);
        assert_eq!(found(&world), 3, "seed {seed}");
    }
}

#[test]
fn a_failure_of_one_shard_ends_the_acks_of_all() {
    let world = World::new(18);
    let mut stores = [world.open_with(&[]), world.open_store_of(1)];
    let failure = LogDirFailure::default();
    stores.iter_mut().for_each(|store| store.share_failure(failure.clone()));
    let keys = [0, 1].map(|index| stores[index as usize].create(sync_spec(index)).expect("created"));
    let turn = |stores: &mut [LogStore; 2]| {
        stores.iter_mut().for_each(LogStore::end_turn);
        world.turns(3);
        stores.iter_mut().for_each(|store| store.take_acked(&mut Vec::new()));
    };
    let append = |stores: &mut [LogStore; 2], index: usize| stores[index].append(keys[index], &batch(1, 10, 0), 0);
    (0..2).for_each(|index| _ = append(&mut stores, index).expect("appended"));
    turn(&mut stores);
    world.disk.inject(DiskFault::eio("commit-0-", DiskCall::Write));
    append(&mut stores, 0).expect("taken");
    turn(&mut stores);
    append(&mut stores, 1).expect("it has not looked yet");
    turn(&mut stores);
    for (index, store) in stores.iter_mut().enumerate() {
        let mut failed = Vec::new();
        store.take_failed(&mut failed);
        assert!(matches!(failed[..], [FailedAppend { error: AppendError::MaybeAppended(_), .. }]), "{index}");
        assert_eq!(store.acked_end_offset(keys[index]), 1);
        assert!(matches!(store.append(keys[index], &batch(1, 10, 0), 0), Err(AppendError::Stopped(_))));
    }
}

#[test]
fn a_segment_whose_name_alone_came_through_a_power_cut_is_written_again() {
    let mut world = World::new(45);
    let spec = LogSpec { durability: Durability::Sync, ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec.clone()).expect("created");
    for _ in 0..10 {
        store.append(key, &batch(3, 100, 1), 3).expect("appended");
        store.end_turn();
        world.turns(5);
    }
    store.take_acked(&mut Vec::new());
    let acked = read_all(&world.reactor, &mut store, key, 1_000);
    assert_eq!(acked.len(), 10);
    world.crash(Some(store), Crash::Process);
    let segments = |world: &World| {
        let names =
            world.disk.list_dir(Path::new("/data/t-0")).expect("the folder").into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".log")).collect::<Vec<_>>()
    };
    let before = segments(&world);
    assert!(before.len() > 1, "{before:?}");
    // No name was synced: any of them may be missing.
    world.disk.remove_file(&Path::new("/data/t-0").join(&before[0])).expect("removed");
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("created");
    assert_eq!(store.log_start_offset(key), 0);
    assert_eq!(read_all(&world.reactor, &mut store, key, 1_000), acked);
    assert_eq!(segments(&world), before);
}

#[test]
fn what_the_failed_first_write_of_a_log_has_left_is_cut_by_the_next_start() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let mut store = world.open_with(&[]);
        store.create(sync_spec(0)).expect("created");
        // It is noted that the log ends at 0.
        world.close(store);
        let mut store = world.open_with(&[sync_spec(0)]);
        let key = store.create(sync_spec(0)).expect("created");
        world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Sync));
        store.append(key, &batch(1, 900, 0), 0).expect("taken");
        for _ in 0..10 {
            store.end_turn();
            world.turns(1);
        }
        assert_eq!(store.acked_end_offset(key), 0);
        world.crash(Some(store), Crash::Process);
        assert_eq!(found(&world), 0, "seed {seed}");
    }
}

#[test]
fn a_power_cut_in_a_start_leaves_the_clean_mark_or_the_commit_logs() {
    for seed in 0..16 {
        for calls in 0.. {
            let mut world = World::new(seed);
            let store = world.open_with(&[]);
            world.close(store);
            world.disk.die_after(calls);
            let started = start_log_dir(&world.dyn_disk(), Path::new("/data"), &[], NOW_MS, usize::MAX);
            world.crash(None, Crash::Power);
            let is_there = |name| world.disk.exists(&Path::new("/data").join(name));
            assert!(is_there(CLEAN_SHUTDOWN_FILE) || is_there(COMMIT_LOG_FOLDER), "seed {seed} after {calls} calls");
            if started.is_ok() {
                break;
            }
        }
    }
}
