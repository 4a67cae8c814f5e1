//! Binary search for the last entry at or below something, in a file, without mmap.
//!
//! Pages of 512 entries are read with pread and kept in memory, so that look-ups in the same parts of the same indexes
//! cost no system call.
//!
//! Invariant: at most `PAGES_MAX` pages are held, those not used lately go first.

use std::collections::VecDeque;
use std::io;

use ahash::AHashMap;

use super::LogKey;
use super::descriptors::FileId;
use crate::reactor::File;

const ENTRIES_PER_PAGE: u64 = 512;
/// 4 KiB each for an offset index.
const PAGES_MAX: usize = 512;

/// Pages of index files. Entries do not change while a file only grows; [`forget`](Self::forget) them when it was cut or is
/// written anew.
#[derive(Debug, Default)]
pub(crate) struct IndexCache {
    pages: AHashMap<(FileId, u64), Page>,
    /// Every page once, the next one up for eviction first.
    queue: VecDeque<(FileId, u64)>,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    /// Asked since it was last up for eviction.
    used: bool,
}

impl IndexCache {
    /// Forgets the pages of a segment.
    pub fn forget(&mut self, log: LogKey, base_offset: i64) {
        let is_of_it = |id: &FileId| id.log == log && id.base_offset == base_offset;
        if self.queue.iter().any(|(id, _)| is_of_it(id)) {
            self.queue.retain(|(id, _)| !is_of_it(id));
            self.pages.retain(|(id, _), _| !is_of_it(id));
        }
    }

    fn insert(&mut self, key: (FileId, u64), bytes: Vec<u8>) {
        if self.pages.insert(key, Page { bytes, used: false }).is_none() {
            self.queue.push_back(key);
        }
        while self.pages.len() > PAGES_MAX
            && let Some(oldest) = self.queue.pop_front()
        {
            if self.pages.get_mut(&oldest).is_some_and(|page| std::mem::take(&mut page.used)) {
                self.queue.push_back(oldest);
            } else {
                self.pages.remove(&oldest);
            }
        }
        assert_eq!(self.pages.len(), self.queue.len());
    }
}

/// The part of an index file that is in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexFile<'a> {
    pub id: FileId,
    pub file: &'a File,
    pub len_bytes: u64,
}

/// The last of `entries` that is `below`; entries that are come first.
fn search<const N: usize>(entries: &[[u8; N]], below: impl Fn(&[u8; N]) -> bool) -> Option<[u8; N]> {
    let count = entries.partition_point(below);
    count.checked_sub(1).map(|at| entries[at])
}

/// As [`search`], in the whole entries of a file.
pub(super) fn search_file<const N: usize>(
    index: IndexFile<'_>,
    cache: &mut IndexCache,
    below: impl Fn(&[u8; N]) -> bool,
) -> io::Result<Option<[u8; N]>> {
    // The page wanted is the last one whose first entry is `below`: it lies in `from..to`.
    let (mut from, mut to) = (0, (index.len_bytes / N as u64).div_ceil(ENTRIES_PER_PAGE));
    while to.saturating_sub(from) > 1 {
        let middle = from + (to - from) / 2;
        if load::<N>(index, middle, cache)?.first().is_some_and(&below) { from = middle } else { to = middle }
    }
    if to == 0 {
        return Ok(None);
    }
    Ok(search(load::<N>(index, from, cache)?, below))
}

/// The entries of a page, from the cache if it holds all of them.
fn load<'a, const N: usize>(index: IndexFile<'_>, page: u64, cache: &'a mut IndexCache) -> io::Result<&'a [[u8; N]]> {
    let (first, key) = (page * ENTRIES_PER_PAGE, (index.id, page));
    let wanted = (index.len_bytes / N as u64 - first).min(ENTRIES_PER_PAGE) as usize * N;
    match cache.pages.get_mut(&key) {
        Some(page) if page.bytes.len() >= wanted => page.used = true,
        _ => {
            let mut bytes = vec![0; wanted];
            if index.file.read_at(first * N as u64, &mut bytes)? < wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            cache.insert(key, bytes);
        }
    }
    Ok(cache.pages[&key].bytes[..wanted].as_chunks().0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::descriptors::FileKind;
    use super::*;
    use crate::reactor::sim::SimDisk;
    use crate::reactor::{Disk, OpenMode};
    use std::path::Path;
    use std::rc::Rc;

    fn entry(value: u32) -> [u8; 4] {
        value.to_be_bytes()
    }

    /// A file that holds these bytes.
    pub fn file_with(bytes: &[u8]) -> File {
        let disk: Rc<dyn Disk> = SimDisk::new(1);
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = File::open(&disk, Path::new("/d/0.index"), OpenMode::READ_WRITE).unwrap();
        file.write_all_at(0, bytes).unwrap();
        file
    }

    /// The index in the first `len_bytes` of a file.
    pub fn index_of(file: &File, len_bytes: u64) -> IndexFile<'_> {
        index_of_log(0, file, len_bytes)
    }

    fn index_of_log(log: u32, file: &File, len_bytes: u64) -> IndexFile<'_> {
        let id = FileId { log: LogKey(log), base_offset: 0, kind: FileKind::OffsetIndex };
        IndexFile { id, file, len_bytes }
    }

    fn file_of(count: u32) -> File {
        file_with(&(0..count).flat_map(|i| entry(10 + i * 2)).collect::<Vec<u8>>())
    }

    fn find(file: &File, count: u32, cache: &mut IndexCache, wanted: u32) -> Option<u32> {
        let below = |entry: &[u8; 4]| u32::from_be_bytes(*entry) <= wanted;
        search_file(index_of(file, u64::from(count) * 4), cache, below).unwrap().map(u32::from_be_bytes)
    }

    fn scan(count: u32, wanted: u32) -> Option<u32> {
        (0..count).map(|i| 10 + i * 2).rfind(|value| *value <= wanted)
    }

    #[test]
    fn every_entry_is_found_whatever_page_is_cached() {
        for count in [0, 1, 2, 511, 512, 513, 1024, 3000] {
            let file = file_of(count);
            let mut cache = IndexCache::default();
            // Steps that jump over pages, forward and back.
            for i in 0..400 {
                let wanted = i * 1237 % (count * 2 + 30);
                assert_eq!(find(&file, count, &mut cache, wanted), scan(count, wanted), "{count} {wanted}");
            }
        }
    }

    #[test]
    fn a_file_that_grows_is_seen_and_one_that_was_cut_is_an_error() {
        let file = file_of(700);
        let mut cache = IndexCache::default();
        for count in [1, 2, 511, 512, 513, 600, 700] {
            assert_eq!(find(&file, count, &mut cache, u32::MAX), scan(count, u32::MAX), "{count}");
            assert_eq!(find(&file, count, &mut cache, 11), Some(10));
        }
        file.set_len(40).unwrap();
        cache.forget(LogKey(0), 0);
        let error = search_file(index_of(&file, 2800), &mut cache, |_: &[u8; 4]| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_held_is_bounded_and_what_is_used_stays() {
        let (file, gone) = (file_of(600), file_of(0));
        let mut cache = IndexCache::default();
        let mut look_up =
            |log, file: &File| search_file(index_of_log(log, file, 2400), &mut cache, |_: &[u8; 4]| false);
        for log in 0..2 * PAGES_MAX as u32 {
            look_up(log, &file).expect("it is there");
            look_up(0, &gone).expect("no need to read it again");
        }
        assert!(look_up(1, &gone).is_err(), "it went long ago");
        assert!(cache.pages.len() <= PAGES_MAX && cache.queue.len() == cache.pages.len());
    }
}
