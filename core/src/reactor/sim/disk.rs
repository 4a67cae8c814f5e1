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

mod calls;
mod state;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;

use state::{State, error, is_aligned, to_usize};

use super::clock::{Clockwork, fingerprint};
use super::content::PAGE_BYTES;
use super::fault::{DiskCall, DiskEffect, DiskFault, FaultPlan};
use super::tree::{DirectoryModel, Tree};
use crate::reactor::{Handle, OpenMode};

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
            let is_whole = [position, buffer.len() as u64, buffer.as_ptr().addr() as u64].into_iter().all(is_aligned);
            if mode.direct && !is_whole {
                return Err(error(libc::EINVAL));
            }
            let effect = state.faults.meet(DiskCall::Read, &path)?;
            let len = self.shorten(state, buffer.len(), effect == Some(DiskEffect::Short), mode.direct);
            let content = state.tree.content_mut(inode)?;
            let count = content.read(position, &mut buffer[..len]);
            if !mode.direct {
                content.load(position, count as u64);
            }
            if effect == Some(DiskEffect::FlipBit) && count > 0 {
                buffer[to_usize(self.clock.below(count as u64))] ^= 1 << self.clock.below(8);
            }
            self.note("read", &path, &[position, count as u64]);
            Ok(count)
        })
    }
}
