//! A file system in memory that loses, at a power cut, exactly what a real one may lose.
//!
//! | write kind | process killed | power cut |
//! |---|---|---|
//! | `write_at`, [`Op::Write`](crate::reactor::Op::Write) without `durable`, also O_DIRECT | kept | any subset of its sectors, any earlier length |
//! | `Op::Write` with `durable` (RWF_DSYNC) | kept | its sectors and the length they need are kept |
//! | what a `sync` that succeeded covers | kept | kept |
//! | names | kept | see [`DirectoryModel`] |
//!
//! Invariants:
//! - A failed sync settles what was pending for good: a part is lost, and the next sync succeeds without it.
//! - A call of a process that was killed or lost its power fails with EIO and changes nothing, so a forgotten task
//!   of the old process cannot touch the new one's files.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::rc::Rc;

use super::clock::{Clockwork, fingerprint};
use super::content::{Content, PAGE_BYTES};
use super::fault::{DiskCall, DiskEffect, DiskFault, FaultPlan};
use super::tree::{DirectoryModel, InodeId, Tree};
use crate::reactor::{DirEntry, Disk, Handle, OpenMode};

/// Handles of files start here, those of simulated sockets far above.
const FIRST_FILE_HANDLE: i32 = 1_000;

/// How a simulated disk behaves. The default: strict directories, no bound, no short calls.
#[derive(Debug, Clone, Default)]
pub struct SimDiskConfig {
    /// Which names survive.
    pub directories: DirectoryModel,
    /// Bytes of the device, in whole pages; a write beyond takes what fits, then ENOSPC. Holes are free.
    pub capacity_bytes: Option<u64>,
    /// In how many of 1,000 reads and writes only a part is done.
    pub short_per_mille: u32,
    /// Refuse O_DIRECT, as tmpfs does.
    pub refuse_direct: bool,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the page cache stays.
    Process,
    /// The machine loses its power.
    Power,
}

#[derive(Debug)]
struct OpenFile {
    inode: InodeId,
    process: u64,
    path: String,
    mode: OpenMode,
    locks: bool,
}

struct State {
    config: SimDiskConfig,
    tree: Tree,
    handles: BTreeMap<i32, OpenFile>,
    next_handle: i32,
    next_process: u64,
    dead: BTreeSet<u64>,
    /// A process that dies at a call, and how many it makes before.
    dying: Option<(u64, u32)>,
    faults: FaultPlan,
    removed: u32,
    power_cuts: u32,
    /// Ranges that direct writes are under way to, by file and first byte: where each ends.
    direct_writes: BTreeMap<(InodeId, u64), u64>,
}

/// A simulated disk as one process of its host sees it. Use it as `Rc<dyn Disk>`.
pub struct SimDisk {
    clock: Rc<Clockwork>,
    state: Rc<RefCell<State>>,
    process: Cell<u64>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk")
            .field("seed", &self.clock.seed())
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl SimDisk {
    /// A disk of its own, without a world around it.
    pub fn new(seed: u64) -> Rc<Self> {
        Self::with_config(Clockwork::new(seed), SimDiskConfig::default())
    }

    /// A disk that shares randomness and trace with others.
    pub fn with_config(clock: Rc<Clockwork>, config: SimDiskConfig) -> Rc<Self> {
        let state = State {
            tree: Tree::new(config.directories),
            config,
            handles: BTreeMap::new(),
            next_handle: FIRST_FILE_HANDLE,
            next_process: 1,
            dead: BTreeSet::new(),
            dying: None,
            faults: FaultPlan::default(),
            removed: 0,
            power_cuts: 0,
            direct_writes: BTreeMap::new(),
        };
        Rc::new(Self { clock, state: Rc::new(RefCell::new(state)), process: Cell::new(0) })
    }

    /// The same file system as another process of the host sees it: it has its own handles and locks.
    pub fn other_process(&self) -> Rc<Self> {
        let process = self.state.borrow_mut().new_process();
        Rc::new(Self { clock: Rc::clone(&self.clock), state: Rc::clone(&self.state), process: Cell::new(process) })
    }

    /// Ends this process (at a power cut: every process of the host). Handles and locks are gone; files that were open
    /// answer EIO from now on. This object goes on as a new process, so a test can open everything again with it.
    pub fn crash(&self, crash: Crash) {
        self.kill(crash);
        self.process.set(self.state.borrow_mut().new_process());
    }

    /// Ends this process for good.
    pub(super) fn kill(&self, crash: Crash) {
        self.clock.note("crash", &[u64::from(crash == Crash::Power)]);
        let mut state = self.state.borrow_mut();
        match crash {
            Crash::Process => {
                state.direct_writes.clear();
                state.dead.insert(self.process.get());
                let process = self.process.get();
                state.handles.retain(|_, open| open.process != process);
                state.collect();
            }
            Crash::Power => {
                let before = state.next_process;
                state.dead.extend(0..before);
                state.direct_writes.clear();
                state.handles.clear();
                state.power_cuts += 1;
                state.tree.cut_power(&self.clock);
            }
        }
    }

    /// This process makes so many more calls and is dead from then on, as far as the disk can tell: its calls fail and do
    /// nothing, so that, unlike in a device that fails, no sync loses anything. [`SimDisk::crash`] ends the rest of it.
    pub fn die_after(&self, calls: u32) {
        self.state.borrow_mut().dying = Some((self.process.get(), calls));
    }

    /// Plans a fault.
    pub fn inject(&self, fault: DiskFault) {
        self.state.borrow_mut().faults.add(fault);
    }

    /// Forgets all planned faults.
    pub fn heal(&self) {
        self.state.borrow_mut().faults.clear();
    }

    /// Changes the device's size.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) {
        self.state.borrow_mut().config.capacity_bytes = capacity_bytes;
    }

    /// Flips one bit of a file at rest.
    pub fn rot(&self, path: &Path, position: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let inode = state.tree.find(path)?;
        state.tree.content_mut(inode)?.flip_bit(position, bit);
        Ok(())
    }

    /// Empties the page cache of a file for reads: `read_at_cached` answers `WouldBlock` until it was read or read ahead.
    pub fn evict(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let inode = state.tree.find(path)?;
        state.tree.content_mut(inode)?.evict();
        Ok(())
    }

    /// The shared time, randomness and trace.
    pub fn clock(&self) -> &Rc<Clockwork> {
        &self.clock
    }

    fn with<T>(&self, call: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.borrow_mut();
        if state.is_dead(self.process.get()) {
            return Err(error(libc::EIO));
        }
        call(&mut state)
    }

    fn note(&self, what: &str, path: &str, values: &[u64]) {
        self.clock.note(what, &[fingerprint(path.as_bytes())]);
        self.clock.note(what, values);
    }

    /// A write that takes time has begun.
    pub(super) fn begin_write(&self, handle: Handle, position: u64, len: u64) {
        let mut state = self.state.borrow_mut();
        if let Ok((inode, _, OpenMode { direct: true, .. })) = state.opened(handle) {
            state.direct_writes.insert((inode, position), position + len);
        }
    }

    /// It ends.
    pub(super) fn end_write(&self, handle: Handle, position: u64) {
        let mut state = self.state.borrow_mut();
        if let Ok((inode, ..)) = state.opened(handle) {
            state.direct_writes.remove(&(inode, position));
        }
    }

    /// As `write_at`, with RWF_DSYNC on wish.
    pub(super) fn write_parts(
        &self,
        handle: Handle,
        position: u64,
        parts: &[&[u8]],
        durable: bool,
    ) -> io::Result<usize> {
        self.with(|state| {
            let (inode, path, mode) = state.opened(handle)?;
            if !mode.write {
                return Err(error(libc::EBADF));
            }
            let effect = state.faults.meet(DiskCall::Write, &path)?;
            let wanted: usize = parts.iter().map(|part| part.len()).sum();
            if mode.direct {
                let aligned =
                    parts.iter().all(|part| is_aligned(part.len() as u64) && is_aligned(part.as_ptr().addr() as u64));
                if !aligned || !is_aligned(position) {
                    return Err(error(libc::EINVAL));
                }
            }
            state.check_direct_writes(inode, position, wanted as u64, &path, mode);
            let granted = self.shorten(state, wanted, effect == Some(DiskEffect::Short), mode.direct);
            let granted = state.grant_space(inode, position, granted, mode.direct)?;
            let mut bytes = Vec::with_capacity(granted);
            for part in parts {
                bytes.extend_from_slice(&part[..part.len().min(granted - bytes.len())]);
            }
            self.note(if durable { "dsync write" } else { "write" }, &path, &[position, fingerprint(&bytes)]);
            let content = state.tree.content_mut(inode)?;
            let (old_len, end) = (content.len(), position + granted as u64);
            content.write(position, bytes);
            if mode.direct {
                // As Linux does it, so that nobody reads the old bytes.
                content.drop_pages(position, end);
            }
            if end > old_len {
                state.tree.note_resize(inode);
            }
            if durable {
                if let Err(failure) = state.faults.meet(DiskCall::Sync, &path) {
                    state.tree.content_mut(inode)?.fail_sync(&self.clock);
                    return Err(failure);
                }
                state.tree.content_mut(inode)?.make_durable(position, end);
                state.tree.commit_for_file(inode);
            }
            Ok(granted)
        })
    }

    /// Bytes that a call does: all of them, or by chance or plan a part (of a direct write: whole pages).
    fn shorten(&self, state: &State, wanted: usize, planned: bool, direct: bool) -> usize {
        let unit = if direct { to_usize(PAGE_BYTES) } else { 1 };
        if wanted <= unit || !(planned || self.clock.chance(state.config.short_per_mille)) {
            return wanted;
        }
        let part = to_usize(self.clock.between(1, wanted as u64 - 1));
        (part / unit * unit).max(unit)
    }

    /// Names what a sync that starts now covers.
    pub(super) fn sync_mark(&self, handle: Handle) -> io::Result<u64> {
        self.with(|state| {
            let (inode, ..) = state.opened(handle)?;
            Ok(state.tree.content(inode)?.mark())
        })
    }

    /// Ends a sync.
    pub(super) fn sync_until(&self, handle: Handle, mark: u64) -> io::Result<()> {
        self.with(|state| {
            let (inode, path, _) = state.opened(handle)?;
            let outcome = state.faults.meet(DiskCall::Sync, &path);
            self.note("sync", &path, &[mark, u64::from(outcome.is_ok())]);
            let content = state.tree.content_mut(inode)?;
            match outcome {
                Ok(_) => {
                    content.sync(mark);
                    state.tree.commit_for_file(inode);
                    Ok(())
                }
                Err(failure) => {
                    content.fail_sync(&self.clock);
                    Err(failure)
                }
            }
        })
    }

    /// Brings a range into the page cache, as a read-ahead does.
    pub fn read_ahead(&self, handle: Handle, position: u64, len: u64) -> io::Result<()> {
        self.with(|state| {
            let (inode, ..) = state.opened(handle)?;
            state.tree.content_mut(inode)?.load(position, len);
            Ok(())
        })
    }

    fn read(&self, handle: Handle, position: u64, buffer: &mut [u8], cached_only: bool) -> io::Result<usize> {
        self.with(|state| {
            let (inode, path, mode) = state.opened(handle)?;
            if !mode.read {
                return Err(error(libc::EBADF));
            }
            if cached_only && !state.tree.content(inode)?.is_resident(position, buffer.len() as u64) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let effect = state.faults.meet(DiskCall::Read, &path)?;
            let len = self.shorten(state, buffer.len(), effect == Some(DiskEffect::Short), mode.direct);
            let count = state.tree.content_mut(inode)?.read(position, &mut buffer[..len]);
            if effect == Some(DiskEffect::FlipBit) && count > 0 {
                buffer[to_usize(self.clock.below(count as u64))] ^= 1 << self.clock.below(8);
            }
            self.note("read", &path, &[position, count as u64]);
            Ok(count)
        })
    }
}

impl State {
    fn new_process(&mut self) -> u64 {
        self.next_process += 1;
        self.next_process - 1
    }

    /// Whether the process that calls is dead; one that is to die has one call less.
    fn is_dead(&mut self, process: u64) -> bool {
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

    fn opened(&self, handle: Handle) -> io::Result<(InodeId, String, OpenMode)> {
        let open = self.handles.get(&handle.0).ok_or_else(|| error(libc::EBADF))?;
        Ok((open.inode, open.path.clone(), open.mode))
    }

    /// A write through the page cache to pages that a direct write is under way to leaves Linux with pages that it cannot
    /// drop: it fails the next sync.
    fn check_direct_writes(&self, inode: InodeId, position: u64, len: u64, path: &str, mode: OpenMode) {
        let pages = position / PAGE_BYTES * PAGE_BYTES..position + len;
        let mut of_file = self.direct_writes.range((inode, 0)..(inode, pages.end));
        let meets = of_file.any(|(_, &end)| end > pages.start);
        assert!(mode.direct || !meets, "{path}: byte {position} is written while a direct write is under way to it");
    }

    fn hand_out(&mut self, open: OpenFile) -> Handle {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(handle, open);
        Handle(handle)
    }

    fn find_or_create(&mut self, path: &Path, create: bool) -> io::Result<InodeId> {
        match self.tree.find(path) {
            Err(missing) if create && missing.kind() == io::ErrorKind::NotFound => self.tree.create_file(path),
            found => found,
        }
    }

    /// How much of a write the device has room for.
    fn grant_space(&self, inode: InodeId, position: u64, wanted: usize, direct: bool) -> io::Result<usize> {
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

    fn collect(&mut self) {
        let open = self.open_inodes();
        self.tree.collect(&open);
        self.removed = 0;
    }

    /// Frees the memory of removed files now and then, since looking for them costs a walk.
    fn after_removal(&mut self) {
        self.removed += 1;
        if self.removed >= 64 {
            self.collect();
        }
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn is_aligned(value: u64) -> bool {
    value.is_multiple_of(PAGE_BYTES)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Handle> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Open, &name)?;
            if !(mode.read || mode.write) || (mode.direct && state.config.refuse_direct) {
                return Err(error(libc::EINVAL));
            }
            let inode = state.find_or_create(path, mode.create)?;
            if mode.truncate && state.tree.content(inode)?.len() > 0 {
                state.tree.content_mut(inode)?.set_len(0);
                state.tree.note_resize(inode);
            }
            state.tree.content(inode)?;
            self.note("open", &name, &[inode]);
            Ok(state.hand_out(OpenFile { inode, process: self.process.get(), path: name, mode, locks: false }))
        })
    }

    fn close(&self, handle: Handle) {
        // Files of a dead process are closed late; their handles are gone already.
        self.state.borrow_mut().handles.remove(&handle.0);
    }

    fn read_at(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(handle, position, buffer, false)
    }

    fn read_at_cached(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(handle, position, buffer, true)
    }

    fn is_cached(&self, handle: Handle, position: u64, len: u64) -> bool {
        let resident = |state: &mut State| {
            let (inode, ..) = state.opened(handle)?;
            Ok(state.tree.content(inode)?.is_resident(position, len))
        };
        self.with(resident).unwrap_or(false)
    }

    fn next_data(&self, handle: Handle, position: u64) -> io::Result<Option<u64>> {
        Ok(Some(position).filter(|position| self.len(handle).is_ok_and(|len| *position < len)))
    }

    fn write_at(&self, handle: Handle, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
        self.write_parts(handle, position, &parts, false)
    }

    fn len(&self, handle: Handle) -> io::Result<u64> {
        self.with(|state| {
            let (inode, ..) = state.opened(handle)?;
            Ok(state.tree.content(inode)?.len())
        })
    }

    fn drop_cached(&self, _handle: Handle, _position: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    /// Nothing that can be seen.
    fn allocate(&self, _handle: Handle, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, handle: Handle, len: u64) -> io::Result<()> {
        self.with(|state| {
            let (inode, path, mode) = state.opened(handle)?;
            if !mode.write {
                return Err(error(libc::EINVAL));
            }
            state.faults.meet(DiskCall::SetLen, &path)?;
            self.note("set_len", &path, &[len]);
            state.tree.content_mut(inode)?.set_len(len);
            state.tree.note_resize(inode);
            Ok(())
        })
    }

    fn sync(&self, handle: Handle) -> io::Result<()> {
        let mark = self.sync_mark(handle)?;
        self.sync_until(handle, mark)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::SyncDir, &name)?;
            self.note("sync_dir", &name, &[]);
            state.tree.commit_for_dir(path)
        })
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            let outcome = state.faults.meet(DiskCall::Sync, &name);
            self.note("sync_all", &name, &[u64::from(outcome.is_ok())]);
            state.tree.find(path)?;
            let settle: &dyn Fn(&mut Content) = match &outcome {
                Ok(_) => &|content| content.sync(content.mark()),
                Err(_) => &|content| content.fail_sync(&self.clock),
            };
            state.tree.contents_mut().for_each(settle);
            outcome?;
            state.tree.commit_all();
            Ok(())
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Open, &name)?;
            self.note("create_dir_all", &name, &[]);
            state.tree.create_dir_all(path)
        })
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.with(|state| {
            let names = state.tree.list(path)?;
            Ok(names.into_iter().map(|(name, is_dir)| DirEntry { name, is_dir }).collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(to);
            state.faults.meet(DiskCall::Rename, &name)?;
            self.note("rename", &name, &[]);
            state.tree.rename(from, to)?;
            state.after_removal();
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Remove, &name)?;
            self.note("remove", &name, &[]);
            state.tree.remove_file(path)?;
            state.after_removal();
            Ok(())
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Remove, &name)?;
            self.note("remove_dir_all", &name, &[]);
            state.tree.remove_dir_all(path)?;
            state.after_removal();
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.with(|state| state.tree.find(path)).is_ok()
    }

    fn page_cache_id(&self, path: &Path) -> Option<String> {
        let id = |state: &mut State| Ok(format!("boot {} inode {}", state.power_cuts, state.tree.find(path)?));
        self.with(id).ok()
    }

    fn lock(&self, path: &Path) -> io::Result<Handle> {
        self.with(|state| {
            let inode = state.find_or_create(path, true)?;
            let process = self.process.get();
            if state.handles.values().any(|open| open.locks && open.inode == inode && open.process != process) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let open = OpenFile { inode, process, path: text(path), mode: OpenMode::READ_WRITE, locks: true };
            Ok(state.hand_out(open))
        })
    }
}
