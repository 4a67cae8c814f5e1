//! `flush.messages`, `flush.ms`, and durability classes that change: what a power cut leaves.

use super::*;

fn spec_with(durability: Durability, config: LogConfig) -> LogSpec {
    let config = Rc::new(LogConfig { segment_bytes: 2_000, index_interval_bytes: 200, ..config });
    LogSpec { durability, config, ..spec(0) }
}

/// One record.
fn append(store: &mut LogStore, key: LogKey) -> Result<Appended, AppendError> {
    store.append(key, &batch(1, 50, 1), 3)
}

fn settle(world: &World, store: &mut LogStore) {
    for _ in 0..30 {
        store.end_turn();
        store.take_acked(&mut Vec::new());
        world.turns(3);
    }
}

/// The end of the log after a power cut, when it is read.
fn end_after_power_cut(world: &mut World, store: LogStore, spec: &LogSpec) -> i64 {
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(std::slice::from_ref(spec));
    let key = store.create(spec.clone()).expect("created");
    let read = read_all(&world.reactor, &mut store, key, 1_000);
    assert_eq!(read.len() as i64, store.acked_end_offset(key));
    read.len() as i64
}

#[test]
fn an_ack_that_leaves_too_many_records_unsynced_waits_for_the_sync() {
    let mut world = World::new(5);
    let spec = spec_with(Durability::PageCache, LogConfig { flush_messages: 3, ..LogConfig::default() });
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec.clone()).expect("created");
    for end in 1..=2 {
        append(&mut store, key).expect("appended");
        store.end_turn();
        assert_eq!(store.acked_end_offset(key), end, "two may be unsynced");
    }
    append(&mut store, key).expect("appended");
    store.end_turn();
    assert_eq!(store.acked_end_offset(key), 2, "not without a sync");
    append(&mut store, key).expect("appended");
    store.end_turn();
    settle(&world, &mut store);
    assert_eq!(store.acked_end_offset(key), 4, "with it, and what came meanwhile");
    assert!(end_after_power_cut(&mut world, store, &spec) >= 3, "three were synced");
}

#[test]
fn each_record_is_synced_before_its_ack_with_flush_messages_1() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let spec = spec_with(Durability::PageCache, LogConfig { flush_messages: 1, ..LogConfig::default() });
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec.clone()).expect("created");
        for _ in 0..40 {
            append(&mut store, key).expect("appended");
            store.end_turn();
            store.take_acked(&mut Vec::new());
            world.turns((seed % 4) as usize);
        }
        let acked = store.acked_end_offset(key);
        let left = end_after_power_cut(&mut world, store, &spec);
        assert!(left >= acked, "seed {seed}: {left} of {acked} acked");
    }
}

#[test]
fn records_are_synced_when_flush_ms_is_over() {
    for is_over in [false, true] {
        let mut world = World::new(8);
        let spec = spec_with(Durability::PageCache, LogConfig { flush_ms: 500, ..LogConfig::default() });
        let mut store = world.open_with(std::slice::from_ref(&spec));
        let key = store.create(spec.clone()).expect("created");
        assert_eq!(append(&mut store, key).expect("appended").flush_in_ms, Some(500));
        assert_eq!(append(&mut store, key).expect("appended").flush_in_ms, None, "it counts already");
        store.end_turn();
        if is_over {
            store.flush(key);
            settle(&world, &mut store);
            assert_eq!(append(&mut store, key).expect("appended").flush_in_ms, Some(500), "it counts again");
        }
        let left = end_after_power_cut(&mut world, store, &spec);
        assert_eq!(left, if is_over { 2 } else { 0 });
    }
}

#[test]
fn a_failed_sync_is_told_to_whom_waits_for_it() {
    let world = World::new(9);
    let spec = spec_with(Durability::PageCache, LogConfig { flush_messages: 1, ..LogConfig::default() });
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("created");
    world.disk.inject(DiskFault::eio("/t-0/", DiskCall::Sync));
    append(&mut store, key).expect("appended");
    settle(&world, &mut store);
    let mut failed = Vec::new();
    store.take_failed(&mut failed);
    assert!(
        matches!(failed[..], [FailedAppend { from_offset: 0, error: AppendError::MaybeAppended(_), .. }]),
        "{failed:?}"
    );
    assert_eq!(store.acked_end_offset(key), 0);
}

#[test]
fn a_class_changes_when_what_is_there_is_durable() {
    use Durability::{PageCache, Sync};
    for (seed, (from, to)) in (0..40).zip([(PageCache, Sync), (Sync, PageCache)].into_iter().cycle()) {
        for crash in [Crash::Power, Crash::Process] {
            let mut world = World::new(seed);
            let (old, new) = (spec_with(from, LogConfig::default()), spec_with(to, LogConfig::default()));
            let mut store = world.open_with(std::slice::from_ref(&old));
            let key = store.create(old.clone()).expect("created");
            for _ in 0..25 {
                append(&mut store, key).expect("appended");
                store.end_turn();
                world.turns(1);
            }
            store.change_class(key, to);
            assert!(matches!(append(&mut store, key), Err(AppendError::Busy)), "not before it has changed");
            // The crash comes at some point of the change, or behind it.
            let mut acked_sync = if from == Sync { store.acked_end_offset(key) } else { 0 };
            for _ in 0..seed {
                if append(&mut store, key).is_ok() && to == Sync {
                    // All that was there is durable then.
                    acked_sync = acked_sync.max(25);
                }
                store.end_turn();
                store.take_acked(&mut Vec::new());
                if acked_sync >= 25 && to == Sync {
                    acked_sync = store.acked_end_offset(key);
                }
                world.turns(2);
            }
            let acked = store.acked_end_offset(key);
            world.crash(Some(store), crash);
            let mut store = world.open_with(std::slice::from_ref(&new));
            let key = store.create(new.clone()).expect("created");
            let left = read_all(&world.reactor, &mut store, key, 1_000).len() as i64;
            let promised = if crash == Crash::Power { acked_sync } else { acked };
            assert!(left >= promised, "{from:?} to {to:?}, seed {seed}, {crash:?}: {left} of {promised}");
            append(&mut store, key).expect("it goes on");
            settle(&world, &mut store);
            assert_eq!(store.acked_end_offset(key), left + 1);
        }
    }
}
