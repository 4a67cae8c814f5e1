//! Recovery: reads every commit log of a folder, verifies each chain to its end, then hands out what is not in segments.
//!
//! Blocking, at start only. Nothing here cuts or repairs.
//!
//! Invariant: no entry is handed out before the whole chain of its log was verified and no damage was found.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::discarded::DISCARDED_SUFFIX;
use super::format::{BLOCK, Entry, EntryHeader, HeaderError, WRITE_HEADER, WriteHeader};
use super::parse_file_name;
use crate::log::planted::{PlantedBug, is_planted};
use crate::reactor::{Disk, File, OpenMode, read_file, replace_file};

/// How far behind the end of a chain a proof of damage is looked for.
const SCAN_BYTES: u64 = 8 << 20;
/// Bytes read at a time.
const WINDOW: usize = 1 << 20;
const REPLAYED_LIST: &str = "commit-replayed";

/// What to do when a log is damaged below what was acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoverMode {
    /// Answer [`RecoverError::Damaged`] and hand out nothing of any log.
    Refuse,
    /// Hand out what each verified chain holds (it may begin or end at the damage), and report it. For repair by hand.
    SkipDamage,
}

/// A place where acked entries are missing or unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file in which the chain ended.
    pub path: PathBuf,
    /// Where the missing write should begin.
    pub position: u64,
    /// What proves it.
    pub proof: &'static str,
}

/// What was found of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredLog {
    /// The shard that wrote it.
    pub shard_id: u16,
    /// Its random id.
    pub log_id: u64,
    /// LSN of the first entry handed out.
    pub first_lsn: u64,
    /// LSN behind the last one.
    pub end_lsn: u64,
    /// Whole writes in its chain.
    pub writes: usize,
}

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// By shard.
    pub logs: Vec<RecoveredLog>,
    /// Entries handed out.
    pub entries: u64,
    /// Empty with [`RecoverMode::Refuse`].
    pub damage: Vec<Damage>,
}

/// Why recovery stopped.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError<E> {
    /// A file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Written by another version of the format.
    #[error("{path}: commit log format {version} is not known")]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// Acked entries are missing or unreadable. Nothing was handed out or changed.
    #[error("the commit log is damaged: {0:?}")]
    Damaged(Vec<Damage>),
    /// The receiver refused an entry.
    #[error("replay: {0}")]
    Apply(E),
}

/// Takes one recovered entry and its payload.
pub type Apply<'a, E> = dyn FnMut(EntryHeader, &[u8]) -> Result<(), E> + 'a;

/// All commit logs of a folder, each verified to its end.
pub struct VerifiedLogs {
    logs: Vec<(Log, Chain)>,
    damage: Vec<Damage>,
}

/// Reads all commit logs in `dir`; a missing folder holds none.
pub fn verify<E>(disk: &Rc<dyn Disk>, dir: &Path, mode: RecoverMode) -> Result<VerifiedLogs, RecoverError<E>> {
    let mut verified = VerifiedLogs { logs: Vec::new(), damage: Vec::new() };
    for mut log in find_logs(disk, dir)? {
        let chain = log.walk()?;
        verified.damage.extend(log.find_damage(&chain)?);
        verified.logs.push((log, chain));
    }
    if mode == RecoverMode::Refuse && !verified.damage.is_empty() {
        return Err(RecoverError::Damaged(verified.damage));
    }
    Ok(verified)
}

impl VerifiedLogs {
    /// Hands out, log by log and in order, the entries that may not be synced in segments. Each may have been handed out
    /// before, by a recovery that was cut short.
    pub fn hand_out<E>(&mut self, apply: &mut Apply<'_, E>) -> Result<RecoveryReport, RecoverError<E>> {
        let mut report = RecoveryReport { damage: self.damage.clone(), ..RecoveryReport::default() };
        for (log, chain) in &mut self.logs {
            report.entries += log.hand_out(chain, apply)?;
            if let Some(log_id) = log.log_id {
                report.logs.push(RecoveredLog {
                    shard_id: log.shard_id,
                    log_id,
                    first_lsn: chain.released.max(chain.first_lsn),
                    end_lsn: chain.end_lsn,
                    writes: chain.writes.len(),
                });
            }
        }
        Ok(report)
    }
}

/// Sets all commit logs of `dir` aside, for [`remove_discarded`](super::remove_discarded): call it when everything handed out
/// is synced in segments. A crash inside is harmless. Without logs it does nothing.
pub fn discard_all(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<()> {
    let files = list_files(disk, dir)?;
    let list = dir.join(REPLAYED_LIST);
    let mut ids = String::new();
    for (name, ..) in &files {
        let file = File::open(disk, &dir.join(name), OpenMode::READ)?;
        let mut head = [0; WRITE_HEADER];
        file.read_at(0, &mut head)?;
        if let Ok(header) = WriteHeader::decode(&head) {
            ids.push_str(&format!("{:016x}\n", header.log_id));
        }
    }
    // Files that were never written to may come back.
    if !ids.is_empty() {
        replace_file(disk, &list, ids.as_bytes())?;
    }
    for (name, ..) in &files {
        disk.rename(&dir.join(name), &dir.join(format!("{name}{DISCARDED_SUFFIX}")))?;
    }
    if !ids.is_empty() {
        disk.sync_dir(dir)?;
    }
    if disk.exists(&list) {
        disk.remove_file(&list)?;
    }
    Ok(())
}

/// Name, shard and slot of each commit log file of `dir`.
pub(super) fn list_files(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<(String, u16, u32)>> {
    let entries = match disk.list_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let files = entries.into_iter().filter_map(|entry| {
        let (shard_id, slot) = parse_file_name(&entry.name)?;
        Some((entry.name, shard_id, slot))
    });
    Ok(files.collect())
}

/// One file, read through a window.
struct LogFile {
    path: PathBuf,
    slot: u32,
    file: File,
    len: u64,
    window: Vec<u8>,
    window_start: u64,
    /// Of the write at position 0, when it is whole.
    head: Option<WriteHeader>,
}

impl LogFile {
    fn open<E>(disk: &Rc<dyn Disk>, path: PathBuf, slot: u32) -> Result<Self, RecoverError<E>> {
        let opened = File::open(disk, &path, OpenMode::READ).and_then(|file| Ok((file.len()?, file)));
        let (len, file) = opened.map_err(|source| RecoverError::Io { path: path.clone(), source })?;
        let mut file = Self { path, slot, file, len, window: Vec::new(), window_start: 0, head: None };
        if file.skip_hole(0)? == 0 {
            file.head = file.write_at(0)?.map(|(header, _)| header);
        }
        Ok(file)
    }

    /// `len` bytes at `position`, fewer at the end of the file.
    fn bytes<E>(&mut self, position: u64, len: usize) -> Result<&[u8], RecoverError<E>> {
        let wanted = (len as u64).min(self.len.saturating_sub(position)) as usize;
        let held = position.checked_sub(self.window_start).filter(|&at| at + wanted as u64 <= self.window.len() as u64);
        if held.is_none() {
            let ahead = (self.len.saturating_sub(position)).min(WINDOW as u64) as usize;
            self.window.resize(wanted.max(ahead), 0);
            self.window_start = position;
            let read = self.file.read_at(position, &mut self.window);
            let read = read.map_err(|source| RecoverError::Io { path: self.path.clone(), source })?;
            self.window.truncate(read);
        }
        let at = ((position - self.window_start) as usize).min(self.window.len());
        let end = (at + wanted).min(self.window.len());
        Ok(&self.window[at..end])
    }

    /// The header at `position`, if there is one that belongs there.
    fn header_at<E>(&mut self, position: u64) -> Result<Option<WriteHeader>, RecoverError<E>> {
        match WriteHeader::decode(self.bytes(position, WRITE_HEADER)?) {
            Ok(header) => Ok(Some(header).filter(|header| header.slot == self.slot && header.position == position)),
            Err(HeaderError::Invalid) => Ok(None),
            Err(HeaderError::Version(version)) => Err(RecoverError::Version { path: self.path.clone(), version }),
        }
    }

    /// The whole write at `position`: header and bytes.
    fn write_at<E>(&mut self, position: u64) -> Result<Option<(WriteHeader, &[u8])>, RecoverError<E>> {
        let Some(header) = self.header_at(position)? else { return Ok(None) };
        let bytes = self.bytes(position, header.length as usize)?;
        Ok(header.verify(bytes).then_some((header, bytes)))
    }

    /// The first block from `position` on that was ever written.
    fn skip_hole<E>(&self, position: u64) -> Result<u64, RecoverError<E>> {
        let next = self.file.next_data(position);
        let next = next.map_err(|source| RecoverError::Io { path: self.path.clone(), source })?;
        Ok(next.map_or(self.len, |next| next - next % BLOCK as u64))
    }

    /// A header of `log_id` (of any log, if it is not known) that says that write `sequence` was complete.
    fn proves_complete<E>(
        &mut self,
        log_id: Option<u64>,
        from: u64,
        sequence: u64,
        replayed: &[u64],
    ) -> Result<bool, RecoverError<E>> {
        let end = self.len.min(from.saturating_add(SCAN_BYTES));
        let mut position = self.skip_hole(from)?;
        while position < end {
            if let Some(header) = self.header_at(position)? {
                let same_log = log_id.map_or(!replayed.contains(&header.log_id), |id| id == header.log_id);
                if same_log && header.durable_sequence > sequence {
                    return Ok(true);
                }
            }
            position += BLOCK as u64;
            if position.is_multiple_of(WINDOW as u64) {
                position = self.skip_hole(position)?;
            }
        }
        Ok(false)
    }
}

/// The files of one log.
struct Log {
    shard_id: u16,
    /// `None`: no file of the shard begins with a whole write.
    log_id: Option<u64>,
    /// By generation.
    files: Vec<LogFile>,
    /// Files of the shard that do not begin with a whole write.
    headless: Vec<LogFile>,
    replayed: Rc<Vec<u64>>,
}

struct WriteAt {
    file: usize,
    position: u64,
    length: u32,
    end_lsn: u64,
}

/// The verified writes of a log.
#[derive(Default)]
struct Chain {
    writes: Vec<WriteAt>,
    /// Of its first file.
    generation: u64,
    first_lsn: u64,
    first_sequence: u64,
    first_previous_crc: u32,
    first_durable_sequence: u64,
    end_lsn: u64,
    next_sequence: u64,
    last_crc: u32,
    released: u64,
    /// File and position behind the last write.
    end: (usize, u64),
}

/// By log id.
type LogFiles = BTreeMap<u64, Vec<LogFile>>;

fn find_logs<E>(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Vec<Log>, RecoverError<E>> {
    let io_error = |source| RecoverError::Io { path: dir.to_path_buf(), source };
    let replayed = Rc::new(read_replayed_list(disk, dir).map_err(io_error)?);
    let mut shards: BTreeMap<u16, (LogFiles, Vec<LogFile>)> = BTreeMap::new();
    for (name, shard_id, slot) in list_files(disk, dir).map_err(io_error)? {
        let file = LogFile::open(disk, dir.join(name), slot)?;
        let (logs, headless) = shards.entry(shard_id).or_default();
        match file.head.map(|head| head.log_id) {
            Some(log_id) if replayed.contains(&log_id) => {}
            Some(log_id) => logs.entry(log_id).or_default().push(file),
            None => headless.push(file),
        }
    }
    let mut found = Vec::new();
    for (shard_id, (logs, headless)) in shards {
        let first = found.len();
        for (log_id, mut files) in logs {
            files.sort_by_key(|file| file.head.map(|head| head.generation));
            let replayed = Rc::clone(&replayed);
            found.push(Log { shard_id, log_id: Some(log_id), files, headless: Vec::new(), replayed });
        }
        if found.len() == first {
            let replayed = Rc::clone(&replayed);
            found.push(Log { shard_id, log_id: None, files: Vec::new(), headless, replayed });
        } else {
            found[first].headless = headless;
        }
    }
    Ok(found)
}

fn read_replayed_list(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<u64>> {
    let path = dir.join(REPLAYED_LIST);
    if !disk.exists(&path) {
        return Ok(Vec::new());
    }
    let bytes = read_file(disk, &path)?;
    let ids = String::from_utf8_lossy(&bytes);
    Ok(ids.lines().filter_map(|line| u64::from_str_radix(line, 16).ok()).collect())
}

impl Log {
    /// The verified writes, from the newest file back as far as entries may be needed. What lies before may be
    /// overwritten in part, so it is not looked at.
    fn walk<E>(&mut self) -> Result<Chain, RecoverError<E>> {
        let Some(mut first) = self.files.len().checked_sub(1) else { return Ok(Chain::default()) };
        let mut chain = self.walk_file(first)?;
        while chain.first_lsn > chain.released && first > 0 {
            let before = self.walk_file(first - 1)?;
            if before.generation.wrapping_add(1) != chain.generation {
                break;
            }
            if before.leads_to(&chain) {
                chain = before.joined(chain);
            } else if chain.first_durable_sequence <= before.next_sequence {
                // The file before was not finished when the power went: this one was only begun, nothing in it is acked.
                chain = before;
            } else {
                break;
            }
            first -= 1;
        }
        Ok(chain)
    }

    /// The verified writes of one file.
    fn walk_file<E>(&mut self, index: usize) -> Result<Chain, RecoverError<E>> {
        let file = &mut self.files[index];
        let mut chain = Chain { end: (index, 0), ..Chain::default() };
        while let Some((header, _)) = file.write_at(chain.end.1)? {
            if !chain.continues_with(&header, self.shard_id, self.log_id) {
                break;
            }
            chain.add(index, &header);
        }
        Ok(chain)
    }

    /// Whether anything proves that the chain should go on, or begin earlier.
    fn find_damage<E>(&mut self, chain: &Chain) -> Result<Option<Damage>, RecoverError<E>> {
        let (end_file, end_position) = chain.end;
        let sequence = chain.next_sequence;
        let path = match self.files.get(end_file).or(self.headless.first()) {
            Some(file) => file.path.clone(),
            None => return Ok(None),
        };
        let damage = |proof| Ok(Some(Damage { path: path.clone(), position: end_position, proof }));
        if chain.first_lsn > chain.released {
            return damage("earlier entries that no segment has synced are missing");
        }
        for (index, file) in self.files.iter_mut().enumerate().skip(end_file) {
            let from = if index == end_file { end_position } else { 0 };
            if file.proves_complete(self.log_id, from, sequence, &[])? {
                return damage("a later write says that this one was complete");
            }
        }
        for file in &mut self.headless {
            if file.proves_complete(self.log_id, 0, sequence, &self.replayed)? {
                return damage("a write in a file without a head says that this one was complete");
            }
        }
        Ok(None)
    }

    fn hand_out<E>(&mut self, chain: &Chain, apply: &mut Apply<'_, E>) -> Result<u64, RecoverError<E>> {
        let mut count = 0;
        for write in chain.writes.iter().filter(|write| write.end_lsn > chain.released) {
            let file = &mut self.files[write.file];
            let path = file.path.clone();
            let changed = || RecoverError::Io { path: path.clone(), source: io::ErrorKind::InvalidData.into() };
            let (header, bytes) = file.write_at(write.position)?.ok_or_else(changed)?;
            let mut rest = &bytes[WRITE_HEADER..write.length as usize];
            for lsn in header.first_lsn..header.end_lsn() {
                let entry = Entry::decode(rest).ok_or_else(changed)?;
                if lsn >= chain.released {
                    apply(entry.header, entry.payload).map_err(RecoverError::Apply)?;
                    count += 1;
                }
                rest = &rest[entry.length..];
            }
        }
        Ok(count)
    }
}

impl Chain {
    /// Whether a write of the same file goes on here.
    fn continues_with(&self, header: &WriteHeader, shard_id: u16, log_id: Option<u64>) -> bool {
        if is_planted(PlantedBug::GenerationNotChecked) {
            return true;
        }
        let of_this_log = header.shard_id == shard_id && Some(header.log_id) == log_id;
        let next = header.generation == self.generation
            && header.sequence == self.next_sequence
            && header.first_lsn == self.end_lsn
            && header.previous_crc == self.last_crc;
        of_this_log && (next || self.writes.is_empty())
    }

    /// Whether `later`, the writes of the next file, goes on here.
    fn leads_to(&self, later: &Self) -> bool {
        let links = later.first_sequence == self.next_sequence
            && later.first_lsn == self.end_lsn
            && later.first_previous_crc == self.last_crc;
        links || is_planted(PlantedBug::GenerationNotChecked)
    }

    fn joined(mut self, later: Self) -> Self {
        self.writes.extend(later.writes);
        Self {
            writes: self.writes,
            first_lsn: self.first_lsn,
            first_sequence: self.first_sequence,
            first_previous_crc: self.first_previous_crc,
            first_durable_sequence: self.first_durable_sequence,
            generation: self.generation,
            released: self.released.max(later.released),
            ..later
        }
    }

    fn add(&mut self, file: usize, header: &WriteHeader) {
        if self.writes.is_empty() {
            self.generation = header.generation;
            self.first_lsn = header.first_lsn;
            self.first_sequence = header.sequence;
            self.first_previous_crc = header.previous_crc;
            self.first_durable_sequence = header.durable_sequence;
        }
        let position = self.end.1;
        self.writes.push(WriteAt { file, position, length: header.length, end_lsn: header.end_lsn() });
        self.end_lsn = header.end_lsn();
        self.next_sequence = header.sequence.saturating_add(1);
        self.last_crc = header.last_crc;
        self.released = self.released.max(header.released_lsn);
        self.end = (file, position + header.padded_length());
    }
}
