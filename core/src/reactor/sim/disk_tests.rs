//! What each kind of write keeps at a crash, by the public interface of the disk.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::{Clockwork, Crash, DirectoryModel, DiskCall, DiskEffect, DiskFault, SimDisk, SimDiskConfig};
use crate::reactor::{Disk, File, OpenMode, read_file, replace_file};

fn disk_with(seed: u64, config: SimDiskConfig) -> (Rc<SimDisk>, Rc<dyn Disk>) {
    let sim = SimDisk::with_config(Clockwork::new(seed), config);
    let disk: Rc<dyn Disk> = Rc::clone(&sim) as Rc<dyn Disk>;
    (sim, disk)
}

fn write_new(disk: &Rc<dyn Disk>, path: &str, bytes: &[u8]) -> io::Result<File> {
    let file = File::open(disk, Path::new(path), OpenMode::READ_WRITE)?;
    file.write_all_at(0, bytes)?;
    Ok(file)
}

/// All outcomes (content of `/d/a`, or none) of a crash after `prepare`.
fn outcomes(
    crash: Crash,
    directories: DirectoryModel,
    prepare: impl Fn(&Rc<dyn Disk>) -> io::Result<()>,
) -> BTreeSet<Option<Vec<u8>>> {
    (0..100)
        .map(|seed| {
            let (sim, disk) = disk_with(seed, SimDiskConfig { directories, ..SimDiskConfig::default() });
            disk.create_dir_all(Path::new("/d")).and_then(|()| disk.sync_dir(Path::new("/"))).expect("a healthy disk");
            prepare(&disk).expect("a healthy disk");
            sim.crash(crash);
            read_file(&disk, Path::new("/d/a")).ok()
        })
        .collect()
}

#[test]
fn a_killed_process_loses_nothing() {
    let seen = outcomes(Crash::Process, DirectoryModel::Strict, |disk| write_new(disk, "/d/a", b"abc").map(|_| ()));
    assert_eq!(seen, [Some(b"abc".to_vec())].into());
}

#[test]
fn a_synced_file_survives_a_power_cut_with_its_directory_or_on_a_journal() {
    let write_and_sync = |disk: &Rc<dyn Disk>| write_new(disk, "/d/a", b"abc")?.sync();
    let strict = outcomes(Crash::Power, DirectoryModel::Strict, write_and_sync);
    assert_eq!(strict, [None, Some(b"abc".to_vec())].into(), "the name was not synced");
    let journaled = outcomes(Crash::Power, DirectoryModel::Journaled, write_and_sync);
    assert_eq!(journaled, [Some(b"abc".to_vec())].into());
    let with_dir = outcomes(Crash::Power, DirectoryModel::Strict, |disk| {
        write_and_sync(disk)?;
        disk.sync_dir(Path::new("/d"))
    });
    assert_eq!(with_dir, [Some(b"abc".to_vec())].into());
}

#[test]
fn an_unsynced_file_may_vanish_be_empty_or_be_there() {
    let seen = outcomes(Crash::Power, DirectoryModel::Journaled, |disk| write_new(disk, "/d/a", b"abc").map(|_| ()));
    assert_eq!(seen, [None, Some(vec![]), Some(vec![0; 3]), Some(b"abc".to_vec())].into());
}

#[test]
fn replace_file_leaves_the_old_or_the_new_content() {
    for model in [DirectoryModel::Strict, DirectoryModel::Journaled] {
        let path = Path::new("/d/a");
        let done = outcomes(Crash::Power, model, |disk| {
            replace_file(disk, path, b"old")?;
            replace_file(disk, path, b"new")
        });
        assert_eq!(done, [Some(b"new".to_vec())].into());
        let half = outcomes(Crash::Power, model, |disk| {
            replace_file(disk, path, b"old")?;
            write_new(disk, "/d/a.tmp", b"new")?.sync()?;
            disk.rename(Path::new("/d/a.tmp"), path)
        });
        assert_eq!(half, [Some(b"old".to_vec()), Some(b"new".to_vec())].into());
    }
}

#[test]
fn a_rename_to_another_directory_never_leaves_both_names() {
    for seed in 0..50 {
        let (sim, disk) = disk_with(seed, SimDiskConfig::default());
        for dir in ["/a", "/b"] {
            disk.create_dir_all(Path::new(dir)).and_then(|()| disk.sync_dir(Path::new("/"))).expect("a healthy disk");
        }
        write_new(&disk, "/a/x", b"abc").and_then(|file| file.sync()).expect("a healthy disk");
        disk.rename(Path::new("/a/x"), Path::new("/b/y")).expect("it is there");
        disk.sync_dir(Path::new("/b")).expect("a healthy disk");
        sim.crash(Crash::Power);
        assert_eq!(read_file(&disk, Path::new("/b/y")).expect("its directory was synced"), b"abc", "seed {seed}");
        assert!(!disk.exists(Path::new("/a/x")), "seed {seed}");
    }
}

#[test]
fn a_rename_of_an_unsynced_file_is_a_trap() {
    let seen = outcomes(Crash::Power, DirectoryModel::Journaled, |disk| {
        replace_file(disk, Path::new("/d/a"), b"old")?;
        write_new(disk, "/d/t", b"new")?;
        disk.rename(Path::new("/d/t"), Path::new("/d/a"))?;
        disk.sync_dir(Path::new("/d"))
    });
    assert!(seen.contains(&Some(vec![])) && seen.contains(&Some(b"new".to_vec())), "{seen:?}");
}

#[test]
fn a_removal_may_come_back_until_its_directory_is_synced() {
    for model in [DirectoryModel::Strict, DirectoryModel::Journaled] {
        let remove = |disk: &Rc<dyn Disk>| {
            replace_file(disk, Path::new("/d/a"), b"x")?;
            disk.remove_dir_all(Path::new("/d"))
        };
        assert_eq!(outcomes(Crash::Power, model, remove), [None, Some(b"x".to_vec())].into());
        let synced = outcomes(Crash::Power, model, |disk| {
            remove(disk)?;
            disk.sync_dir(Path::new("/"))
        });
        assert_eq!(synced, [None].into());
    }
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let seen = outcomes(Crash::Power, DirectoryModel::Journaled, |disk| {
        let file = write_new(disk, "/d/a", b"")?;
        file.sync()?;
        disk.sync_dir(Path::new("/d"))?;
        file.write_all_at(0, b"abc")?;
        Ok(())
    });
    assert!(seen.contains(&Some(b"abc".to_vec())));
    let mut lost = false;
    for seed in 0..50 {
        let (sim, disk) = disk_with(seed, SimDiskConfig::default());
        let file = write_new(&disk, "/a", b"abc").expect("a healthy disk");
        disk.sync_dir(Path::new("/")).expect("a healthy disk");
        sim.inject(DiskFault::eio("/a", DiskCall::Sync));
        assert_eq!(file.sync().map_err(|e| e.raw_os_error()), Err(Some(libc::EIO)));
        file.sync().expect("the fault was planned once");
        sim.crash(Crash::Power);
        lost |= read_file(&disk, Path::new("/a")).expect("the name was synced") != b"abc";
    }
    assert!(lost);
}

#[test]
fn a_process_that_dies_at_a_call_loses_nothing_by_it() {
    let (sim, disk) = disk_with(1, SimDiskConfig::default());
    let file = write_new(&disk, "/a", b"kept").expect("healthy");
    sim.die_after(1);
    file.write_all_at(0, b"Kept").expect("one more call");
    assert!(
        file.sync().is_err() && file.write_all_at(0, b"lost").is_err() && read_file(&disk, Path::new("/a")).is_err()
    );
    sim.crash(Crash::Process);
    File::open(&disk, Path::new("/a"), OpenMode::READ_WRITE).and_then(|file| file.sync()).expect("another process");
    disk.sync_dir(Path::new("/")).expect("healthy");
    sim.crash(Crash::Power);
    assert_eq!(read_file(&disk, Path::new("/a")).expect("synced"), b"Kept");
}

#[test]
fn faults_hit_the_nth_call_once_or_for_ever() {
    let (sim, disk) = disk_with(1, SimDiskConfig::default());
    let file = write_new(&disk, "/a", &[7; 100]).expect("a healthy disk");
    sim.inject(DiskFault::eio("/a", DiskCall::Write).after(1));
    let results: Vec<bool> = (0..3).map(|_| file.write_all_at(0, b"x").is_ok()).collect();
    assert_eq!(results, [true, false, true]);
    sim.inject(DiskFault::eio("/a", DiskCall::Read).sticky());
    let mut buffer = [0; 100];
    assert!(file.read_at(0, &mut buffer).is_err() && file.read_at(0, &mut buffer).is_err());
    sim.heal();
    sim.inject(DiskFault::eio("", DiskCall::Read).effect(DiskEffect::FlipBit));
    file.write_all_at(0, &[7; 100]).expect("a healthy disk");
    assert_eq!(file.read_at(0, &mut buffer).expect("only a bit is wrong"), 100);
    assert_eq!(buffer.iter().map(|byte| (byte ^ 7).count_ones()).sum::<u32>(), 1);
    file.read_at(0, &mut buffer).expect("the fault was planned once");
    assert_eq!(buffer, [7; 100]);
    sim.rot(Path::new("/a"), 50, 3).expect("it is there");
    file.read_at(0, &mut buffer).expect("rot is silent");
    assert_eq!(buffer[50], 7 ^ 8);
}

#[test]
fn a_full_device_takes_what_fits_then_enospc_and_recovers_when_freed() {
    let (_, disk) = disk_with(1, SimDiskConfig { capacity_bytes: Some(3 * 4_096), ..SimDiskConfig::default() });
    let first = write_new(&disk, "/a", &[1; 4_096]).expect("it fits");
    let second = File::open(&disk, Path::new("/b"), OpenMode::READ_WRITE).expect("a healthy disk");
    let written = second.write_at(0, &[io::IoSlice::new(&[2; 20_000])]).expect("a part fits");
    assert_eq!(written, 8_192);
    let full = second.write_all_at(8_192, &[2; 1]).map_err(|e| e.kind());
    assert_eq!(full, Err(io::ErrorKind::StorageFull));
    first.write_all_at(0, &[3; 4_096]).expect("its pages are allocated");
    disk.remove_file(Path::new("/a")).expect("it is there");
    assert!(second.write_all_at(8_192, &[2; 1]).is_err(), "the file is still open");
    drop(first);
    second.write_all_at(8_192, &[2; 1]).expect("a page was freed");
}

#[test]
fn handles_and_locks_end_with_their_process() {
    let sim = SimDisk::new(1);
    let disk: Rc<dyn Disk> = Rc::clone(&sim) as Rc<dyn Disk>;
    let other: Rc<dyn Disk> = sim.other_process();
    let path = Path::new("/.lock");
    let lock = File::lock(&disk, path).expect("nobody holds it");
    File::lock(&disk, path).expect("record locks do not exclude their own process");
    assert_eq!(File::lock(&other, path).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::WouldBlock));
    drop(lock);
    let kept = File::lock(&other, path).expect("released");
    sim.crash(Crash::Power);
    assert!(kept.len().is_err() && !other.exists(path), "the other process is dead too");
    File::lock(&disk, path).expect("the lock died with its holder");
}

#[test]
fn short_calls_still_get_everything_there_and_runs_repeat() {
    let run = |seed| {
        let (sim, disk) = disk_with(seed, SimDiskConfig { short_per_mille: 500, ..SimDiskConfig::default() });
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        write_new(&disk, "/a", &bytes).expect("a healthy disk");
        assert_eq!(read_file(&disk, Path::new("/a")).expect("it is there"), bytes);
        sim.clock().trace_hash()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
