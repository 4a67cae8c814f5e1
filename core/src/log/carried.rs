//! What the commit logs held, carried over a start: each log gets its part back, as its tail, when it is first used, so
//! that a start costs what it reads of the commit logs, and not files and syncs for each log.
//!
//! | bytes of `.ringlog/carried` | what |
//! |---|---|
//! | 4 | CRC32C of the rest of the head |
//! | 8 | magic and version, `RLCARRY2` |
//! | 8 | how many files, how many parts (4 each) |
//! | 14 each | files of commit logs: log id (8), shard (2), slot (4) |
//! | 68 each | parts: topic id (16), partition (4), first and end offset (8, 8), largest timestamp (8), bytes of its batches (8), position of its extents in this file (8), how many (4), CRC32C of them (4) |
//! | 12 each | extents, those of a part in the order of its offsets: file (4; 0 is this one, 1 the first of the list), position in it (4), bytes (4) |
//! | the rest | entries as the commit logs have them |
//!
//! It is written by recovery before the commit logs are set aside, and stays until the next start or the clean stop: what
//! is synced in a segment meanwhile is skipped by its synced point, as it is in a commit log. An extent may begin with such
//! entries.
//!
//! The files that it lists stay where they are (`commit-<shard>-<slot>.log.carried`). From the moment that it is durable
//! they are no commit logs any more, whatever their names are, nor are others of the same logs.
//!
//! Invariants:
//! - Only of logs that were and are of class sync: behind what is carried lies nothing in the segment that counts.
//! - A part begins where its log was synced, and is dense.
//! - What it refers to outlives a power cut: it was synced here before, or a later write of the commit log says that the
//!   write that it lies in was complete. Anything else is copied.
//! - The files that it refers to are those of one start, at most as many as the commit logs have.

use std::io;
use std::iter;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use ahash::AHashMap;
use bytes::{Buf, BufMut, Bytes};
use uuid::Uuid;

use super::commit_log::{EntryHeader, Extent, ExtentReader, LogFileId, Lsn};
use super::descriptors::Descriptors;
use super::error::StoreError;
use super::header::BatchHeader;
use super::log::Log;
use super::synced_points::SyncedPoint;
use super::{LogKey, LogSpec};
use crate::reactor::{Disk, File, OpenMode, put_file, remove_file_if_there};
use crate::record::crc32c;

const FILE_NAME: &str = "carried";
const MAGIC: &[u8; 8] = b"RLCARRY2";
/// Bytes before the lists.
const HEAD_BYTES: usize = 20;
const FILE_BYTES: usize = 14;
const PART_BYTES: usize = 68;
const EXTENT_BYTES: usize = 12;
/// Copied entries are written in pieces of at least this size.
const PIECE_BYTES: usize = 1 << 20;
/// A log that is opened writes no less than this at a time.
const TAIL_WRITE_BYTES_MIN: usize = 1 << 20;

/// A log's topic and partition.
type LogId = (Uuid, i32);

/// Files that extents lie in, and which of them those are; the file of what is carried itself has no id.
pub(crate) type Sources = Vec<(Option<LogFileId>, Option<File>)>;

/// Entries of one log on their way over a start.
#[derive(Debug)]
pub(crate) struct NewPart {
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    pub max_timestamp: i64,
    /// Of the batches; they may be fewer where some are below `base_offset`.
    pub size_bytes: u64,
    /// Each in one of the sources.
    pub extents: Vec<Extent>,
}

impl NewPart {
    /// Bytes that lie in some of the sources, with the headers of the entries.
    pub fn bytes_where(&self, is_meant: impl Fn(usize) -> bool) -> u64 {
        let meant = self.extents.iter().filter(|extent| is_meant(extent.file as usize));
        meant.map(|extent| u64::from(extent.length)).sum()
    }
}

/// What is to be carried.
#[derive(Debug, Default)]
pub(crate) struct NewCarried {
    pub parts: Vec<(LogId, NewPart)>,
    pub sources: Sources,
    /// Those of the sources that are referred to. What lies in others is copied.
    pub kept: Range<usize>,
}

/// Entries of one log in the file, or in files that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct CarriedPart {
    files: Rc<CarriedFiles>,
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    pub max_timestamp: i64,
    /// Of the batches; they may be fewer where some are below `base_offset`.
    pub size_bytes: u64,
    position: u64,
    extents_count: u32,
    crc: u32,
}

/// The file itself, and those that it refers to.
#[derive(Debug, Default)]
struct CarriedFiles {
    ids: Vec<LogFileId>,
    /// By the number that extents have for them. One that is not there is missed by who needs it.
    files: Vec<Option<File>>,
}

/// The parts of all logs.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    parts: AHashMap<LogId, CarriedPart>,
    files: Rc<CarriedFiles>,
}

impl Carried {
    /// What the file of a folder of commit logs says; nothing where there is none.
    pub fn read(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let io_error = |source| StoreError::Io { path: path.clone(), source };
        let file = match File::open(disk, &path, OpenMode::READ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(io_error)?,
        };
        let corrupt = |reason: &str| StoreError::Corrupt { path: path.clone(), offset: 0, reason: reason.to_owned() };
        let (files_count, list) = read_head(&file).map_err(io_error)?.map_err(corrupt)?;
        let (mut list, mut parts) = list.split_at(files_count * FILE_BYTES);
        let (mut ids, mut files) = (Vec::new(), vec![Some(file)]);
        while !list.is_empty() {
            let id = LogFileId { log_id: list.get_u64(), shard_id: list.get_u16(), slot: list.get_u32() };
            ids.push(id);
            files.push(id.open(disk, dir).map_err(io_error)?);
        }
        let files = Rc::new(CarriedFiles { ids, files });
        let mut carried = Self { parts: AHashMap::with_capacity(parts.len() / PART_BYTES), files };
        while !parts.is_empty() {
            let log = (Uuid::from_u128(parts.get_u128()), parts.get_i32());
            let part = CarriedPart {
                files: Rc::clone(&carried.files),
                base_offset: parts.get_i64(),
                end_offset: parts.get_i64(),
                max_timestamp: parts.get_i64(),
                size_bytes: parts.get_u64(),
                position: parts.get_u64(),
                extents_count: parts.get_u32(),
                crc: parts.get_u32(),
            };
            if part.base_offset >= part.end_offset {
                return Err(corrupt("a part without records"));
            }
            carried.parts.insert(log, part);
        }
        Ok(carried)
    }

    /// The part of a log, which is in use from now on.
    pub fn take(&mut self, topic_id: Uuid, partition_index: i32) -> Option<CarriedPart> {
        self.parts.remove(&(topic_id, partition_index))
    }

    /// Ids of logs whose files are no commit logs any more.
    pub fn log_ids(&self) -> Vec<u64> {
        self.files.ids.iter().map(|id| id.log_id).collect()
    }

    /// What its extents lie in.
    pub fn sources(&self) -> Sources {
        let ids = iter::once(None).chain(self.files.ids.iter().copied().map(Some));
        ids.zip(self.files.files.iter().cloned()).collect()
    }
}

/// How many files are listed, and both lists; or why it is not to be believed.
fn read_head(file: &File) -> io::Result<Result<(usize, Vec<u8>), &'static str>> {
    const DAMAGED: &str = "not a list of what is carried";
    let mut head = [0; HEAD_BYTES];
    if file.read_at(0, &mut head)? < HEAD_BYTES {
        return Ok(Err(DAMAGED));
    }
    match &head[4..12] {
        magic if magic == MAGIC => {}
        b"RLCARRY1" => return Ok(Err("of a version before this one: start that one, and stop it cleanly")),
        _ => return Ok(Err(DAMAGED)),
    }
    let (crc, files_count, parts_count) = ((&head[..4]).get_u32(), (&head[12..]).get_u32(), (&head[16..]).get_u32());
    let list_bytes = files_count as usize * FILE_BYTES + parts_count as usize * PART_BYTES;
    if file.len()? < (HEAD_BYTES + list_bytes) as u64 {
        return Ok(Err(DAMAGED));
    }
    let mut bytes = head[4..].to_vec();
    bytes.resize(bytes.len() + list_bytes, 0);
    let read = file.read_at(HEAD_BYTES as u64, &mut bytes[HEAD_BYTES - 4..])?;
    if read < list_bytes || crc32c(&bytes) != crc {
        return Ok(Err(DAMAGED));
    }
    Ok(Ok((files_count as usize, bytes.split_off(HEAD_BYTES - 4))))
}

impl NewCarried {
    /// Replaces the file by one with these parts, durably; without any there is none afterwards. Returns the files that are
    /// needed besides.
    pub fn write(&self, disk: &Rc<dyn Disk>, dir: &Path) -> Result<Vec<LogFileId>, StoreError> {
        let path = dir.join(FILE_NAME);
        let io_error = |source| StoreError::Io { path: path.clone(), source };
        if self.parts.is_empty() {
            remove_file_if_there(&**disk, &path).map_err(io_error)?;
            return Ok(Vec::new());
        }
        let mut copied = self.copy(io_error)?;
        let (mut pieces, mut copied_bytes) = (Vec::<Vec<u8>>::new(), 0);
        let mut kept: Vec<usize> = Vec::new();
        let mut extents = Vec::with_capacity(self.parts.len());
        for (part_index, (_, part)) in self.parts.iter().enumerate() {
            let mut of_part: Vec<Extent> = Vec::new();
            for (index, extent) in part.extents.iter().enumerate() {
                if self.is_kept(extent) {
                    let known = kept.iter().position(|source| *source == extent.file as usize);
                    let number = known.unwrap_or_else(|| {
                        kept.push(extent.file as usize);
                        kept.len() - 1
                    });
                    of_part.push(Extent { file: number as u32 + 1, ..*extent });
                    continue;
                }
                let Some(entries) = copied.remove(&(part_index, index)) else { continue };
                let (position, length) = (copied_bytes, entries.len() as u32);
                copied_bytes += length;
                match of_part.last_mut() {
                    Some(last) if last.file == 0 && last.position + last.length == position => last.length += length,
                    _ => of_part.push(Extent { file: 0, position, length }),
                }
                match pieces.last_mut() {
                    Some(piece) if piece.len() < PIECE_BYTES => piece.extend_from_slice(&entries),
                    _ => pieces.push(entries),
                }
            }
            extents.push(of_part);
        }
        let kept: Vec<LogFileId> = kept.iter().filter_map(|source| self.sources[*source].0).collect();
        let head = encode_head(&self.parts, &kept, &mut extents);
        let pieces = pieces.iter().map(|piece| &piece[..]);
        put_file(disk, &path, iter::once(&head[..]).chain(pieces)).map_err(io_error)?;
        disk.sync_dir(dir).map_err(io_error)?;
        Ok(kept)
    }

    /// The entries that the file itself will have, by part and extent.
    fn copy(
        &self,
        io_error: impl Fn(io::Error) -> StoreError,
    ) -> Result<AHashMap<(usize, usize), Vec<u8>>, StoreError> {
        let mut wanted = Vec::new();
        for (part_index, (_, part)) in self.parts.iter().enumerate() {
            let extents = part.extents.iter().enumerate().filter(|(_, extent)| !self.is_kept(extent));
            wanted.extend(extents.map(|(index, extent)| (*extent, part_index, index)));
        }
        // As they lie in the files, not log by log.
        wanted.sort_unstable_by_key(|(extent, ..)| (extent.file, extent.position));
        let extents: Vec<Extent> = wanted.iter().map(|(extent, ..)| *extent).collect();
        let files: Vec<Option<File>> = self.sources.iter().map(|(_, file)| file.clone()).collect();
        let mut copied = AHashMap::<(usize, usize), Vec<u8>>::new();
        ExtentReader::new(&files).read(&extents, io_error, |at, header, entry, _| {
            let (_, part_index, index) = wanted[at];
            if header.end_offset > self.parts[part_index].1.base_offset {
                copied.entry((part_index, index)).or_default().extend_from_slice(entry);
            }
            Ok(())
        })?;
        Ok(copied)
    }

    fn is_kept(&self, extent: &Extent) -> bool {
        self.kept.contains(&(extent.file as usize))
    }
}

/// All that comes before the copied entries, which `extents` of this file count from.
fn encode_head(parts: &[(LogId, NewPart)], kept: &[LogFileId], extents: &mut [Vec<Extent>]) -> Vec<u8> {
    let mut position = HEAD_BYTES + kept.len() * FILE_BYTES + parts.len() * PART_BYTES;
    let extents_count: usize = extents.iter().map(Vec::len).sum();
    let head_bytes = position + extents_count * EXTENT_BYTES;
    let mut bytes = Vec::with_capacity(head_bytes);
    let mut lists = Vec::with_capacity(extents_count * EXTENT_BYTES);
    bytes.put_u32(0);
    bytes.put_slice(MAGIC);
    bytes.put_u32(kept.len() as u32);
    bytes.put_u32(u32::try_from(parts.len()).expect("fewer than 2^32 logs"));
    for id in kept {
        bytes.put_u64(id.log_id);
        bytes.put_u16(id.shard_id);
        bytes.put_u32(id.slot);
    }
    for (((topic_id, partition_index), part), extents) in parts.iter().zip(extents) {
        let start = lists.len();
        for Extent { file, position, length } in extents.iter() {
            lists.put_u32(*file);
            let shift = if *file == 0 { head_bytes } else { 0 };
            lists.put_u32(u32::try_from(*position as usize + shift).expect("what is copied is bounded"));
            lists.put_u32(*length);
        }
        bytes.put_u128(topic_id.as_u128());
        bytes.put_i32(*partition_index);
        bytes.put_i64(part.base_offset);
        bytes.put_i64(part.end_offset);
        bytes.put_i64(part.max_timestamp);
        bytes.put_u64(part.size_bytes);
        bytes.put_u64(position as u64);
        bytes.put_u32(extents.len() as u32);
        bytes.put_u32(crc32c(&lists[start..]));
        position += lists.len() - start;
    }
    let crc = crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_be_bytes());
    bytes.append(&mut lists);
    bytes
}

impl CarriedPart {
    /// Where its entries lie.
    pub fn extents(&self) -> io::Result<Vec<Extent>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the list of what is carried of a log is damaged");
        let file = self.files.files[0].as_ref().expect("it was read from");
        let wanted = self.extents_count as usize * EXTENT_BYTES;
        if self.position + wanted as u64 > file.len()? {
            return Err(damaged());
        }
        let mut bytes = vec![0; wanted];
        if file.read_at(self.position, &mut bytes)? < wanted || crc32c(&bytes) != self.crc {
            return Err(damaged());
        }
        let mut list = &bytes[..];
        let extent = |_| Extent { file: list.get_u32(), position: list.get_u32(), length: list.get_u32() };
        Ok((0..self.extents_count).map(extent).collect())
    }

    /// Hands out its batches that are not below `from`, in order.
    pub fn read<E>(
        &self,
        from: i64,
        io_error: impl Fn(io::Error) -> E,
        mut apply: impl FnMut(&BatchHeader, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let extents = self.extents().map_err(&io_error)?;
        ExtentReader::new(&self.files.files).read(&extents, &io_error, |_, entry, _, payload| {
            if entry.end_offset <= from {
                return Ok(());
            }
            let no_batch = || io_error(io::Error::new(io::ErrorKind::InvalidData, "what is carried is no batch"));
            apply(&batch_of(entry, payload).ok_or_else(no_batch)?, payload)
        })
    }
}

/// The batch that is the payload of an entry; `None` when it is not what the entry says.
pub(crate) fn batch_of(entry: &EntryHeader, payload: &[u8]) -> Option<BatchHeader> {
    let header = BatchHeader::parse(payload)?;
    (header.base_offset == entry.base_offset && header.size_bytes as usize == payload.len()).then_some(header)
}

fn write_tail_above(log: &mut Log, bytes: usize, files: &mut Descriptors) -> io::Result<()> {
    let error = if log.tail.waiting_bytes() > bytes { log.write_tail(files).error } else { None };
    error.map_or(Ok(()), Err)
}

impl Log {
    /// Opens a log that is cut at its synced point, with what was carried behind it: up to `tail_bytes_max` of that in its tail,
    /// the rest is written. `point` ends where that ends.
    #[expect(clippy::too_many_arguments, reason = "as of the other ways to open a log, and two more")]
    pub fn open_carried(
        key: LogKey,
        spec: &LogSpec,
        point: &SyncedPoint,
        part: &CarriedPart,
        tail_bytes_max: usize,
        log_dir: &Path,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Self, StoreError> {
        let synced_end_offset = point.unsynced_from.expect("what is carried is not synced");
        let synced = SyncedPoint { end_offset: synced_end_offset, unsynced_from: None, ..*point };
        let mut log = Self::open_at(key, spec, &synced, false, log_dir, now_ms, files)?;
        let dir = log.dir.clone();
        let io_error = |source| StoreError::Io { path: dir.clone(), source };
        part.read(synced_end_offset, io_error, |header, batch| {
            if header.base_offset != log.log_end_offset {
                return Err(log.corrupt(format!("what is carried goes on at {}", header.base_offset)));
            }
            // Older than all entries of the commit log, or as old as the first one.
            let lsn = Some(Lsn::default());
            log.replay(header, Bytes::copy_from_slice(batch), lsn, now_ms, files).map_err(io_error)?;
            write_tail_above(&mut log, tail_bytes_max.max(TAIL_WRITE_BYTES_MIN), files).map_err(io_error)
        })?;
        write_tail_above(&mut log, tail_bytes_max, files).map_err(io_error)?;
        if log.log_end_offset != part.end_offset {
            return Err(log.corrupt(format!("what is carried ends at {}", part.end_offset)));
        }
        Ok(log)
    }
}
