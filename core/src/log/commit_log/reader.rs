//! Recovery: reads every commit log of a folder, verifies each chain to its end, then tells where the entries lie that
//! are not in segments, and hands them out.
//!
//! Blocking, at start only. Nothing here cuts or repairs.
//!
//! Invariant: no entry is told of or handed out before the whole chain of its log was verified and no damage was found.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use uuid::Uuid;

use super::discarded::{list_files, read_replayed_list};
use super::extents::LogFileId;
use super::file::{LogFile, Window};
use super::format::{Entry, EntryHeader, WRITE_HEADER, WriteHeader};
use super::index::{Indexer, MaxTimestamp, Run};
use crate::log::planted::{PlantedBug, is_planted};
use crate::reactor::{Disk, File};

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
    partitions: Vec<(Uuid, i32)>,
    damage: Vec<Damage>,
    window: Window,
}

/// A run, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundRun {
    /// Which of [`VerifiedLogs::files`].
    pub file: u32,
    /// Whether a later write says that this one was complete: it outlives a power cut.
    pub is_durable: bool,
    /// The entries.
    pub run: Run,
}

/// Reads all commit logs in `dir` but those whose ids are among `dead`; a missing folder holds none. `max_timestamp` is asked
/// of each entry for its [`Run`].
pub fn verify<E>(
    disk: &Rc<dyn Disk>,
    dir: &Path,
    mode: RecoverMode,
    dead: &[u64],
    max_timestamp: &MaxTimestamp<'_>,
) -> Result<VerifiedLogs, RecoverError<E>> {
    let (mut window, mut indexer) = (Window::new(), Indexer::new(max_timestamp));
    let (mut logs, mut damage) = (Vec::new(), Vec::new());
    for log in find_logs(disk, dir, dead, &mut window)? {
        let chain = log.walk(&mut indexer, &mut window)?;
        damage.extend(log.find_damage(&chain, &mut window)?);
        logs.push((log, chain));
    }
    if mode == RecoverMode::Refuse && !damage.is_empty() {
        return Err(RecoverError::Damaged(damage));
    }
    Ok(VerifiedLogs { logs, partitions: indexer.partitions, damage, window })
}

impl VerifiedLogs {
    /// Topic and partition of each number in a [`Run`].
    pub fn partitions(&self) -> &[(Uuid, i32)] {
        &self.partitions
    }

    /// The files that the runs lie in.
    pub fn files(&self) -> impl Iterator<Item = (LogFileId, File)> {
        self.logs.iter().flat_map(|(log, _)| {
            log.files.iter().filter_map(|file| {
                let id = LogFileId { log_id: log.log_id?, shard_id: log.shard_id, slot: file.slot };
                Some((id, file.file.clone()))
            })
        })
    }

    /// Whose entries may not be synced in segments, and where they lie: log by log and in order.
    pub fn runs(&self) -> impl Iterator<Item = FoundRun> {
        let mut files = 0;
        self.logs.iter().flat_map(move |(log, chain)| {
            let first_file = files;
            files += log.files.len();
            chain.writes.iter().flat_map(move |write| {
                let is_durable = write.sequence < chain.durable_sequence;
                let file = (first_file + write.file) as u32;
                chain.runs_of(write).iter().map(move |run| FoundRun { file, is_durable, run: *run })
            })
        })
    }

    /// Hands out, log by log and in order, the entries that may not be synced in segments. Each may have been handed out
    /// before, by a recovery that was cut short. Writes that hold no run that `is_wanted` are left out.
    pub fn hand_out<E>(
        &mut self,
        is_wanted: impl Fn(&Run) -> bool,
        apply: &mut Apply<'_, E>,
    ) -> Result<RecoveryReport, RecoverError<E>> {
        let mut report = RecoveryReport { damage: self.damage.clone(), ..RecoveryReport::default() };
        for (log, chain) in &self.logs {
            for write in chain.writes.iter().filter(|write| chain.runs_of(write).iter().any(&is_wanted)) {
                report.entries += log.hand_out(write, chain.released, &mut self.window, apply)?;
            }
            if let Some(log_id) = log.log_id {
                report.logs.push(RecoveredLog {
                    shard_id: log.shard_id,
                    log_id,
                    first_lsn: chain.released.max(chain.first_lsn),
                    end_lsn: chain.end_lsn,
                    writes: chain.writes_count,
                });
            }
        }
        Ok(report)
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
    dead: Rc<Vec<u64>>,
}

/// A verified write.
struct WriteAt {
    file: usize,
    position: u64,
    sequence: u64,
    end_lsn: u64,
    /// Where its runs are among those of the chain.
    first_run: usize,
    runs_count: usize,
}

/// The verified writes of a log.
#[derive(Default)]
struct Chain {
    /// At the end of the walk only those with entries that are not released.
    writes: Vec<WriteAt>,
    runs: Vec<Run>,
    writes_count: usize,
    /// Of its first file.
    generation: u64,
    first_lsn: u64,
    first_sequence: u64,
    first_previous_crc: u32,
    first_durable_sequence: u64,
    /// Every write below it was complete.
    durable_sequence: u64,
    end_lsn: u64,
    next_sequence: u64,
    last_crc: u32,
    released: u64,
    /// File and position behind the last write.
    end: (usize, u64),
}

/// By log id.
type LogFiles = BTreeMap<u64, Vec<LogFile>>;

fn find_logs<E>(
    disk: &Rc<dyn Disk>,
    dir: &Path,
    dead: &[u64],
    window: &mut Window,
) -> Result<Vec<Log>, RecoverError<E>> {
    let io_error = |source| RecoverError::Io { path: dir.to_path_buf(), source };
    let mut all_dead = read_replayed_list(disk, dir).map_err(io_error)?;
    all_dead.extend_from_slice(dead);
    let dead = Rc::new(all_dead);
    let mut shards: BTreeMap<u16, (LogFiles, Vec<LogFile>)> = BTreeMap::new();
    for (name, shard_id, slot) in list_files(disk, dir).map_err(io_error)? {
        let file = LogFile::open(disk, dir.join(name), slot, window)?;
        let (logs, headless) = shards.entry(shard_id).or_default();
        match file.head.map(|head| head.log_id) {
            Some(log_id) if dead.contains(&log_id) => {}
            Some(log_id) => logs.entry(log_id).or_default().push(file),
            None => headless.push(file),
        }
    }
    let mut found = Vec::new();
    for (shard_id, (logs, headless)) in shards {
        let first = found.len();
        for (log_id, mut files) in logs {
            files.sort_by_key(|file| file.head.map(|head| head.generation));
            let dead = Rc::clone(&dead);
            found.push(Log { shard_id, log_id: Some(log_id), files, headless: Vec::new(), dead });
        }
        if found.len() == first {
            let dead = Rc::clone(&dead);
            found.push(Log { shard_id, log_id: None, files: Vec::new(), headless, dead });
        } else {
            found[first].headless = headless;
        }
    }
    Ok(found)
}

impl Log {
    /// The verified writes, from the newest file back as far as entries may be needed. What lies before may be
    /// overwritten in part, so it is not looked at.
    fn walk<E>(&self, indexer: &mut Indexer<'_>, window: &mut Window) -> Result<Chain, RecoverError<E>> {
        let Some(mut first) = self.files.len().checked_sub(1) else { return Ok(Chain::default()) };
        let mut chain = self.walk_file(first, indexer, window)?;
        while chain.first_lsn > chain.released && first > 0 {
            let before = self.walk_file(first - 1, indexer, window)?;
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
        self.drop_released(&mut chain, indexer, window)?;
        Ok(chain)
    }

    /// The verified writes of one file.
    fn walk_file<E>(
        &self,
        index: usize,
        indexer: &mut Indexer<'_>,
        window: &mut Window,
    ) -> Result<Chain, RecoverError<E>> {
        let mut chain = Chain { end: (index, 0), ..Chain::default() };
        while let Some((header, bytes)) = self.files[index].write_at(chain.end.1, window)? {
            if !chain.continues_with(&header, self.shard_id, self.log_id) {
                break;
            }
            let first_run = chain.runs.len();
            indexer.add(&header, bytes, 0, &mut chain.runs);
            chain.add(index, &header, first_run);
        }
        Ok(chain)
    }

    /// Forgets what lies below the highest `released_lsn`.
    fn drop_released<E>(
        &self,
        chain: &mut Chain,
        indexer: &mut Indexer<'_>,
        window: &mut Window,
    ) -> Result<(), RecoverError<E>> {
        let released = chain.released;
        chain.writes.drain(..chain.writes.partition_point(|write| write.end_lsn <= released));
        // Of the first one that stays a part may be released.
        let Some(first) = chain.writes.first_mut() else { return Ok(()) };
        let (header, bytes) = self.verified(first, window)?;
        if header.first_lsn < released {
            first.first_run = chain.runs.len();
            indexer.add(&header, bytes, released, &mut chain.runs);
            first.runs_count = chain.runs.len() - first.first_run;
        }
        Ok(())
    }

    /// A write that was verified before.
    fn verified<'w, E>(
        &self,
        write: &WriteAt,
        window: &'w mut Window,
    ) -> Result<(WriteHeader, &'w [u8]), RecoverError<E>> {
        let file = &self.files[write.file];
        let changed = || RecoverError::Io { path: file.path.clone(), source: io::ErrorKind::InvalidData.into() };
        file.write_at(write.position, window)?.ok_or_else(changed)
    }

    /// Whether anything proves that the chain should go on, or begin earlier.
    fn find_damage<E>(&self, chain: &Chain, window: &mut Window) -> Result<Option<Damage>, RecoverError<E>> {
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
        for (index, file) in self.files.iter().enumerate().skip(end_file) {
            let from = if index == end_file { end_position } else { 0 };
            if file.proves_complete(self.log_id, from, sequence, &[], window)? {
                return damage("a later write says that this one was complete");
            }
        }
        for file in &self.headless {
            if file.proves_complete(self.log_id, 0, sequence, &self.dead, window)? {
                return damage("a write in a file without a head says that this one was complete");
            }
        }
        Ok(None)
    }

    fn hand_out<E>(
        &self,
        write: &WriteAt,
        released: u64,
        window: &mut Window,
        apply: &mut Apply<'_, E>,
    ) -> Result<u64, RecoverError<E>> {
        let (header, bytes) = self.verified(write, window)?;
        let (mut rest, mut count) = (&bytes[WRITE_HEADER..], 0);
        for lsn in header.first_lsn..header.end_lsn() {
            let entry = Entry::decode(rest).expect("the write was verified");
            if lsn >= released {
                apply(entry.header, entry.payload).map_err(RecoverError::Apply)?;
                count += 1;
            }
            rest = &rest[entry.length..];
        }
        Ok(count)
    }
}

impl Chain {
    fn runs_of(&self, write: &WriteAt) -> &[Run] {
        &self.runs[write.first_run..write.first_run + write.runs_count]
    }

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

    fn joined(mut self, mut later: Self) -> Self {
        let runs_before = self.runs.len();
        later.writes.iter_mut().for_each(|write| write.first_run += runs_before);
        self.writes.append(&mut later.writes);
        self.runs.append(&mut later.runs);
        Self {
            writes: self.writes,
            runs: self.runs,
            writes_count: self.writes_count + later.writes_count,
            first_lsn: self.first_lsn,
            first_sequence: self.first_sequence,
            first_previous_crc: self.first_previous_crc,
            first_durable_sequence: self.first_durable_sequence,
            generation: self.generation,
            durable_sequence: self.durable_sequence.max(later.durable_sequence),
            released: self.released.max(later.released),
            ..later
        }
    }

    /// Adds a write whose runs are the last ones, from `first_run` on.
    fn add(&mut self, file: usize, header: &WriteHeader, first_run: usize) {
        if self.writes.is_empty() {
            self.generation = header.generation;
            self.first_lsn = header.first_lsn;
            self.first_sequence = header.sequence;
            self.first_previous_crc = header.previous_crc;
            self.first_durable_sequence = header.durable_sequence;
        }
        let position = self.end.1;
        let (sequence, end_lsn) = (header.sequence, header.end_lsn());
        let runs_count = self.runs.len() - first_run;
        self.writes.push(WriteAt { file, position, sequence, end_lsn, first_run, runs_count });
        self.writes_count += 1;
        self.durable_sequence = self.durable_sequence.max(header.durable_sequence);
        self.end_lsn = end_lsn;
        self.next_sequence = header.sequence.saturating_add(1);
        self.last_crc = header.last_crc;
        self.released = self.released.max(header.released_lsn);
        self.end = (file, position + header.padded_length());
    }
}
