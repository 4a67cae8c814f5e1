//! The log on reactors: the simulated disk with power cuts, failing and full devices; the real drivers on a real directory.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::tests::recover;
use super::*;
use crate::reactor::sim::{Crash, DiskCall, DiskFault, SimConfig, SimDiskConfig, SimWorld};
use crate::reactor::{Disk, IoConfig, IoDriver, Reactor};

const DIR: &str = "/data/.ringlog";

fn config() -> CommitLogConfig {
    CommitLogConfig {
        file_bytes: 256 << 10,
        file_count: 3,
        entry_bytes_max: 20 << 10,
        write_bytes_max: 32 << 10,
        chunk_bytes: 32 << 10,
        staging_bytes_max: 256 << 10,
        ..CommitLogConfig::default()
    }
}

fn header(number: u64) -> EntryHeader {
    EntryHeader {
        kind: EntryKind::Batch,
        topic_id: Uuid::from_u128(9),
        partition_index: (number % 7) as i32,
        leader_epoch: 0,
        base_offset: number as i64,
        end_offset: number as i64 + 1,
    }
}

fn payload(number: u64) -> Vec<u8> {
    vec![number as u8; (number as usize * 7919) % 6000]
}

fn open(reactor: &Reactor) -> CommitLog {
    CommitLog::open(reactor.clone(), Path::new(DIR), 0, config()).expect("opened")
}

fn world(seed: u64, disk: SimDiskConfig) -> SimWorld {
    let world = SimWorld::new(seed, SimConfig { disk, ..SimConfig::default() });
    let disk = world.disk(0);
    disk.create_dir_all(Path::new("/data")).expect("made");
    disk.sync_dir(Path::new("/")).expect("synced");
    world
}

/// Pushes numbered entries for ever, and releases what is durable now and then; `durable` follows the log.
fn start_load(reactor: &Reactor, durable: &Rc<Cell<u64>>, released: &Rc<Cell<u64>>) -> Rc<RefCell<CommitLog>> {
    let log = Rc::new(RefCell::new(open(reactor)));
    let (seen, told) = (Rc::downgrade(&log), Rc::clone(durable));
    log.borrow_mut().set_on_durable(Rc::new(move || {
        if let Some(log) = seen.upgrade() {
            told.set(log.borrow().durable_lsn().0);
        }
    }));
    let (pushed, released, looped) = (Rc::clone(&log), Rc::clone(released), reactor.clone());
    reactor.spawn(async move {
        loop {
            for _ in 0..looped.random_u64() % 6 {
                let mut log = pushed.borrow_mut();
                let number = log.next_lsn().0;
                let _refused = log.push(&header(number), &[&payload(number)]);
            }
            pushed.borrow_mut().end_turn();
            looped.sleep(Duration::from_micros(looped.random_u64() % 300)).await;
            if looped.random_u64() % 16 == 0 || pushed.borrow().pressure().files_free == 0 {
                let mut log = pushed.borrow_mut();
                let end = log.durable_lsn();
                released.set(end.0);
                log.release_before(end);
            }
        }
    });
    log
}

/// Recovers and checks what is handed out; the end of it.
fn check(disk: &Rc<dyn Disk>, durable: u64, released: u64) -> u64 {
    let mut handed = Vec::new();
    let mut apply = |header: EntryHeader, payload: &[u8]| -> Result<(), Infallible> {
        handed.push((header, payload.to_vec()));
        Ok(())
    };
    let report = recover(disk, Path::new(DIR), RecoverMode::Refuse, &mut apply).expect("whole");
    let (first, end) = report.logs.first().map_or((0, 0), |log| (log.first_lsn, log.end_lsn));
    assert!(first <= released && end >= durable, "handed {first}..{end}, released {released}, durable {durable}");
    let expected: Vec<_> = (first..end).map(|number| (header(number), payload(number))).collect();
    assert!(handed == expected, "other entries than were pushed");
    end
}

#[test]
fn acked_entries_survive_power_cuts_in_the_simulation() {
    let (mut acked, mut rewritten) = (0, 0);
    for seed in 0..40 {
        let disk = SimDiskConfig { refuse_direct: seed % 4 == 0, short_per_mille: 20, ..SimDiskConfig::default() };
        let world = world(seed, disk);
        let crash = if seed % 8 == 7 { Crash::Process } else { Crash::Power };
        for _ in 0..2 {
            let (durable, released) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let reactor = world.reactor(0, 0);
            let log = start_load(&reactor, &durable, &released);
            world.run_for(Duration::from_micros(reactor.random_u64() % 60_000));
            world.crash(0, crash);
            acked += durable.get();
            rewritten += u64::from(log.borrow().counters().written_bytes > 3 * config().file_bytes);
            drop((log, reactor));
            let disk: Rc<dyn Disk> = world.disk(0);
            check(&disk, durable.get(), released.get());
            discard_all(&disk, Path::new(DIR), &[]).expect("removed");
        }
    }
    assert!(acked > 5_000 && rewritten > 5, "{acked} acked, {rewritten} runs used files again");
}

#[test]
fn the_first_write_error_ends_the_log() {
    let world = world(5, SimDiskConfig::default());
    let reactor = world.reactor(0, 0);
    let (durable, released) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let log = start_load(&reactor, &durable, &released);
    world.run_for(Duration::from_millis(20));
    world.disk(0).inject(DiskFault::eio("commit-", DiskCall::Write));
    world.run_for(Duration::from_millis(20));
    assert!(log.borrow().failure().is_some());
    let at_failure = log.borrow().durable_lsn();
    assert!(at_failure.0 > 0 && durable.get() == at_failure.0);
    world.run_for(Duration::from_millis(100));
    assert_eq!(log.borrow().durable_lsn(), at_failure);
    let refused = log.borrow_mut().push(&header(0), &[b"x"]);
    assert!(matches!(refused, Err(CommitLogError::Failed(_))));
    let flushed = log.borrow_mut().flush();
    assert!(world.block_on(&reactor, Duration::from_secs(1), flushed).is_err());
}

#[test]
fn a_full_disk_is_waited_out() {
    let world = world(6, SimDiskConfig { capacity_bytes: Some(64 << 10), ..SimDiskConfig::default() });
    let reactor = world.reactor(0, 0);
    let (durable, released) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let log = start_load(&reactor, &durable, &released);
    world.run_for(Duration::from_millis(300));
    assert!(log.borrow().counters().no_space > 0 && log.borrow().failure().is_none());
    let stuck = log.borrow().durable_lsn();
    assert!(log.borrow().pressure().files_free > 0 && log.borrow().counters().files_prewritten == 0);
    world.disk(0).set_capacity(None);
    world.run_for(Duration::from_secs(1));
    assert!(log.borrow().durable_lsn() > stuck);
    world.crash(0, Crash::Power);
    let disk: Rc<dyn Disk> = world.disk(0);
    check(&disk, durable.get(), released.get());
}

#[test]
fn on_io_uring_entries_are_grouped_prewritten_and_recovered() {
    entries_are_grouped_prewritten_and_recovered(IoDriver::Uring);
}

#[test]
fn on_epoll_entries_are_grouped_prewritten_and_recovered() {
    entries_are_grouped_prewritten_and_recovered(IoDriver::Epoll);
}

fn entries_are_grouped_prewritten_and_recovered(io: IoDriver) {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join(".ringlog");
    let driver = io.start(IoConfig::default()).expect("io_uring is allowed where tests run");
    let reactor = Reactor::new(driver);
    let mut log = CommitLog::open(reactor.clone(), &dir, 0, config()).expect("opened");
    for round in 0..100 {
        for _ in 0..10 {
            let number = log.next_lsn().0;
            let pushed = log.push(&header(number), &[&payload(number)]);
            assert!(pushed.is_ok(), "{pushed:?} in round {round}: {:?}", log.pressure());
        }
        reactor.block_on(log.flush()).expect("written");
        assert_eq!(log.durable_lsn(), log.next_lsn());
        log.release_before(Lsn(log.durable_lsn().0.saturating_sub(20)));
    }
    reactor.block_on(log.flush()).expect("written");
    let counters = log.counters();
    assert!(counters.writes < counters.entries && counters.entries == 1000, "{counters:?}");
    let mut handed = 0;
    let mut apply = |entry: EntryHeader, bytes: &[u8]| -> Result<(), Infallible> {
        let number = entry.base_offset as u64;
        assert_eq!((entry, bytes), (header(number), &payload(number)[..]));
        handed += 1;
        Ok(())
    };
    let disk = reactor.disk();
    let report = recover(&disk, &dir, RecoverMode::Refuse, &mut apply).expect("whole");
    assert_eq!((report.logs[0].end_lsn, handed), (1000, report.entries));
    assert!((20..60).contains(&handed), "{handed}");
    drop(log);
    assert!(matches!(CommitLog::open(reactor.clone(), &dir, 0, config()), Err(OpenError::NotRemoved(0))));
    discard_all(&disk, &dir, &[]).expect("removed");
    CommitLog::open(reactor.clone(), &dir, 0, config()).expect("opened");
    let files = || disk.list_dir(&dir).expect("listed").len();
    let with_discarded = files();
    reactor.block_on(remove_discarded(reactor.clone(), dir.clone()));
    assert_eq!((with_discarded, files()), (6, 3));
}
