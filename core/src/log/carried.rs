//! What the commit logs held, carried over a start in one file: each log gets its part back, as its tail, when it is first
//! used, so that a start costs what it reads, one write and one sync, and not files and syncs for each log.
//!
//! | bytes of `.ringlog/carried` | what |
//! |---|---|
//! | 4 | CRC32C of the rest of the head |
//! | 8 | magic and version, `RLCARRY1` |
//! | 4 | how many parts |
//! | 60 each | topic id (16), partition (4), first and end offset (8, 8), largest timestamp (8), position in the file (8), size (4), CRC32C (4) |
//! | the parts | record batches as the segments will have them |
//!
//! It is written by recovery before the commit logs are removed, and stays until the next start or the clean stop: what is
//! synced in a segment meanwhile is skipped by its synced point, as it is in a commit log.
//!
//! Invariants:
//! - Only of logs that were and are of class sync: behind what is carried lies nothing in the segment that counts.
//! - A part begins where its log was synced, and is dense.

use std::io;
use std::iter;
use std::path::Path;
use std::rc::Rc;

use ahash::AHashMap;
use bytes::{Buf, BufMut, Bytes};
use uuid::Uuid;

use super::commit_log::Lsn;
use super::descriptors::Descriptors;
use super::error::StoreError;
use super::header::BatchHeader;
use super::log::Log;
use super::synced_points::SyncedPoint;
use super::{LogKey, LogSpec};
use crate::reactor::{Disk, File, OpenMode, put_file, remove_file_if_there};
use crate::record::crc32c;

const FILE_NAME: &str = "carried";
const MAGIC: &[u8; 8] = b"RLCARRY1";
/// Bytes before the list of parts.
const HEAD_BYTES: usize = 16;
/// Bytes of the list for one part.
const PART_BYTES: usize = 60;

/// Batches of one log on their way into the file.
#[derive(Debug)]
pub(crate) struct NewPart {
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    pub max_timestamp: i64,
    pub batches: Vec<u8>,
}

impl NewPart {
    /// Nothing yet, from here on; room for so many bytes.
    pub fn new(base_offset: i64, size_bytes: usize) -> Self {
        let batches = Vec::with_capacity(size_bytes);
        Self { base_offset, end_offset: base_offset, max_timestamp: -1, batches }
    }

    /// Adds the batch that follows. False if it does not.
    pub fn push(&mut self, header: &BatchHeader, batch: &[u8]) -> bool {
        if header.base_offset != self.end_offset {
            return false;
        }
        self.end_offset = header.last_offset() + 1;
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        self.batches.extend_from_slice(batch);
        true
    }
}

/// Batches of one log in the file.
#[derive(Debug, Clone)]
pub(crate) struct CarriedPart {
    file: File,
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    pub max_timestamp: i64,
    position: u64,
    pub size_bytes: u32,
    crc: u32,
}

/// The parts of all logs.
#[derive(Debug, Default)]
pub(crate) struct Carried(AHashMap<(Uuid, i32), CarriedPart>);

impl Carried {
    /// What the file of a folder of commit logs says; nothing where there is none.
    pub fn read(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let io_error = |source| StoreError::Io { path: path.clone(), source };
        let file = match File::open(disk, &path, OpenMode::READ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(io_error)?,
        };
        let parts = read_head(&file).map_err(io_error)?.and_then(|head| decode(&head, &file));
        parts.ok_or_else(|| StoreError::Corrupt { path, offset: 0, reason: "not a list of what is carried".to_owned() })
    }

    /// The part of a log, which is in use from now on.
    pub fn take(&mut self, topic_id: Uuid, partition_index: i32) -> Option<CarriedPart> {
        self.0.remove(&(topic_id, partition_index))
    }
}

/// The list of parts, without what is before it; `None` when it is damaged.
fn read_head(file: &File) -> io::Result<Option<Bytes>> {
    let mut head = [0; HEAD_BYTES];
    if file.read_at(0, &mut head)? < HEAD_BYTES || &head[4..12] != MAGIC {
        return Ok(None);
    }
    let (crc, count) = ((&head[..4]).get_u32(), (&head[12..]).get_u32());
    let list_bytes = count as usize * PART_BYTES;
    if file.len()? < (HEAD_BYTES + list_bytes) as u64 {
        return Ok(None);
    }
    let mut bytes = head[4..].to_vec();
    bytes.resize(bytes.len() + list_bytes, 0);
    let read = file.read_at(HEAD_BYTES as u64, &mut bytes[HEAD_BYTES - 4..])?;
    Ok((read == list_bytes && crc32c(&bytes) == crc).then(|| Bytes::from(bytes).slice(HEAD_BYTES - 4..)))
}

fn decode(mut list: &[u8], file: &File) -> Option<Carried> {
    let mut parts = AHashMap::with_capacity(list.len() / PART_BYTES);
    while !list.is_empty() {
        let log = (Uuid::from_u128(list.get_u128()), list.get_i32());
        let part = CarriedPart {
            file: file.clone(),
            base_offset: list.get_i64(),
            end_offset: list.get_i64(),
            max_timestamp: list.get_i64(),
            position: list.get_u64(),
            size_bytes: list.get_u32(),
            crc: list.get_u32(),
        };
        (part.base_offset < part.end_offset).then_some(())?;
        parts.insert(log, part);
    }
    Some(Carried(parts))
}

/// Replaces the file by one with these parts, durably; without any there is none afterwards.
pub(crate) fn write_carried(
    disk: &Rc<dyn Disk>,
    dir: &Path,
    parts: &[((Uuid, i32), NewPart)],
) -> Result<(), StoreError> {
    let path = dir.join(FILE_NAME);
    let written = match parts {
        [] => remove_file_if_there(&**disk, &path),
        // Part by part: together they may be too much to be copied into one piece.
        parts => {
            let (head, batches) = (encode_head(parts), parts.iter().map(|(_, part)| &part.batches[..]));
            put_file(disk, &path, iter::once(&head[..]).chain(batches)).and_then(|()| disk.sync_dir(dir))
        }
    };
    written.map_err(|source| StoreError::Io { path, source })
}

/// All that comes before the batches.
fn encode_head(parts: &[((Uuid, i32), NewPart)]) -> Vec<u8> {
    let mut position = HEAD_BYTES + parts.len() * PART_BYTES;
    let mut bytes = Vec::with_capacity(position);
    bytes.put_u32(0);
    bytes.put_slice(MAGIC);
    bytes.put_u32(u32::try_from(parts.len()).expect("fewer than 2^32 logs"));
    for ((topic_id, partition_index), part) in parts {
        bytes.put_u128(topic_id.as_u128());
        bytes.put_i32(*partition_index);
        bytes.put_i64(part.base_offset);
        bytes.put_i64(part.end_offset);
        bytes.put_i64(part.max_timestamp);
        bytes.put_u64(position as u64);
        bytes.put_u32(u32::try_from(part.batches.len()).expect("what is carried is bounded"));
        bytes.put_u32(crc32c(&part.batches));
        position += part.batches.len();
    }
    let crc = crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_be_bytes());
    bytes
}

impl CarriedPart {
    /// Its batches, in order.
    pub fn batches(&self) -> io::Result<impl Iterator<Item = (BatchHeader, Bytes)> + use<>> {
        let mut bytes = vec![0; self.size_bytes as usize];
        let read = self.file.read_at(self.position, &mut bytes)?;
        if read < bytes.len() || crc32c(&bytes) != self.crc {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what is carried of a log is damaged"));
        }
        let mut rest = Bytes::from(bytes);
        Ok(std::iter::from_fn(move || {
            let header = BatchHeader::parse(&rest).filter(|header| header.size_bytes as usize <= rest.len())?;
            Some((header, rest.split_to(header.size_bytes as usize)))
        }))
    }
}

impl Log {
    /// Opens a log that is cut at its synced point, with what was carried in its tail. `point` ends where that ends.
    pub fn open_carried(
        key: LogKey,
        spec: &LogSpec,
        point: &SyncedPoint,
        part: &CarriedPart,
        log_dir: &Path,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Self, StoreError> {
        let synced_end_offset = point.unsynced_from.expect("what is carried is not synced");
        let synced = SyncedPoint { end_offset: synced_end_offset, unsynced_from: None, ..*point };
        let mut log = Self::open_at(key, spec, &synced, false, log_dir, now_ms, files)?;
        for (header, batch) in part.batches().map_err(|error| log.io_error(error))? {
            if header.base_offset != log.log_end_offset {
                return Err(log.corrupt(format!("what is carried goes on at {}", header.base_offset)));
            }
            // Older than all entries of the commit log, or as old as the first one.
            let lsn = Some(Lsn::default());
            log.replay(&header, batch, lsn, now_ms, files).map_err(|error| log.io_error(error))?;
        }
        if log.log_end_offset != part.end_offset {
            return Err(log.corrupt(format!("what is carried ends at {}", part.end_offset)));
        }
        Ok(log)
    }
}
