//! What is behind a simulated disk: the tree of files, who has which of them open, and what is to go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::SimDiskConfig;
use crate::reactor::sim::content::PAGE_BYTES;
use crate::reactor::sim::fault::FaultPlan;
use crate::reactor::sim::tree::{InodeId, Tree};
use crate::reactor::{Handle, OpenMode};

/// What a handle stands for.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) inode: InodeId,
    pub(super) process: u64,
    pub(super) path: String,
    pub(super) mode: OpenMode,
    pub(super) locks: bool,
}

/// What all processes of the host share.
pub(super) struct State {
    pub(super) config: SimDiskConfig,
    pub(super) tree: Tree,
    pub(super) handles: BTreeMap<i32, OpenFile>,
    pub(super) next_handle: i32,
    pub(super) next_process: u64,
    pub(super) dead: BTreeSet<u64>,
    /// A process that dies at a call, and how many it makes before.
    pub(super) dying: Option<(u64, u32)>,
    pub(super) faults: FaultPlan,
    pub(super) removed: u32,
    pub(super) power_cuts: u32,
    /// Ranges that direct writes are under way to, by file and first byte: where each ends.
    pub(super) direct_writes: BTreeMap<(InodeId, u64), u64>,
}

impl State {
    pub(super) fn new_process(&mut self) -> u64 {
        self.next_process += 1;
        self.next_process - 1
    }

    /// Whether the process that calls is dead; one that is to die has one call less.
    pub(super) fn is_dead(&mut self, process: u64) -> bool {
        if let Some((dying, left)) = &mut self.dying
            && *dying == process
        {
            match left.checked_sub(1) {
                Some(rest) => *left = rest,
                None => _ = self.dead.insert(process),
            }
        }
        self.dead.contains(&process)
    }

    pub(super) fn opened(&self, handle: Handle) -> io::Result<(InodeId, String, OpenMode)> {
        let open = self.handles.get(&handle.0).ok_or_else(|| error(libc::EBADF))?;
        Ok((open.inode, open.path.clone(), open.mode))
    }

    /// A write through the page cache to pages that a direct write is under way to leaves Linux with pages that it cannot
    /// drop: it fails the next sync.
    pub(super) fn check_direct_writes(&self, inode: InodeId, position: u64, len: u64, path: &str, mode: OpenMode) {
        let pages = position / PAGE_BYTES * PAGE_BYTES..position + len;
        let mut of_file = self.direct_writes.range((inode, 0)..(inode, pages.end));
        let meets = of_file.any(|(_, &end)| end > pages.start);
        assert!(mode.direct || !meets, "{path}: byte {position} is written while a direct write is under way to it");
    }

    pub(super) fn hand_out(&mut self, open: OpenFile) -> Handle {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(handle, open);
        Handle(handle)
    }

    pub(super) fn find_or_create(&mut self, path: &Path, create: bool) -> io::Result<InodeId> {
        match self.tree.find(path) {
            Err(missing) if create && missing.kind() == io::ErrorKind::NotFound => self.tree.create_file(path),
            found => found,
        }
    }

    /// How much of a write the device has room for.
    pub(super) fn grant_space(&self, inode: InodeId, position: u64, wanted: usize, direct: bool) -> io::Result<usize> {
        let Some(capacity) = self.config.capacity_bytes else { return Ok(wanted) };
        let content = self.tree.content(inode)?;
        let free = (capacity / PAGE_BYTES).saturating_sub(self.tree.allocated_pages(&self.open_inodes()));
        if content.missing_pages(position, wanted as u64) <= free {
            return Ok(wanted);
        }
        let mut end = (position + wanted as u64) / PAGE_BYTES * PAGE_BYTES;
        while end > position && content.missing_pages(position, end - position) > free {
            end -= PAGE_BYTES.min(end - position);
        }
        assert!(!direct || is_aligned(end), "a direct write is cut at a page");
        if end <= position { Err(error(libc::ENOSPC)) } else { Ok(to_usize(end - position)) }
    }

    fn open_inodes(&self) -> BTreeSet<InodeId> {
        self.handles.values().map(|open| open.inode).collect()
    }

    pub(super) fn collect(&mut self) {
        let open = self.open_inodes();
        self.tree.collect(&open);
        self.removed = 0;
    }

    /// Frees the memory of removed files now and then, since looking for them costs a walk.
    pub(super) fn after_removal(&mut self) {
        self.removed += 1;
        if self.removed >= 64 {
            self.collect();
        }
    }
}

pub(super) fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

pub(super) fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

pub(super) fn is_aligned(value: u64) -> bool {
    value.is_multiple_of(PAGE_BYTES)
}
