//! A cleaned segment takes the place of those that it was made from, by Kafka's names, so that a crash leaves the one or the
//! others and Kafka opens the folder too.
//!
//! | step | then synced: the folder | a start that finds this |
//! |---|---|---|
//! | its files are written and synced as `.cleaned` | yes | removes them |
//! | renamed to `.swap` | yes | while one is still `.cleaned`: removes them; else goes on with the next steps |
//! | the old ones' files are renamed to `.deleted` | yes | as above |
//! | `.swap` is taken off its files | yes | takes it off the rest |
//!
//! Invariants:
//! - Which segments a `.swap` replaces is seen from its offsets: those that begin in its range. It ends where the last one
//!   of them ended, since its last batch stays.
//! - Of its own first segment's files those without a `.swap` beside them are its own already, but for a `.txnindex`
//!   that may be the old one: with entries of batches that are gone, which harms nobody.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::descriptors::Descriptors;
use super::super::log::Log;
use super::super::planted::{PlantedBug, is_planted};
use super::super::retention::{DELETED_SUFFIX, mark_deleted, segment_files};
use super::super::scan::{BatchScan, ScanEnd};
use super::super::segment::Segment;
use super::super::transaction_index::{self, AbortedTransaction};
use crate::reactor::{Disk, File, OpenMode};

/// What a file of a cleaned segment is called until it is whole.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";
/// And from then on until it has taken its place.
const SWAP_SUFFIX: &str = ".swap";

/// A segment that waits as `.cleaned` for its place.
#[derive(Debug)]
pub struct CleanedSegment {
    pub(crate) segment: Segment,
    /// Base offsets of those that it replaces, neighbours.
    pub(crate) sources: Vec<i64>,
    /// Where the last of them ends.
    pub(crate) end_offset: i64,
    /// What its transaction index holds.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

/// Path of a segment's file of any kind.
pub(crate) fn file_path(dir: &Path, base_offset: i64, extension: &str, suffix: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}{extension}{suffix}"))
}

/// The extensions of a segment's files, with the dot.
pub(crate) const LOG_EXTENSION: &str = ".log";
pub(crate) const INDEX_EXTENSIONS: [&str; 2] = [".index", ".timeindex"];
const EXTENSIONS: [&str; 4] = [LOG_EXTENSION, INDEX_EXTENSIONS[0], INDEX_EXTENSIONS[1], transaction_index::EXTENSION];

impl Log {
    /// Puts a cleaned segment into its place. `None`: its segments are not there any more. Returns the files that are to
    /// be removed later.
    pub fn swap_in(&mut self, cleaned: CleanedSegment, files: &mut Descriptors) -> io::Result<Option<Vec<PathBuf>>> {
        let CleanedSegment { segment, sources, end_offset, aborted } = cleaned;
        let first = self.segment_index(sources[0]);
        let range = first..first + sources.len();
        let are_there = self.segments.get(range.clone()).is_some_and(|segments| {
            segments.iter().map(|segment| segment.base_offset).eq(sources.iter().copied())
                && self.segments.get(range.end).is_some_and(|next| next.base_offset == end_offset)
        });
        if !are_there {
            return Ok(None);
        }
        let (disk, dir, base_offset) = (Rc::clone(files.disk()), self.dir.clone(), segment.base_offset);
        let has_aborted = !aborted.is_empty();
        let own: Vec<&str> =
            EXTENSIONS.into_iter().filter(|kind| has_aborted || *kind != transaction_index::EXTENSION).collect();
        let rename_own = |from: &str, to: &str| {
            own.iter().try_for_each(|extension| {
                let path = |suffix| file_path(&dir, base_offset, extension, suffix);
                disk.rename(&path(from), &path(to))
            })
        };
        rename_own(CLEANED_SUFFIX, SWAP_SUFFIX)?;
        disk.sync_dir(&dir)?;
        let mut deleted = Vec::new();
        // Also where a file of the same name follows: to rename over a large one frees it at once, which takes milliseconds.
        let own_files = EXTENSIONS.map(|extension| file_path(&dir, base_offset, extension, ""));
        let others = sources.iter().filter(|source| **source != base_offset);
        let others_files = others.flat_map(|source| segment_files(&dir, *source));
        own_files.into_iter().chain(others_files).try_for_each(|path| mark_deleted(&*disk, &path, &mut deleted))?;
        sources.iter().for_each(|source| files.forget(self.key, *source));
        if !is_planted(PlantedBug::SwapUnordered) {
            disk.sync_dir(&dir)?;
        }
        rename_own(SWAP_SUFFIX, "")?;
        disk.sync_dir(&dir)?;
        self.segments.splice(range, [segment]);
        self.aborted.replace(base_offset..end_offset, aborted);
        self.aborted.forget_below(self.log_start_offset);
        self.sync_first.retain(|base| !sources.contains(base));
        self.read_hints = None;
        Ok(Some(deleted))
    }
}

/// Removes what a cleaning has left that did not come to its end.
pub(crate) fn remove_cleaned(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let entries = match disk.list_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let names = entries.into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(CLEANED_SUFFIX)).try_for_each(|name| disk.remove_file(&dir.join(name)))
}

/// The offset that a segment's file of any kind begins with.
fn base_of(name: &str) -> Option<i64> {
    let (digits, rest) = name.split_at_checked(20)?;
    (rest.starts_with('.') && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Brings a folder with these names to the end of what a crash has interrupted, Kafka's or our own. Whether there was
/// anything.
pub(crate) fn finish_swaps(disk: &Rc<dyn Disk>, dir: &Path, names: &[String]) -> io::Result<bool> {
    let with = |suffix: &'static str| names.iter().filter(move |name| name.ends_with(suffix));
    let first_cleaned = with(CLEANED_SUFFIX).filter_map(|name| base_of(name)).min();
    let is_whole = |name: &&String| base_of(name).is_some_and(|base| first_cleaned.is_none_or(|first| base < first));
    let (swaps, broken): (Vec<_>, Vec<_>) = with(SWAP_SUFFIX).partition(is_whole);
    if first_cleaned.is_none() && swaps.is_empty() {
        return Ok(false);
    }
    // Those that are not whole first: without a `.cleaned` beside it, a `.swap` would be.
    broken.into_iter().try_for_each(|name| disk.remove_file(&dir.join(name)))?;
    disk.sync_dir(dir)?;
    with(CLEANED_SUFFIX).try_for_each(|name| disk.remove_file(&dir.join(name)))?;
    for log in swaps.iter().filter(|name| name.ends_with(".log.swap")) {
        tracing::info!(folder = %dir.display(), name = log, "a cleaned segment takes its place");
        let (base, end) = (base_of(log).expect("it is whole"), end_offset(disk, &dir.join(log))?);
        let replaced = names.iter().filter(|name| {
            let is_final = ![SWAP_SUFFIX, CLEANED_SUFFIX, DELETED_SUFFIX].iter().any(|suffix| name.ends_with(suffix));
            is_final && base_of(name).is_some_and(|other| base < other && other < end)
        });
        replaced.into_iter().try_for_each(|name| disk.remove_file(&dir.join(name)))?;
    }
    disk.sync_dir(dir)?;
    for name in swaps {
        let name_after = name.strip_suffix(SWAP_SUFFIX).expect("chosen by it");
        disk.rename(&dir.join(name), &dir.join(name_after))?;
    }
    disk.sync_dir(dir)?;
    Ok(true)
}

/// Where the offsets of a whole file of batches end, exclusive.
fn end_offset(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<i64> {
    let file = File::open(disk, path, OpenMode::READ)?;
    let mut scan = BatchScan::new(file.clone(), 0, file.len()?);
    let mut end = 0;
    while let Some((header, _)) = scan.next_header()? {
        end = header.last_offset() + 1;
    }
    match scan.end() {
        ScanEnd::Clean => Ok(end),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is not whole", path.display()))),
    }
}
