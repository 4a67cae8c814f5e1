//! Entries that are read from where they lie, when recovery is long over: out of commit logs that were set aside, which
//! no recovery takes for commit logs any more, or out of a file that such entries were copied into.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::discarded::CARRIED_SUFFIX;
use super::file::Window;
use super::file_path;
use super::format::{BLOCK, Entry, EntryHeader, WriteHeader};
use crate::buffer::AlignedBuffer;
use crate::reactor::{Disk, File, OpenMode};

/// What lies between two extents that are read at one time.
const GAP_MAX: u64 = 16 << 10;
/// The most that is read at one time, if no extent is larger.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Names a file of a commit log, whatever its name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogFileId {
    /// Of the log.
    pub log_id: u64,
    /// The shard that wrote it.
    pub shard_id: u16,
    /// Which of its files.
    pub slot: u32,
}

impl LogFileId {
    /// The file, whether it was set aside already or not; `None` when it is not there. It is read through the page cache:
    /// entries of many logs lie beside each other, and what is read ahead for one is there for the next.
    pub fn open(&self, disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Option<File>> {
        let path = file_path(dir, self.shard_id, self.slot);
        let mut aside = path.clone().into_os_string();
        aside.push(CARRIED_SUFFIX);
        for path in [aside.as_ref(), path.as_path()] {
            match File::open(disk, path, OpenMode::READ) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => {
                    let file = file?;
                    if Self::of(&file)? == Some(*self) {
                        return Ok(Some(file));
                    }
                }
            }
        }
        Ok(None)
    }

    /// What the head of a file says; `None` when it was never written to.
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut head = AlignedBuffer::zeroed(BLOCK);
        let read = file.read_at(0, &mut head)?;
        let header = WriteHeader::decode(&head[..read]).ok();
        Ok(header.map(|WriteHeader { log_id, shard_id, slot, .. }| Self { log_id, shard_id, slot }))
    }
}

/// Entries that lie behind each other in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Which of the files that the reader is given.
    pub file: u32,
    /// First byte.
    pub position: u32,
    /// Headers and payloads.
    pub length: u32,
}

impl Extent {
    fn range(&self) -> (u64, u64) {
        (u64::from(self.position), u64::from(self.position) + u64::from(self.length))
    }
}

/// Reads extents, neighbours at one time.
pub struct ExtentReader<'a> {
    files: &'a [Option<File>],
    window: Window,
}

impl<'a> ExtentReader<'a> {
    /// Of these files; one that is not there is missed when it is needed.
    pub fn new(files: &'a [Option<File>]) -> Self {
        Self { files, window: Window::new() }
    }

    /// Hands out each entry of `extents`, with the index of its extent, all its bytes, and its payload, once its CRC was
    /// found right.
    pub fn read<E>(
        &mut self,
        extents: &[Extent],
        io_error: impl Fn(io::Error) -> E,
        mut apply: impl FnMut(usize, &EntryHeader, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (index, extent) in extents.iter().enumerate() {
            let mut rest = self.bytes(extent, &extents[index + 1..]).map_err(&io_error)?;
            while !rest.is_empty() {
                let entry = Entry::decode(rest).filter(|entry| entry.is_whole(rest));
                let entry = entry.ok_or_else(|| io_error(damaged()))?;
                let (bytes, behind) = rest.split_at(entry.length);
                apply(index, &entry.header, bytes, entry.payload)?;
                rest = behind;
            }
        }
        Ok(())
    }

    fn bytes(&mut self, extent: &Extent, next: &[Extent]) -> io::Result<&[u8]> {
        let file = self.files.get(extent.file as usize).and_then(Option::as_ref).ok_or_else(damaged)?;
        let (start, end) = extent.range();
        let mut ahead_end = end;
        for (next_start, next_end) in next.iter().take_while(|next| next.file == extent.file).map(Extent::range) {
            if next_start < ahead_end || next_start - ahead_end > GAP_MAX || next_end - start > READ_BYTES_MAX {
                break;
            }
            ahead_end = next_end;
        }
        let block = start / BLOCK as u64 * BLOCK as u64;
        let bytes = self.window.bytes(file, block, (end - block) as usize, ahead_end)?;
        bytes.get((start - block) as usize..(end - block) as usize).ok_or_else(damaged)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is carried of a log is damaged")
}
