//! One flipped bit, anywhere in a cleanly stopped directory: it is refused, or seen by whoever checks the CRC of what is
//! read, or made good. Never are records silently other ones.
//!
//! Base offset and leader epoch of a batch are left out: Kafka's format has no checksum of them.

use std::path::{Path, PathBuf};

use super::header::{BatchHeader, crc_matches};
use super::store_tests::{NOW_MS, World, batch_of, joined, sync_spec};
use super::*;
use crate::reactor::{Disk, File, OpenMode, read_file};

const BATCHES: i32 = 40;
/// Two records each.
const END_OFFSET: i64 = BATCHES as i64 * 2;

/// How a flipped bit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    WrongCrc,
    SameRecords,
}

fn sent(sequence: i32) -> bytes::Bytes {
    let timestamp = NOW_MS + i64::from(sequence) * 10;
    batch_of(Some((7, 0, sequence * 2)), &[timestamp, timestamp + 1], &[sequence as u8; 60])
}

/// A log of class sync over some segments, stopped cleanly.
fn stopped() -> World {
    let world = World::new(31);
    let mut store = world.open_with(&[sync_spec(0)]);
    let key = store.create(sync_spec(0)).expect("created");
    for sequence in 0..BATCHES {
        store.append(key, &sent(sequence), sequence / 15).expect("appended");
        store.end_turn();
        world.turns(3);
    }
    world.close(store);
    world
}

/// Opens the directory and looks at everything; panics where something is silently wrong.
fn look(world: &World) -> Outcome {
    let specs = [sync_spec(0)];
    if start_log_dir(&world.dyn_disk(), Path::new("/data"), &specs, NOW_MS, 64).is_err() {
        return Outcome::Refused;
    }
    let mut store = world.open_store();
    let Ok(key) = store.create(sync_spec(0)) else { return Outcome::Refused };
    let end = store.log_end_offset(key);
    let mut from = store.log_start_offset(key);
    assert_eq!(from, 0);
    while from < end {
        let bytes = match store.read(key, from, end, 500, true) {
            Err(_) => return Outcome::Refused,
            Ok(ReadResult::Ready(pieces)) => joined(&pieces),
            Ok(ReadResult::Cold(_)) => panic!("all of it is in memory"),
        };
        let mut rest = &bytes[..];
        assert!(!rest.is_empty(), "nothing at {from} of {end}");
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).expect("whole batches");
            let (batch, behind) = rest.split_at(header.size_bytes as usize);
            if !crc_matches(batch) {
                return Outcome::WrongCrc;
            }
            assert_eq!(header.base_offset, from, "dense");
            assert_eq!(&batch[16..], &sent((from / 2) as i32)[16..], "at {from}");
            from = header.last_offset() + 1;
            rest = behind;
        }
    }
    assert_eq!(from, END_OFFSET, "nothing is missing");
    for offset in [0, 1, 17, 38, END_OFFSET - 1] {
        let timestamp = NOW_MS + offset / 2 * 10 + offset % 2;
        match store.offset_for_timestamp(key, timestamp, end) {
            Err(_) => return Outcome::Refused,
            Ok(found) => assert_eq!(found, Some((offset, timestamp))),
        }
    }
    for sequence in BATCHES - 5..BATCHES {
        let again = store.append(key, &sent(sequence), 9).expect("known");
        assert!(again.duplicate && again.base_offset == i64::from(sequence) * 2, "{again:?}");
    }
    Outcome::SameRecords
}

/// The files of a stopped directory.
fn files(world: &World) -> Vec<PathBuf> {
    let list = |dir: &str| {
        let entries = world.disk.list_dir(Path::new(dir)).expect("readable");
        let files: Vec<PathBuf> =
            entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| Path::new(dir).join(entry.name)).collect();
        files
    };
    [list("/data"), list("/data/t-0")].concat()
}

/// Whether a byte is of a batch's base offset or leader epoch.
fn is_unchecked(original: &[u8], path: &Path, at: usize) -> bool {
    let mut start = 0;
    while path.extension().is_some_and(|extension| extension == "log") {
        let header = BatchHeader::parse(&original[start..]).expect("whole batches");
        let end = start + header.size_bytes as usize;
        if at < end {
            return at - start < 8 || (12..16).contains(&(at - start));
        }
        start = end;
    }
    false
}

#[test]
fn one_flipped_bit_is_refused_or_seen_or_made_good() {
    let mut outcomes = std::collections::BTreeMap::new();
    for path in files(&stopped()) {
        let original = read_file(&stopped().dyn_disk(), &path).expect("readable");
        let size = original.len();
        for step in (0..size.min(60)).step_by(5) {
            let at = if size <= 60 { step } else { step * size / 60 };
            if is_unchecked(&original, &path, at) {
                continue;
            }
            let world = stopped();
            let disk = world.dyn_disk();
            let byte = read_file(&disk, &path).expect("readable")[at] ^ (1 << (step % 8));
            let file = File::open(&disk, &path, OpenMode::READ_WRITE).expect("opens");
            file.write_all_at(at as u64, &[byte]).expect("written");
            let kind = path.extension().or(path.file_name()).expect("a name").to_owned();
            *outcomes.entry((kind, look(&world))).or_insert(0) += 1;
        }
    }
    let count = |kind: &str, outcome| outcomes.get(&(kind.into(), outcome)).copied().unwrap_or(0);
    for kind in ["index", "timeindex", "snapshot", "leader-epoch-checkpoint"] {
        assert!(count(kind, Outcome::SameRecords) > 0, "{kind}");
        assert_eq!(count(kind, Outcome::Refused) + count(kind, Outcome::WrongCrc), 0, "{kind} is made good");
    }
    assert_eq!(count("log", Outcome::SameRecords), 0, "records are not mended");
    assert!(count("log", Outcome::Refused) + count("log", Outcome::WrongCrc) > 0);
}
