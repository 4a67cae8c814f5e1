//! A bounded set of open files: an idle partition holds no descriptor. And what of them is held in memory or is out on
//! lease.
//!
//! Invariant: at most `max` files are held here. A file that an operation in flight still holds stays open beyond its
//! eviction, by its own clone; one of which a range is still being sent, by its lease.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ahash::AHashMap;

use super::LogKey;
use super::index_search::{IndexCache, IndexFile};
use crate::reactor::{Disk, File, LeasedFiles, OpenMode};

/// Which of a segment's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FileKind {
    Log,
    OffsetIndex,
    TimeIndex,
}

impl FileKind {
    pub const ALL: [Self; 3] = [Self::Log, Self::OffsetIndex, Self::TimeIndex];

    pub fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
        }
    }
}

/// Names one file of a segment within a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub log: LogKey,
    pub base_offset: i64,
    pub kind: FileKind,
}

/// Path of a segment's file: the base offset in twenty digits.
pub(crate) fn segment_path(dir: &Path, base_offset: i64, kind: FileKind) -> PathBuf {
    dir.join(format!("{base_offset:020}.{}", kind.extension()))
}

/// The disk and the files of it that are open, least recently used first to go.
#[derive(Debug)]
pub(crate) struct Descriptors {
    disk: Rc<dyn Disk>,
    open: AHashMap<FileId, (File, u64)>,
    by_age: BTreeMap<u64, FileId>,
    clock: u64,
    max: usize,
    index_cache: IndexCache,
    /// Files of which ranges were handed out.
    pub leased: LeasedFiles,
}

impl Descriptors {
    pub fn new(disk: Rc<dyn Disk>, max: usize) -> Self {
        Self {
            disk,
            open: AHashMap::new(),
            by_age: BTreeMap::new(),
            clock: 0,
            max: max.max(4),
            index_cache: IndexCache::default(),
            leased: LeasedFiles::default(),
        }
    }

    pub fn disk(&self) -> &Rc<dyn Disk> {
        &self.disk
    }

    /// The file, opened for reading and writing. A missing one is made with `create`, else it is `NotFound`.
    pub fn file(&mut self, dir: &Path, id: FileId, create: bool) -> io::Result<File> {
        self.clock += 1;
        if let Some((file, age)) = self.open.get_mut(&id) {
            self.by_age.remove(age);
            *age = self.clock;
            self.by_age.insert(self.clock, id);
            return Ok(file.clone());
        }
        let mode = OpenMode { create, ..OpenMode::READ_WRITE };
        let file = File::open(&self.disk, &segment_path(dir, id.base_offset, id.kind), mode)?;
        if self.open.len() >= self.max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(id, (file.clone(), self.clock));
        self.by_age.insert(self.clock, id);
        assert!(self.open.len() <= self.max && self.open.len() == self.by_age.len());
        Ok(file)
    }

    /// Looks something up in the first `len_bytes` of an index.
    pub fn in_index<T>(
        &mut self,
        dir: &Path,
        id: FileId,
        len_bytes: u64,
        look_up: impl FnOnce(IndexFile<'_>, &mut IndexCache) -> io::Result<T>,
    ) -> io::Result<T> {
        let file = self.file(dir, id, false)?;
        look_up(IndexFile { id, file: &file, len_bytes }, &mut self.index_cache)
    }

    /// The indexes of a segment are cut or made again: nothing of them is known any more.
    pub fn forget_indexes(&mut self, log: LogKey, base_offset: i64) {
        self.index_cache.forget(log, base_offset);
    }

    /// Closes a segment's files, before they are removed.
    pub fn forget(&mut self, log: LogKey, base_offset: i64) {
        self.index_cache.forget(log, base_offset);
        for kind in FileKind::ALL {
            if let Some((_, age)) = self.open.remove(&FileId { log, base_offset, kind }) {
                self.by_age.remove(&age);
            }
        }
    }
}
