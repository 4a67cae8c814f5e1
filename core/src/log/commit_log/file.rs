//! One file of a commit log as recovery reads it: past the page cache, through a window that all files share.
//!
//! What a start reads once would only fill memory there, and memory that was not in use before costs several times the
//! reading. Where O_DIRECT is refused the page cache is read.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::format::{BLOCK, HeaderError, WRITE_HEADER, WriteHeader};
use super::reader::RecoverError;
use crate::buffer::AlignedBuffer;
use crate::log::direct::open_direct_or_cached;
use crate::reactor::{Disk, File, OpenMode};

/// How far behind the end of a chain a proof of damage is looked for.
const SCAN_BYTES: u64 = 8 << 20;
/// Bytes read at a time.
const WINDOW: usize = 1 << 20;
/// Bytes read to look at the head of a file.
const HEAD_READ_BYTES: u64 = 64 << 10;

/// Bytes of the file that was read last.
pub(super) struct Window {
    buffer: AlignedBuffer,
    file: Option<File>,
    start: u64,
    len: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { buffer: AlignedBuffer::zeroed(0), file: None, start: 0, len: 0 }
    }

    /// `len` bytes at `position`, which begins a block; fewer at the end of the file. With them comes what follows up to
    /// `ahead_end`, within bounds.
    pub(super) fn bytes(&mut self, file: &File, position: u64, len: usize, ahead_end: u64) -> io::Result<&[u8]> {
        let is_held = self.file.as_ref().is_some_and(|held| held.handle() == file.handle());
        let held = self.start..self.start + self.len as u64;
        if !(is_held && held.start <= position && position + len as u64 <= held.end) {
            let kept = if is_held && held.contains(&position) { held.end - position } else { 0 };
            let kept = kept as usize / BLOCK * BLOCK;
            self.fill(file, position, kept, len, ahead_end)?;
        }
        let at = ((position - self.start) as usize).min(self.len);
        Ok(&self.buffer[at..(at + len).min(self.len)])
    }

    /// Moves `kept` bytes that it has of `position` to its front, and reads what follows.
    fn fill(&mut self, file: &File, position: u64, kept: usize, len: usize, ahead_end: u64) -> io::Result<()> {
        let at = if kept > 0 { (position - self.start) as usize } else { 0 };
        let ahead = ahead_end.saturating_sub(position).min(WINDOW as u64) as usize;
        let wanted = ahead.max(len).next_multiple_of(BLOCK);
        if wanted > self.buffer.len() {
            let mut larger = AlignedBuffer::zeroed(wanted);
            larger[..kept].copy_from_slice(&self.buffer[at..at + kept]);
            self.buffer = larger;
        } else {
            self.buffer.copy_within(at..at + kept, 0);
        }
        (self.start, self.len, self.file) = (position, kept, None);
        self.len += file.read_at(position + kept as u64, &mut self.buffer[kept..wanted])?;
        self.file = Some(file.clone());
        Ok(())
    }
}

/// One file.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) slot: u32,
    pub(super) file: File,
    /// Of its whole blocks: no write that was complete ends within one.
    len: u64,
    /// Up to where is read what is not asked for yet.
    ahead_end: u64,
    /// Of the write at position 0, when it is whole.
    pub(super) head: Option<WriteHeader>,
}

impl LogFile {
    pub(super) fn open<E>(
        disk: &Rc<dyn Disk>,
        path: PathBuf,
        slot: u32,
        window: &mut Window,
    ) -> Result<Self, RecoverError<E>> {
        let opened = open_direct_or_cached(disk, &path, OpenMode::READ).and_then(|file| Ok((file.len()?, file)));
        let (len, file) = opened.map_err(|source| RecoverError::Io { path: path.clone(), source })?;
        let len = len / BLOCK as u64 * BLOCK as u64;
        let mut file = Self { path, slot, file, len, ahead_end: len.min(HEAD_READ_BYTES), head: None };
        if file.skip_hole(0)? == 0 {
            file.head = file.write_at(0, window)?.map(|(header, _)| header);
        }
        file.ahead_end = len;
        Ok(file)
    }

    /// `len` bytes at `position`, fewer at the end of the file.
    fn bytes<'w, E>(&self, position: u64, len: usize, window: &'w mut Window) -> Result<&'w [u8], RecoverError<E>> {
        let wanted = (len as u64).min(self.len.saturating_sub(position)) as usize;
        if wanted == 0 {
            return Ok(&[]);
        }
        let read = window.bytes(&self.file, position, wanted, self.ahead_end);
        read.map_err(|source| RecoverError::Io { path: self.path.clone(), source })
    }

    /// The header at `position`, if there is one that belongs there.
    fn header_at<E>(&self, position: u64, window: &mut Window) -> Result<Option<WriteHeader>, RecoverError<E>> {
        match WriteHeader::decode(self.bytes(position, WRITE_HEADER, window)?) {
            Ok(header) => Ok(Some(header).filter(|header| header.slot == self.slot && header.position == position)),
            Err(HeaderError::Invalid) => Ok(None),
            Err(HeaderError::Version(version)) => Err(RecoverError::Version { path: self.path.clone(), version }),
        }
    }

    /// The whole write at `position`: header and bytes.
    pub(super) fn write_at<'w, E>(
        &self,
        position: u64,
        window: &'w mut Window,
    ) -> Result<Option<(WriteHeader, &'w [u8])>, RecoverError<E>> {
        let Some(header) = self.header_at(position, window)? else { return Ok(None) };
        let bytes = self.bytes(position, header.length as usize, window)?;
        Ok(header.verify(bytes).then_some((header, bytes)))
    }

    /// The first block from `position` on that was ever written.
    fn skip_hole<E>(&self, position: u64) -> Result<u64, RecoverError<E>> {
        let next = self.file.next_data(position);
        let next = next.map_err(|source| RecoverError::Io { path: self.path.clone(), source })?;
        Ok(next.map_or(self.len, |next| next - next % BLOCK as u64))
    }

    /// A header of `log_id` (of any log, if it is not known) that says that write `sequence` was complete.
    pub(super) fn proves_complete<E>(
        &self,
        log_id: Option<u64>,
        from: u64,
        sequence: u64,
        dead: &[u64],
        window: &mut Window,
    ) -> Result<bool, RecoverError<E>> {
        let end = self.len.min(from.saturating_add(SCAN_BYTES));
        let mut position = self.skip_hole(from)?;
        while position < end {
            if let Some(header) = self.header_at(position, window)? {
                let same_log = log_id.map_or(!dead.contains(&header.log_id), |id| id == header.log_id);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::reactor::sim::SimDisk;

    #[test]
    fn the_window_gives_what_the_files_hold_whatever_it_had_before() {
        let sim = SimDisk::new(1);
        let (disk, clock): (Rc<dyn Disk>, _) = (Rc::clone(&sim) as _, sim.clock());
        let contents = [5 * WINDOW + 3 * BLOCK, WINDOW, 0].map(|len| {
            let word = |at: usize| ((at / 8) as u64 ^ len as u64).to_be_bytes()[at % 8];
            (0..len).map(word).collect::<Vec<u8>>()
        });
        let files: Vec<File> = (0..3)
            .map(|index| {
                let path = Path::new("/").join(index.to_string());
                let file = File::open(&disk, &path, OpenMode::READ_WRITE).expect("made");
                file.write_all_at(0, &contents[index]).expect("written");
                open_direct_or_cached(&disk, &path, OpenMode::READ).expect("opened")
            })
            .collect();
        let mut window = Window::new();
        let mut position = 0;
        for _ in 0..2_000 {
            let index = if clock.chance(50) { clock.below(3) as usize } else { 0 };
            let len = clock.below([100, 20_000, 2 * WINDOW as u64][clock.below(3) as usize]) as usize;
            if clock.chance(100) || position > contents[index].len() {
                position = clock.below(contents[index].len() as u64 + 1) as usize / BLOCK * BLOCK;
            }
            let len = len.min(contents[index].len() - position);
            let ahead_end = position as u64 + clock.below(3) * WINDOW as u64;
            let bytes = window.bytes(&files[index], position as u64, len, ahead_end).expect("read");
            assert!(bytes == &contents[index][position..position + len], "{len} bytes of {index} at {position}");
            position += len.next_multiple_of(BLOCK);
        }
        assert!(window.buffer.len() <= 3 * WINDOW);
    }
}
