//! Segments that go: by age, by size, by a deletion of records.

use super::*;

/// Appends batches of three records, `turns` of them, and lets the background sync do its work.
fn fill(world: &World, store: &mut LogStore, key: LogKey, turns: usize, timestamp: i64) {
    for _ in 0..turns {
        store.append(key, &batch_of(None, &[timestamp; 3], &[7; 100]), 3).expect("appended");
        store.end_turn();
        world.turns(5);
    }
    for _ in 0..20 {
        store.end_turn();
        store.take_acked(&mut Vec::new());
        world.turns(5);
    }
}

fn names(world: &World) -> Vec<String> {
    let entries = world.disk.list_dir(Path::new("/data/t-0")).expect("the folder");
    entries.into_iter().map(|entry| entry.name).filter(|name| !name.ends_with("checkpoint")).collect()
}

#[test]
fn segments_end_earlier_by_a_jitter_of_their_own() {
    let span_of_first_segment = |partition_index, segment_jitter_ms| {
        let mut spec = spec(partition_index);
        let config = LogConfig { segment_bytes: 1 << 20, segment_ms: 1000, segment_jitter_ms, ..LogConfig::default() };
        spec.config = Rc::new(config);
        let world = World::new(6);
        let mut store = world.open_with(&[spec.clone()]);
        let key = store.create(spec.clone()).expect("created");
        let folder = PathBuf::from("/data").join(spec.folder());
        let is_segment = |entry: &crate::reactor::DirEntry| entry.name.ends_with(".log");
        let segments =
            || world.disk.list_dir(&folder).expect("a folder").iter().filter(|entry| is_segment(entry)).count();
        let append = |store: &mut LogStore, timestamp| {
            store.append(key, &batch_of(None, &[timestamp], b"v"), 0).expect("appended");
            store.end_turn();
            world.turns(1);
        };
        append(&mut store, NOW_MS);
        let before = segments();
        let spans = (10..).step_by(10).find(|span| {
            append(&mut store, NOW_MS + span);
            segments() > before
        });
        spans.expect("segments end")
    };
    assert_eq!((span_of_first_segment(0, 0), span_of_first_segment(1, 0)), (1010, 1010));
    let (first, second) = (span_of_first_segment(0, 900), span_of_first_segment(1, 900));
    assert!(first != second && (100..1010).contains(&first) && (100..1010).contains(&second), "{first} {second}");
    assert_eq!(span_of_first_segment(0, 900), first, "the same when it is looked for again");
}

#[test]
fn what_is_not_acked_is_not_retired() {
    const HOUR: i64 = 3_600_000;
    let world = World::new(43);
    let config = Rc::new(LogConfig { retention_ms: HOUR, ..*spec(0).config });
    let spec = LogSpec { durability: Durability::Sync, config, ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("created");
    // The commit log waits for room, and the segments do not.
    world.disk.inject(DiskFault::eio("commit-", DiskCall::Write).effect(DiskEffect::Errno(libc::ENOSPC)).sticky());
    for _ in 0..9 {
        store.append(key, &batch_of(None, &[NOW_MS - 2 * HOUR; 3], &[7; 100]), 3).expect("appended");
        store.end_turn();
    }
    for _ in 0..5 {
        store.retire(key).expect("looked at");
        fill(&world, &mut store, key, 0, NOW_MS);
    }
    assert_eq!((store.log_start_offset(key), store.acked_end_offset(key)), (0, 0));
}

#[test]
fn a_segment_that_was_retired_is_not_made_again_by_a_large_batch() {
    let world = World::new(42);
    let config = Rc::new(LogConfig { retention_bytes: 1, ..*spec(0).config });
    let spec = LogSpec { durability: Durability::Sync, config, ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("created");
    fill(&world, &mut store, key, 20, NOW_MS);
    for _ in 0..3 {
        store.retire(key).expect("looked at");
        fill(&world, &mut store, key, 0, NOW_MS);
    }
    let segments = || names(&world).into_iter().filter(|name| name.ends_with(".log")).collect::<Vec<_>>();
    let before = segments();
    assert!(store.log_start_offset(key) > 0 && !before.contains(&"00000000000000000000.log".to_owned()), "{before:?}");
    store.append(key, &batch(1, 900, 1), 3).expect("goes directly");
    fill(&world, &mut store, key, 0, NOW_MS);
    assert_eq!(store.acked_end_offset(key), store.log_end_offset(key));
    assert!(segments().iter().all(|name| *name >= before[0]), "{:?} after {before:?}", segments());
}

#[test]
fn retention_takes_whole_synced_segments_from_the_front_and_never_acked_data_that_is_young() {
    const HOUR: i64 = 3_600_000;
    for durability in [Durability::PageCache, Durability::Sync] {
        let mut world = World::new(41);
        let old_spec =
            LogSpec { durability, config: LogConfig { retention_ms: HOUR, ..*spec(0).config }.into(), ..spec(0) };
        let mut store = world.open_with(std::slice::from_ref(&old_spec));
        let key = store.create(old_spec.clone()).expect("created");
        fill(&world, &mut store, key, 30, NOW_MS - 2 * HOUR);
        let old_end = store.log_end_offset(key);
        fill(&world, &mut store, key, 10, NOW_MS);
        let mut retired = Retired::default();
        // The first look may find that segments are not synced yet, and has it done; the next one moves the log start.
        for _ in 0..3 {
            let found = store.retire(key).expect("looked at");
            retired.files.extend(found.files);
            fill(&world, &mut store, key, 0, NOW_MS);
        }
        let start = store.log_start_offset(key);
        assert!(start > 0 && start <= old_end, "{durability:?}: {start} of {old_end}");
        assert!(old_end - start < 30, "only the segment that reaches into young data is left");
        assert!(retired.files.iter().all(|path| path.to_string_lossy().ends_with(".deleted")), "{retired:?}");
        assert!(matches!(store.read(key, 0, old_end, 100, true), Err(ReadError::OutOfRange { .. })));
        let kept = read_all(&world.reactor, &mut store, key, 1_000);
        assert_eq!(store.retire(key).expect("looked at").files, Vec::<PathBuf>::new());
        // A stop before the delay is over leaves the files; the next start removes them.
        assert!(names(&world).iter().any(|name| name.ends_with(".deleted")));
        world.crash(Some(store), Crash::Process);
        let mut store = world.open_with(std::slice::from_ref(&old_spec));
        let key = store.create(old_spec).expect("created");
        assert_eq!(store.log_start_offset(key), start);
        assert_eq!(read_all(&world.reactor, &mut store, key, 1_000), kept);
    }
}

#[test]
fn retention_by_size_keeps_what_is_allowed_and_compacted_logs_keep_all() {
    let world = World::new(42);
    let bounded = LogSpec { config: LogConfig { retention_bytes: 5_000, ..*spec(0).config }.into(), ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&bounded));
    let key = store.create(bounded.clone()).expect("created");
    fill(&world, &mut store, key, 40, NOW_MS);
    store.reconfigure(key, &Rc::new(LogConfig { is_deleted: false, ..*bounded.config }));
    assert_eq!(store.retire(key).expect("looked at"), Retired { delay_ms: 60_000, ..Retired::default() });
    store.reconfigure(key, &bounded.config);
    // The first look moves the log start only, until that is durable.
    let retired = store.retire(key).expect("looked at");
    assert!(retired.is_bounded && retired.files.is_empty() && store.log_start_offset(key) > 0);
    fill(&world, &mut store, key, 0, NOW_MS);
    assert_eq!(store.take_moved_starts(), [(key, Ok(store.log_start_offset(key)))]);
    assert!(!store.retire(key).expect("looked at").files.is_empty());
    let logs = names(&world).into_iter().filter(|name| name.ends_with(".log"));
    let left: u64 = logs
        .map(|name| {
            File::open(&world.dyn_disk(), &Path::new("/data/t-0").join(name), OpenMode::READ)
                .expect("there")
                .len()
                .expect("size")
        })
        .sum();
    assert!((5_000..=7_000).contains(&left), "{left}");
}

#[test]
fn when_all_is_old_the_active_segment_goes_too() {
    let world = World::new(43);
    let short = LogSpec { config: LogConfig { retention_ms: 1000, ..*spec(0).config }.into(), ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&short));
    let key = store.create(short).expect("created");
    fill(&world, &mut store, key, 3, NOW_MS - 10_000);
    let end = store.log_end_offset(key);
    for _ in 0..3 {
        store.retire(key).expect("looked at");
        fill(&world, &mut store, key, 0, NOW_MS);
    }
    assert_eq!((store.log_start_offset(key), store.log_end_offset(key)), (end, end));
    assert_eq!(store.append(key, &batch(1, 10, 1), 3).expect("appended").base_offset, end);
}

#[test]
fn deleted_records_stay_deleted_after_a_power_cut() {
    for durability in [Durability::PageCache, Durability::Sync] {
        let mut world = World::new(44);
        let spec = LogSpec { durability, ..spec(0) };
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec.clone()).expect("created");
        fill(&world, &mut store, key, 10, NOW_MS);
        store.delete_records(key, 7).expect("moved");
        assert_eq!(store.log_start_offset(key), 7);
        let mut moved = Vec::new();
        for _ in 0..50 {
            store.end_turn();
            world.turns(1);
            moved.extend(store.take_moved_starts());
        }
        assert_eq!(moved, [(key, Ok(7))]);
        world.crash(Some(store), Crash::Power);
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec).expect("created");
        assert_eq!(store.log_start_offset(key), 7, "{durability:?}");
        assert!(store.log_end_offset(key) >= 7);
        store.delete_records(key, -1).expect("moved");
        assert_eq!(store.log_start_offset(key), store.acked_end_offset(key));
    }
}

#[test]
fn the_log_starts_behind_what_was_retired_whichever_names_a_power_cut_brings_back() {
    const HOUR: i64 = 3_600_000;
    for seed in 0..30 {
        let mut world = World::new(seed);
        let config = Rc::new(LogConfig { retention_ms: HOUR, ..*spec(0).config });
        let spec = LogSpec { durability: Durability::Sync, config, ..spec(0) };
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec.clone()).expect("created");
        fill(&world, &mut store, key, 30, NOW_MS - 2 * HOUR);
        // In every second run all of it is old.
        fill(&world, &mut store, key, 10 * (seed as usize % 2), NOW_MS);
        for _ in 0..5 {
            store.retire(key).expect("looked at");
            fill(&world, &mut store, key, 0, NOW_MS);
        }
        assert!(names(&world).iter().filter(|name| name.ends_with(".log.deleted")).count() > 1, "{:?}", names(&world));
        let start = store.log_start_offset(key);
        let kept = read_all(&world.reactor, &mut store, key, 1_000);
        world.crash(Some(store), Crash::Power);
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec).expect("created");
        assert_eq!(store.log_start_offset(key), start, "seed {seed}");
        assert_eq!(read_all(&world.reactor, &mut store, key, 1_000), kept, "seed {seed}");
        store.append(key, &batch(1, 10, 1), 3).expect("opened");
        let bases = names(&world).into_iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok());
        let mut bases: Vec<i64> = bases.collect();
        bases.sort_unstable();
        assert!(bases.get(1).is_none_or(|second| *second > start), "seed {seed}: {bases:?}");
    }
}
