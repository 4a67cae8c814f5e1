//! Logs that go with their topic, and topics that are made again under the name of one that is gone.

use super::*;

#[test]
fn a_removed_log_leaves_a_folder_to_be_removed_and_its_name_can_be_used_again() {
    let world = World::new(9);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    store.append(key, &batch(3, 10, 0), 0).expect("appended");
    store.end_turn();
    let folder = store.remove(key).expect("removed").expect("it had a folder");
    assert_eq!(store.remove(key).expect("gone before"), None);
    assert_eq!(store.append(key, &batch(3, 10, 0), 0), Err(AppendError::UnknownLog));
    let entries = world.disk.list_dir(Path::new("/data")).expect("there").into_iter();
    let left: Vec<_> = entries.map(|entry| entry.name).filter(|name| name.starts_with("t-")).collect();
    assert!(left[0].ends_with("-delete"), "{left:?}");
    assert_eq!(left.iter().map(|name| Path::new("/data").join(name)).collect::<Vec<_>>(), [folder]);
    let again = store.create(spec(0)).expect("created");
    assert_eq!(store.log_end_offset(again), 0);
    assert_eq!(store.append(again, &batch(3, 10, 0), 0).expect("appended").base_offset, 0);
}

#[test]
fn the_folder_that_a_deletion_left_is_removed_at_the_next_start() {
    let mut world = World::new(19);
    let mut store = world.open();
    let key = store.create(spec(0)).expect("created");
    store.append(key, &batch(3, 10, 0), 0).expect("appended");
    store.end_turn();
    world.disk.create_dir_all(Path::new("/data/mine.a-delete")).expect("of somebody else");
    store.remove(key).expect("renamed");
    let deleted = |world: &World| {
        let names = world.disk.list_dir(Path::new("/data")).expect("there").into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with("-delete")).count()
    };
    assert_eq!(deleted(&world), 2);
    world.crash(Some(store), Crash::Process);
    world.open_with(&[]);
    assert_eq!(deleted(&world), 1);
}

#[test]
fn a_topic_made_again_under_its_old_name_starts_empty_after_a_crash() {
    let mut world = World::new(14);
    let mut store = world.open_with(&[]);
    let key = store.create(sync_spec(0)).expect("created");
    for tag in 0..20 {
        store.append(key, &batch(1, 300, tag), 0).expect("appended");
        store.end_turn();
        world.turns(3);
    }
    world.close(store);
    world.crash(None, Crash::Power);
    let mut store = world.open_with(&[sync_spec(0)]);
    let key = store.create(sync_spec(0)).expect("created");
    assert_eq!(store.log_end_offset(key), 20);
    store.remove(key).expect("removed");
    let again = LogSpec { topic_id: uuid::Uuid::from_u128(99), ..sync_spec(0) };
    let key = store.create(again.clone()).expect("created");
    store.append(key, &batch(1, 10, 0), 0).expect("appended");
    store.end_turn();
    world.turns(3);
    store.take_acked(&mut Vec::new());
    assert_eq!(store.acked_end_offset(key), 1);
    world.crash(Some(store), Crash::Power);
    let mut store = world.open_with(std::slice::from_ref(&again));
    let key = store.create(again).expect("created");
    assert_eq!(read_all(&world.reactor, &mut store, key, 900).len(), 1);
}

#[test]
fn a_folder_left_by_a_deleted_topic_is_not_taken_for_the_new_one() {
    let mut world = World::new(15);
    let mut store = world.open_with(&[]);
    let key = store.create(spec(0)).expect("created");
    store.append(key, &batch(3, 10, 0), 0).expect("appended");
    store.end_turn();
    world.crash(Some(store), Crash::Process);
    let again = LogSpec { topic_id: uuid::Uuid::from_u128(99), ..spec(0) };
    let mut store = world.open_with(&[]);
    let key = store.create(again.clone()).expect("created");
    assert_eq!(store.log_end_offset(key), 0);
    world.crash(Some(store), Crash::Process);
    let mut store = world.open_with(std::slice::from_ref(&again));
    let key = store.create(again).expect("created");
    assert_eq!(store.append(key, &batch(1, 10, 0), 0).expect("appended").base_offset, 0);
}

#[test]
fn a_log_whose_first_segments_are_gone_behind_a_clean_stop_is_not_served() {
    for log_start_offset in [0, 2] {
        let world = World::new(20);
        let mut store = world.open_with(&[]);
        let key = store.create(spec(0)).expect("created");
        for tag in 0..6 {
            store.append(key, &batch(3, 400, tag), 0).expect("appended");
            store.end_turn();
        }
        store.delete_records(key, log_start_offset).expect("below the end");
        world.turns(20);
        store.end_turn();
        world.close(store);
        let folder = Path::new("/data").join(spec(0).folder());
        let opened = || {
            let mut store = world.open_with(&[spec(0)]);
            let key = store.create(spec(0)).expect("known");
            let read = store.read(key, 3, 18, 10, true);
            world.close(store);
            read
        };
        opened().expect("all is there");
        for kind in ["log", "index", "timeindex"] {
            world.disk.remove_file(&folder.join(format!("{:020}.{kind}", 0))).expect("there");
        }
        let mut store = world.open_with(&[spec(0)]);
        let key = store.create(spec(0)).expect("known");
        let refused = store.read(key, 3, 18, 10, true).expect_err("it is not whole").to_string();
        assert!(refused.contains(&format!("and began at {log_start_offset}")), "{refused}");
    }
}
