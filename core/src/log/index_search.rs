//! Binary search for the last entry at or below something, in a file, without mmap.
//!
//! Pages of 512 entries are read with pread; the cache keeps the page that answered last, which is also the
//! one that the next look-up most likely needs.

use std::io;

use crate::reactor::File;

const ENTRIES_PER_PAGE: u64 = 512;

/// The page of one index file that was read last. Entries never change, so it stays right while the file grows;
/// [`clear`](Self::clear) it when the file was cut.
#[derive(Debug, Clone, Default)]
pub struct IndexCache {
    page: u64,
    bytes: Vec<u8>,
}

impl IndexCache {
    /// Forgets the page and gives its memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The last of `entries` that is `below`; entries that are come first.
fn search<const N: usize>(entries: &[[u8; N]], below: impl Fn(&[u8; N]) -> bool) -> Option<[u8; N]> {
    let count = entries.partition_point(below);
    count.checked_sub(1).map(|at| entries[at])
}

/// As [`search`], in the whole entries within the first `len_bytes` of a file.
pub(super) fn search_file<const N: usize>(
    file: &File,
    len_bytes: u64,
    cache: &mut IndexCache,
    below: impl Fn(&[u8; N]) -> bool,
) -> io::Result<Option<[u8; N]>> {
    let count = len_bytes / N as u64;
    let pages = count.div_ceil(ENTRIES_PER_PAGE);
    // The page wanted is the last one whose first entry is `below`: it lies in `from..to`.
    let (mut from, mut to) = (0, pages);
    if !cache.bytes.is_empty() && cache.page < pages {
        let page = cache.page;
        let entries = load::<N>(file, count, page, cache)?;
        match (entries.first().is_some_and(&below), entries.last().is_some_and(&below)) {
            (false, _) => to = page,
            (true, false) => return Ok(search(entries, below)),
            (true, true) => from = page,
        }
    }
    while to.saturating_sub(from) > 1 {
        let middle = from + (to - from) / 2;
        if load::<N>(file, count, middle, cache)?.first().is_some_and(&below) { from = middle } else { to = middle }
    }
    if to == 0 {
        return Ok(None);
    }
    Ok(search(load::<N>(file, count, from, cache)?, below))
}

/// The entries of a page, from the cache if it holds all of them.
fn load<'a, const N: usize>(
    file: &File,
    count: u64,
    page: u64,
    cache: &'a mut IndexCache,
) -> io::Result<&'a [[u8; N]]> {
    let first = page * ENTRIES_PER_PAGE;
    let wanted = (count - first).min(ENTRIES_PER_PAGE) as usize * N;
    if cache.page != page || cache.bytes.len() < wanted {
        cache.page = page;
        cache.bytes.clear();
        cache.bytes.resize(wanted, 0);
        let read = match file.read_at(first * N as u64, &mut cache.bytes) {
            Ok(read) => read,
            Err(error) => {
                cache.clear();
                return Err(error);
            }
        };
        if read < wanted {
            cache.clear();
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(cache.bytes[..wanted].as_chunks().0)
}

#[cfg(test)]
pub(super) mod tests {
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

    fn file_of(count: u32) -> File {
        file_with(&(0..count).flat_map(|i| entry(10 + i * 2)).collect::<Vec<u8>>())
    }

    fn find(file: &File, count: u32, cache: &mut IndexCache, wanted: u32) -> Option<u32> {
        let below = |entry: &[u8; 4]| u32::from_be_bytes(*entry) <= wanted;
        search_file(file, u64::from(count) * 4, cache, below).unwrap().map(u32::from_be_bytes)
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
        cache.clear();
        let error = search_file(&file, 2800, &mut cache, |_: &[u8; 4]| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
