//! Tails of many logs that the commit log needs written.

use super::*;

const LOGS: i32 = 20;

#[test]
fn tails_that_the_commit_log_waits_for_are_written_over_several_turns() {
    let world = World::new(5);
    // Enough memory: its files run short first.
    let staging_bytes_max = commit_log::CommitLogConfig::default().staging_bytes_max;
    let commit_log = commit_log::CommitLogConfig { staging_bytes_max, ..small_commit_log() };
    let config = StoreConfig { due_tails_per_turn: 8, commit_log, ..StoreConfig::default() };
    let path = PathBuf::from("/data");
    start_log_dir(&world.dyn_disk(), &path, &[], NOW_MS, 64).expect("empty");
    let mut store = LogStore::open(world.reactor.clone(), path, 0, config).expect("opens");
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    store.set_on_acked(Rc::new(move || counted.set(counted.get() + 1)));
    let keys: Vec<LogKey> = (0..=LOGS).map(|index| store.create(sync_spec(index)).expect("created")).collect();
    let folders = || {
        let is_there = |index: &i32| world.disk.exists(&Path::new("/data").join(sync_spec(*index).folder()));
        (0..LOGS).filter(is_there).count()
    };
    // Small ones first, a block of the commit log each; then one log fills it.
    let (small, filling) = keys.split_at(LOGS as usize);
    for key in small.iter().chain(filling.iter().cycle()) {
        store.append(*key, &batch(1, 1, 0), 0).expect("there is room");
        store.end_turn();
        if folders() > 0 {
            break;
        }
        world.turns(3);
    }
    assert_eq!(folders(), 8, "a part of those in the first file");
    let oldest = store.sync.commit_log.oldest_unreleased();
    // Nobody appends any more.
    for _ in 0..200 {
        calls.set(0);
        world.turns(1);
        if calls.get() > 0 {
            let before = folders();
            store.end_turn();
            assert!(folders() <= before + 8);
        }
    }
    assert!((9..LOGS as usize).contains(&folders()), "the others in that file");
    assert!(store.sync.due_tails.is_none());
    assert!(store.sync.commit_log.oldest_unreleased() > oldest, "the file was released");
}
