//! The log under crashes: random pushes, completions in any order, short and failing writes, releases, and a device
//! that forgets and tears what it was not told to keep. Planted bugs must be found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use uuid::Uuid;

use super::format::BLOCK;
use super::writer::{Outcome, WriteOrder, Writer};
use super::*;
use crate::log::planted::PlantedBug;
use crate::planting::Planting;
use crate::reactor::{DirEntry, Disk, Handle, OpenMode};

const SECTOR: usize = 512;
const DIR: &str = "/data/.ringlog";

fn config() -> CommitLogConfig {
    CommitLogConfig {
        file_bytes: 64 << 10,
        file_count: 3,
        entry_bytes_max: 12 << 10,
        write_bytes_max: 16 << 10,
        writes_in_flight_max: 4,
        chunk_bytes: 16 << 10,
        staging_bytes_max: 256 << 10,
        warm_chunks_max: 2,
        prewrite: true,
    }
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Verifies all logs and takes what they hand out.
pub(super) fn recover<E>(
    disk: &Rc<dyn Disk>,
    dir: &Path,
    mode: RecoverMode,
    apply: &mut Apply<'_, E>,
) -> Result<RecoveryReport, RecoverError<E>> {
    verify(disk, dir, mode, &[], &|_, _| -1)?.hand_out(|_| true, apply)
}

/// Files in memory, enough of a [`Disk`] for recovery.
#[derive(Debug, Default)]
struct MemoryDisk {
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    open: RefCell<Vec<PathBuf>>,
}

impl MemoryDisk {
    fn path(&self, handle: Handle) -> PathBuf {
        self.open.borrow()[handle.0 as usize].clone()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Handle> {
        let mut files = self.files.borrow_mut();
        if !mode.create && !files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = files.entry(path.to_path_buf()).or_default();
        if mode.truncate {
            file.clear();
        }
        self.open.borrow_mut().push(path.to_path_buf());
        Ok(Handle(self.open.borrow().len() as i32 - 1))
    }
    fn close(&self, _: Handle) {}
    fn read_at(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let files = self.files.borrow();
        let rest = files[&self.path(handle)].get(position as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
    fn read_at_cached(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_at(handle, position, buffer)
    }
    fn is_cached(&self, _handle: Handle, _position: u64, _len: u64) -> bool {
        true
    }

    fn next_data(&self, handle: Handle, position: u64) -> io::Result<Option<u64>> {
        Ok(Some(position).filter(|position| *position < self.len(handle).expect("open")))
    }

    fn write_at(&self, handle: Handle, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut files = self.files.borrow_mut();
        let file = files.get_mut(&self.path(handle)).expect("open");
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        file.resize(file.len().max(position as usize + bytes.len()), 0);
        file[position as usize..][..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
    fn len(&self, handle: Handle) -> io::Result<u64> {
        Ok(self.files.borrow()[&self.path(handle)].len() as u64)
    }
    fn drop_cached(&self, _handle: Handle, _position: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _handle: Handle, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, handle: Handle, len: u64) -> io::Result<()> {
        self.files.borrow_mut().get_mut(&self.path(handle)).expect("open").resize(len as usize, 0);
        Ok(())
    }
    fn sync(&self, _: Handle) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let files = self.files.borrow();
        let here = files.keys().filter(|file| file.parent() == Some(path));
        let name = |file: &PathBuf| file.file_name().expect("a file").to_string_lossy().into_owned();
        Ok(here.map(|file| DirEntry { name: name(file), is_dir: false }).collect())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.files.borrow_mut().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.borrow_mut().insert(to.to_path_buf(), bytes);
        Ok(())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.borrow_mut().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn exists(&self, path: &Path) -> bool {
        self.files.borrow().contains_key(path)
    }
    fn page_cache_id(&self, _: &Path) -> Option<String> {
        None
    }
    fn lock(&self, _: &Path) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A writer on a device with a volatile cache.
struct World {
    random: Random,
    writer: Writer,
    /// What survives, by slot.
    platter: Vec<Vec<u8>>,
    /// Completed writes that nobody asked to keep.
    cache: Vec<WriteOrder>,
    /// In the driver.
    flying: Vec<WriteOrder>,
    /// Waiting for room.
    parked: Vec<WriteOrder>,
    entries: Vec<(EntryHeader, Vec<u8>)>,
    /// Clones of what `push` returned.
    kept: Vec<(u64, bytes::Bytes)>,
    acked: u64,
    failed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = config();
        let platter = vec![vec![0; config.file_bytes as usize]; config.file_count as usize];
        let mut random = Random(seed);
        let writer = Writer::new(config, 3, random.next());
        Self {
            random,
            writer,
            platter,
            cache: Vec::new(),
            flying: Vec::new(),
            parked: Vec::new(),
            entries: Vec::new(),
            kept: Vec::new(),
            acked: 0,
            failed: false,
        }
    }

    fn step(&mut self, faults: bool) {
        match self.random.below(12) {
            0..4 => self.push(),
            4..6 => self.submit(),
            6..9 => self.complete(faults),
            9 => self.release(),
            10 => self.prepare(),
            _ => self.flying.append(&mut self.parked),
        }
        let durable = self.writer.durable_lsn().0;
        assert!(durable >= self.acked && (durable == self.acked || !self.failed), "acks after a failure, or backwards");
        self.acked = durable;
    }

    fn push(&mut self) {
        let number = self.entries.len() as u64;
        let len = match self.random.below(20) {
            0 => 12 << 10,
            1..4 => self.random.below(9000),
            _ => self.random.below(300),
        };
        let payload: Vec<u8> = (0..len).map(|at| (number * 31 + at / 7) as u8).collect();
        let header = EntryHeader {
            kind: EntryKind::Batch,
            topic_id: Uuid::from_u128(u128::from(number % 5)),
            partition_index: (number % 7) as i32,
            leader_epoch: 4,
            base_offset: number as i64,
            end_offset: number as i64 + 1,
        };
        let split = self.random.below(len + 1) as usize;
        match self.writer.push(&header, &[&payload[..split], &payload[split..]]) {
            Ok((lsn, stored)) => {
                assert_eq!((lsn.0, &stored[..]), (number, &payload[..]));
                if self.random.one_in(4) {
                    self.kept.push((number, stored));
                }
                self.entries.push((header, payload));
            }
            Err(CommitLogError::Memory) => self.kept.clear(),
            Err(CommitLogError::Full) => self.release(),
            Err(CommitLogError::NoSpace) => assert!(!self.parked.is_empty() || !self.flying.is_empty()),
            Err(error) => assert!(self.failed, "{error}"),
        }
    }

    fn submit(&mut self) {
        while let Some(order) = self.writer.next_order() {
            assert!(order.parts.iter().all(|part| part.len().is_multiple_of(BLOCK)));
            assert!(order.parts.iter().all(|part| part.as_ptr().align_offset(BLOCK) == 0));
            self.flying.push(order);
        }
    }

    fn complete(&mut self, faults: bool) {
        if self.flying.is_empty() {
            return;
        }
        let at = self.random.below(self.flying.len() as u64) as usize;
        let order = self.flying.swap_remove(at);
        let len: usize = order.parts.iter().map(|part| part.len()).sum();
        let result = match self.random.below(40) {
            0 => Ok(self.random.below(len as u64) as u32),
            1 => Err(io::ErrorKind::StorageFull.into()),
            2 if faults => Err(io::ErrorKind::Other.into()),
            _ => Ok(len as u32),
        };
        let whole = result.as_ref().is_ok_and(|&written| written as usize == len);
        if whole && order.durable {
            write(&mut self.platter, &order, |_| true);
        } else if whole {
            self.cache.push(order.clone());
        } else {
            let random = &mut self.random;
            write(&mut self.platter, &order, |_| random.one_in(2));
        }
        match self.writer.on_written(order.flight, result) {
            Outcome::Done => assert!(whole),
            Outcome::Repeat => self.flying.push(order),
            Outcome::RepeatLater => self.parked.push(order),
            Outcome::Failed => self.failed = true,
        }
    }

    fn release(&mut self) {
        let (from, to) = (self.writer.oldest_unreleased().0, self.writer.durable_lsn().0);
        if !self.failed {
            self.writer.release_before(Lsn(from + self.random.below(to - from + 1)));
        }
    }

    fn prepare(&mut self) {
        if let Some(slot) = self.writer.start_preparing() {
            self.platter[slot as usize].fill(0);
            let whole = !self.random.one_in(4);
            self.writer.prepared(slot, whole);
        }
    }

    /// Everything pushed becomes durable.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.submit();
            self.flying.append(&mut self.parked);
            self.complete(false);
            if self.writer.is_quiet() || self.failed {
                return;
            }
        }
        panic!("it never settles");
    }

    /// The power goes: any part of what was not durable survives.
    fn crash(&mut self) {
        let volatile = self.cache.drain(..).chain(self.flying.drain(..)).chain(self.parked.drain(..));
        for order in volatile.collect::<Vec<_>>() {
            let random = &mut self.random;
            match random.below(3) {
                0 => {}
                1 => write(&mut self.platter, &order, |_| true),
                _ => write(&mut self.platter, &order, |_| random.one_in(2)),
            }
        }
    }

    fn disk(&self) -> Rc<dyn Disk> {
        let disk = MemoryDisk::default();
        for (slot, bytes) in self.platter.iter().enumerate() {
            disk.files.borrow_mut().insert(file_path(Path::new(DIR), 3, slot as u32), bytes.clone());
        }
        Rc::new(disk)
    }

    /// What is wrong with what recovery hands out.
    fn verify(&self) -> Result<(), String> {
        let mut handed = Vec::new();
        let mut apply = |header: EntryHeader, payload: &[u8]| -> Result<(), Infallible> {
            handed.push((header, payload.to_vec()));
            Ok(())
        };
        let report = recover(&self.disk(), Path::new(DIR), RecoverMode::Refuse, &mut apply);
        let report = report.map_err(|error| error.to_string())?;
        let Some(log) = report.logs.first() else {
            return if self.acked == 0 { Ok(()) } else { Err("no log".into()) };
        };
        let (first, end) = (log.first_lsn as usize, log.end_lsn as usize);
        if first as u64 > self.writer.oldest_unreleased().0 || (end as u64) < self.acked {
            return Err(format!("handed {first}..{end}, acked {}", self.acked));
        }
        let expected = self.entries.get(first..end).ok_or("entries that nobody pushed")?;
        if handed != expected {
            return Err("other entries than were pushed".into());
        }
        match self.read_runs() {
            read if read == handed => Ok(()),
            _ => Err("other runs than entries".into()),
        }
    }

    /// What the runs of the log say, read from where they lie.
    fn read_runs(&self) -> Vec<(EntryHeader, Vec<u8>)> {
        let logs =
            verify::<Infallible>(&self.disk(), Path::new(DIR), RecoverMode::Refuse, &[], &|entry, _| entry.base_offset);
        let logs = logs.expect("it was verified before");
        let files: Vec<_> = logs.files().map(|(_, file)| Some(file)).collect();
        let (mut extents, mut runs) = (Vec::new(), Vec::new());
        for FoundRun { file, run, .. } in logs.runs() {
            extents.push(Extent { file, position: run.position, length: run.length });
            runs.push(run);
        }
        let (mut read, mut payload_bytes) = (Vec::new(), 0);
        let mut reader = ExtentReader::new(&files);
        let all = reader.read(
            &extents,
            |error| error,
            |index, header, _, payload| {
                let run = &runs[index];
                assert_eq!(logs.partitions()[run.partition as usize], (header.topic_id, header.partition_index));
                assert!(run.base_offset <= header.base_offset && header.end_offset <= run.end_offset);
                assert!(run.max_timestamp >= header.base_offset);
                payload_bytes += payload.len();
                read.push((*header, payload.to_vec()));
                Ok(())
            },
        );
        all.expect("readable");
        assert_eq!(runs.iter().map(|run| run.payload_bytes() as usize).sum::<usize>(), payload_bytes);
        assert_eq!(runs.iter().map(|run| usize::from(run.entries)).sum::<usize>(), read.len());
        read
    }
}

impl World {
    /// Repair hands out pushed entries only, in order.
    fn verify_skipping_damage(&self) {
        let mut handed = Vec::new();
        let mut apply = |header: EntryHeader, payload: &[u8]| -> Result<(), Infallible> {
            handed.push((header, payload.to_vec()));
            Ok(())
        };
        let report = recover(&self.disk(), Path::new(DIR), RecoverMode::SkipDamage, &mut apply).expect("readable");
        assert!(!report.damage.is_empty());
        for log in &report.logs {
            assert_eq!(handed, self.entries[log.first_lsn as usize..log.end_lsn as usize]);
        }
    }
}

/// Writes those sectors that `keep` says.
fn write(platter: &mut [Vec<u8>], order: &WriteOrder, mut keep: impl FnMut(usize) -> bool) {
    let bytes: Vec<u8> = order.parts.iter().flat_map(|part| part.iter().copied()).collect();
    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
        if keep(number) {
            let at = order.position as usize + number * SECTOR;
            platter[order.slot as usize][at..at + SECTOR].copy_from_slice(sector);
        }
    }
}

fn run(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    let steps = world.random.below(600);
    let faults = world.random.one_in(10);
    for _ in 0..steps {
        world.step(faults);
    }
    world.crash();
    for (number, stored) in &world.kept {
        assert_eq!(stored, &world.entries[*number as usize].1, "shared bytes changed");
    }
    world.verify()
}

/// The first seed that shows the bug.
fn find(bug: PlantedBug) -> Option<u64> {
    let _planted = Planting::new(Some(bug));
    (0..400).find(|&seed| run(seed).is_err())
}

#[test]
fn acked_entries_survive_any_crash() {
    for seed in 0..200 {
        run(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn ack_before_the_prefix_is_complete_is_found() {
    assert!(find(PlantedBug::AckBeforePrefix).is_some());
}

#[test]
fn missing_dsync_is_found() {
    assert!(find(PlantedBug::NoDsync).is_some());
}

#[test]
fn rewritten_block_is_found() {
    assert!(find(PlantedBug::BlockRewritten).is_some());
}

#[test]
fn reuse_before_the_release_is_durable_is_found() {
    assert!(find(PlantedBug::ReusedBeforeReleaseIsDurable).is_some());
}

#[test]
fn unchecked_generation_is_found() {
    assert!(find(PlantedBug::GenerationNotChecked).is_some());
}

#[test]
fn damage_below_acked_entries_is_reported() {
    let mut reported = 0;
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..world.random.below(400) {
            world.step(false);
        }
        world.settle();
        let claimed = world.entries.len();
        for _ in 0..2 {
            while world.entries.len() == claimed {
                world.push();
                world.settle();
            }
            let before = world.entries.len();
            while world.entries.len() == before {
                world.push();
                world.settle();
            }
        }
        let slot = world.random.below(3) as usize;
        let at = world.random.below(world.platter[slot].len() as u64) as usize;
        world.platter[slot][at] ^= 1 << world.random.below(8);
        let last = world.entries.len() as u64 - 2;
        match world.verify() {
            Ok(()) => {}
            Err(error) if error.contains("is damaged") => {
                reported += 1;
                world.verify_skipping_damage();
            }
            // Nothing can tell the damaged newest writes from torn ones.
            Err(error) => {
                world.acked = last.min(claimed as u64);
                world.verify().unwrap_or_else(|_| panic!("seed {seed}: {error}"));
            }
        }
    }
    assert!(reported > 10, "{reported}");
}

#[test]
fn a_full_log_refuses_and_goes_on_after_a_release_without_traffic() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let header = EntryHeader {
            kind: EntryKind::Batch,
            topic_id: Uuid::nil(),
            partition_index: 0,
            leader_epoch: 0,
            base_offset: 0,
            end_offset: 1,
        };
        for _ in 0..6 {
            let mut refused = None;
            while refused.is_none() {
                refused = world.writer.push(&header, &[&[1; 3000]]).err();
                world.entries.push((header, vec![1; 3000]));
                world.settle();
            }
            world.entries.pop();
            assert_eq!(refused, Some(CommitLogError::Full));
            let end = world.writer.pressure().oldest_file_end.expect("files are full");
            // Each of these may want a checkpoint in the one file that is left.
            for lsn in [end, Lsn(end.0 + 1), world.writer.durable_lsn()] {
                world.writer.release_before(lsn);
                world.settle();
            }
            world.acked = world.writer.durable_lsn().0;
            world.verify().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}

#[test]
fn removed_logs_stay_removed_whatever_a_crash_leaves() {
    let mut world = World::new(1);
    for _ in 0..300 {
        world.step(false);
    }
    world.settle();
    let disk = world.disk();
    let dir = Path::new(DIR);
    discard_all(&disk, dir, &[]).expect("removed");
    assert!(!disk.exists(&file_path(dir, 3, 0)) && !disk.exists(&dir.join("commit-replayed")));
    let mut apply = |_: EntryHeader, _: &[u8]| -> Result<(), Infallible> { panic!("nothing is left") };
    assert_eq!(recover(&disk, dir, RecoverMode::Refuse, &mut apply).expect("empty"), RecoveryReport::default());
}
