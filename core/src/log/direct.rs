//! Large batches of class sync: past the commit log, straight into their segment, then announced by a small entry.
//!
//! Batches of one log are copied into a group, behind what its first block already holds, and the group is written with
//! O_DIRECT and RWF_DSYNC. While a group is under way, whatever the log gets is collected in the next one, so that the
//! order of the commit log is that of the offsets. The next group writes the last block again, with more behind the same
//! bytes: a sector torn by a power cut holds them either way.
//!
//! Invariants:
//! - One write per log at a time; a group is announced when it, and all that the segment got before it, is durable with
//!   the names that lead to it. Only the entry acks it.
//! - Groups are dense: each begins where the one before it, or what is written, ends.
//! - While a log has groups its tail is empty.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::smallvec;

use super::LogKey;
use super::append::is_disk_full;
use super::commit_log::SegmentRange;
use super::descriptors::{FileKind, segment_path};
use super::header::{CRC_START, stored_crc};
use super::partition_metadata::PARTITION_METADATA_FILE;
use crate::buffer::ALIGNMENT;
use crate::buffer::staging::{Staging, StagingPool};
use crate::reactor::{Disk, File, OpenMode, Reactor};
use crate::record::{crc32c, crc32c_join};

/// How often one write is repeated at once because it came back short or interrupted.
const REPEATS_MAX: u32 = 8;
/// How long a write waits that found the disk full.
const NO_SPACE_PAUSE: Duration = Duration::from_millis(250);

/// Which batches go directly, and how much memory they may take.
#[derive(Debug, Clone)]
pub struct DirectConfig {
    /// A batch of this size does.
    pub batch_bytes_min: usize,
    /// Bytes of one group, unless one batch is larger.
    pub group_bytes: usize,
    /// Bound on the memory of all groups of the store.
    pub memory_bytes_max: usize,
}

impl Default for DirectConfig {
    fn default() -> Self {
        Self { batch_bytes_min: 128 << 10, group_bytes: 2 << 20, memory_bytes_max: 32 << 20 }
    }
}

impl DirectConfig {
    /// The memory, of which some stays warm.
    pub(crate) fn pool(&self) -> StagingPool {
        const WARM_MAX: usize = 4;
        StagingPool::new(self.group_bytes.next_multiple_of(ALIGNMENT), self.memory_bytes_max, WARM_MAX)
    }
}

/// Neighbouring batches of one segment.
#[derive(Debug)]
pub(crate) struct Group {
    pub segment: i64,
    /// First offset.
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    pub leader_epoch: i32,
    /// Where its first batch begins in the segment.
    pub position: u64,
    /// From the block in which it begins; the batches follow what that block holds before them.
    staging: Staging,
    /// Bytes of the block before the first batch.
    before: usize,
    /// Bytes in use, without padding.
    filled: usize,
    /// Of the batches.
    crc: u32,
    state: GroupState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    Open,
    Writing,
    Written,
}

impl Group {
    /// What the commit log is told.
    pub fn range(&self) -> SegmentRange {
        SegmentRange {
            segment_base_offset: self.segment,
            position: self.position,
            size_bytes: (self.filled - self.before) as u64,
            crc: self.crc,
        }
    }

    /// Bytes of the last block, if it is not full.
    fn last_block(&self) -> &[u8] {
        self.staging.bytes(self.filled - self.filled % ALIGNMENT..self.filled)
    }
}

/// What the last group left in a block that is not full.
#[derive(Debug)]
struct LastBlock {
    segment: i64,
    /// Position behind it.
    end: u64,
    bytes: Vec<u8>,
}

/// The groups of one log.
#[derive(Debug, Default)]
pub(crate) struct DirectQueue {
    groups: VecDeque<Group>,
    last_block: Option<Box<LastBlock>>,
    /// The write under way waits for room on the disk. Of a log that had one.
    no_space: Option<Rc<Cell<bool>>>,
    /// It is among the logs whose write is to be started.
    pub due: bool,
}

impl DirectQueue {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn has_no_space(&self) -> bool {
        self.no_space.as_ref().is_some_and(|no_space| no_space.get())
    }

    /// First offset that is not announced.
    pub fn first_offset(&self) -> Option<i64> {
        self.groups.front().map(|group| group.base_offset)
    }

    /// Where in `segment` the first batch lies that is not announced.
    pub fn first_position(&self, segment: i64) -> Option<u64> {
        self.groups.iter().find(|group| group.segment == segment).map(|group| group.position)
    }

    /// Makes sure that a batch of `size_bytes` at `position` of `segment` has room. `read_block` gives bytes of the
    /// segment that are written. False when memory is all in use.
    pub fn reserve(
        &mut self,
        pool: &StagingPool,
        segment: i64,
        position: u64,
        base_offset: i64,
        size_bytes: usize,
        read_block: impl FnOnce(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let fits = |group: &Group| {
            group.state == GroupState::Open && group.segment == segment && group.staging.remaining() >= size_bytes
        };
        if self.groups.back().is_some_and(fits) {
            return Ok(true);
        }
        let before = (position % ALIGNMENT as u64) as usize;
        let Some(mut staging) = pool.take((before + size_bytes).next_multiple_of(ALIGNMENT)) else { return Ok(false) };
        match (self.groups.back(), &self.last_block) {
            _ if before == 0 => {}
            (Some(last), _) if last.segment == segment => staging.append(last.last_block()),
            (_, Some(last)) if (last.segment, last.end) == (segment, position) => staging.append(&last.bytes),
            _ => {
                let mut block = vec![0; before];
                if read_block(position - before as u64, &mut block)? < before {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                staging.append(&block);
            }
        }
        assert_eq!(staging.filled(), before, "a group begins with what its block holds");
        self.groups.push_back(Group {
            segment,
            base_offset,
            end_offset: base_offset,
            leader_epoch: 0,
            position,
            staging,
            before,
            filled: before,
            crc: 0,
            state: GroupState::Open,
        });
        Ok(true)
    }

    /// Adds a batch, in the room that was reserved for it.
    pub fn push(&mut self, end_offset: i64, leader_epoch: i32, head: &[u8], body: &[u8]) {
        let group = self.groups.back_mut().expect("room was reserved");
        assert!(group.state == GroupState::Open && group.end_offset < end_offset);
        group.staging.append(head);
        group.staging.append(body);
        // The batch brings the checksum of most of its bytes, and was compared with it when it came.
        let before = crc32c_join(group.crc, crc32c(&head[..CRC_START]), CRC_START);
        group.crc = crc32c_join(before, stored_crc(head), head.len() + body.len() - CRC_START);
        group.filled = group.staging.filled();
        (group.end_offset, group.leader_epoch) = (end_offset, leader_epoch);
    }

    /// The next write, if none is under way: which file, where, what.
    pub fn start_write(&mut self) -> Option<(i64, u64, Bytes)> {
        let group = self.groups.front_mut().filter(|group| group.state == GroupState::Open)?;
        group.state = GroupState::Writing;
        group.staging.pad();
        let bytes = group.staging.share(0..group.staging.filled());
        Some((group.segment, group.position - group.before as u64, bytes))
    }

    /// The write is durable.
    pub fn written(&mut self) {
        let group = self.groups.front_mut().expect("the write that ended is of the first group");
        assert!(group.state == GroupState::Writing);
        group.state = GroupState::Written;
    }

    /// The first group, if it waits to be announced.
    pub fn to_announce(&self) -> Option<&Group> {
        self.groups.front().filter(|group| group.state == GroupState::Written)
    }

    /// It was announced. Returns its segment, if nothing more of it is to be written.
    pub fn announced(&mut self) -> Option<i64> {
        let group = self.groups.pop_front().expect("a group was announced");
        assert!(group.state == GroupState::Written);
        let end = group.position + (group.filled - group.before) as u64;
        let bytes = group.last_block().to_vec();
        self.last_block = Some(Box::new(LastBlock { segment: group.segment, end, bytes }));
        self.groups.front().is_none_or(|next| next.segment != group.segment).then_some(group.segment)
    }

    /// Writes what is left through `file`, at the end of the store: no write is under way, nobody was told of it.
    pub fn write_rest(&mut self, mut file: impl FnMut(i64) -> io::Result<File>) -> io::Result<()> {
        while let Some(group) = self.groups.pop_front() {
            let bytes = group.staging.bytes(group.before..group.filled);
            file(group.segment)?.write_all_at(group.position, bytes)?;
        }
        self.last_block = None;
        Ok(())
    }
}

/// What one write needs besides its bytes.
pub(crate) struct DirectWrite {
    pub key: LogKey,
    pub dir: PathBuf,
    pub log_dir: PathBuf,
    pub segment: i64,
    pub position: u64,
    pub bytes: Bytes,
    /// Segments that got bytes without a sync: they come first.
    pub sync_first: Vec<i64>,
    /// The segment's name, or the folder's, may not be durable.
    pub new_names: bool,
}

/// Whose write has ended, and how.
pub(crate) type Ended = (LogKey, io::Result<()>);

/// Writes of one store that are under way, and those that have ended. After its drop none begins.
pub(crate) struct DirectWrites {
    ended: Rc<RefCell<Vec<Ended>>>,
    closed: Rc<Cell<bool>>,
}

impl Drop for DirectWrites {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for DirectWrites {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirectWrites").field("ended", &self.ended.borrow().len()).finish()
    }
}

impl DirectWrites {
    pub fn new() -> Self {
        Self { ended: Rc::default(), closed: Rc::default() }
    }

    /// Writes that have ended since the last call.
    pub fn take_ended(&self) -> Vec<Ended> {
        self.ended.take()
    }

    /// No write begins from here on. One that is under way in the driver goes on: it must have ended before the files are
    /// written in another way.
    pub fn close(&self) {
        self.closed.set(true);
    }

    /// Starts the next write of `queue`; `on_ended` is called when [`DirectWrites::take_ended`] has its result.
    pub fn start(
        &self,
        reactor: &Reactor,
        queue: &mut DirectQueue,
        write: DirectWrite,
        on_ended: Option<Rc<dyn Fn()>>,
    ) {
        let (ended, closed) = (Rc::clone(&self.ended), Rc::clone(&self.closed));
        let (reactor, no_space) = (reactor.clone(), Rc::clone(queue.no_space.get_or_insert_default()));
        reactor.clone().spawn(async move {
            let key = write.key;
            let result = run(&reactor, write, &no_space, &closed).await;
            ended.borrow_mut().push((key, result));
            if let Some(call) = on_ended {
                call();
            }
        });
    }
}

async fn run(reactor: &Reactor, write: DirectWrite, no_space: &Cell<bool>, closed: &Cell<bool>) -> io::Result<()> {
    let disk = reactor.disk();
    let path = |segment| segment_path(&write.dir, segment, FileKind::Log);
    for segment in &write.sync_first {
        match File::open(&disk, &path(*segment), OpenMode::READ) {
            // Its records were deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => reactor.sync(&file?).await?,
        }
    }
    let file = open_direct_or_cached(&disk, &path(write.segment), OpenMode::READ_WRITE)?;
    write_all(reactor, &file, &write, no_space, closed).await?;
    if write.new_names {
        let metadata = File::open(&disk, &write.dir.join(PARTITION_METADATA_FILE), OpenMode::READ_WRITE)?;
        reactor.sync(&metadata).await?;
        disk.sync_dir(&write.dir)?;
        disk.sync_dir(&write.log_dir)?;
    }
    Ok(())
}

/// Past the page cache; through it where that is refused.
pub(crate) fn open_direct_or_cached(disk: &Rc<dyn Disk>, path: &Path, mode: OpenMode) -> io::Result<File> {
    match File::open(disk, path, OpenMode { direct: true, ..mode }) {
        Err(error) if is_direct_refused(&error) => File::open(disk, path, mode),
        opened => opened,
    }
}

/// Past the page cache.
pub(crate) fn open_direct(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<File> {
    File::open(disk, path, OpenMode { direct: true, ..OpenMode::READ_WRITE })
}

/// Whether the file system cannot do without its page cache.
pub(crate) fn is_direct_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

async fn write_all(
    reactor: &Reactor,
    file: &File,
    write: &DirectWrite,
    no_space: &Cell<bool>,
    closed: &Cell<bool>,
) -> io::Result<()> {
    let mut repeats = 0;
    loop {
        if closed.get() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let (result, _) = reactor.write(file, write.position, smallvec![write.bytes.clone()], true).await;
        let error = match result {
            Ok(count) if count as usize == write.bytes.len() => {
                no_space.set(false);
                return Ok(());
            }
            // A full disk takes the same part again and again, and never says that it is full.
            Ok(_) if repeats >= REPEATS_MAX => io::ErrorKind::StorageFull.into(),
            Ok(_) => io::ErrorKind::Interrupted.into(),
            Err(error) => error,
        };
        if is_disk_full(&error) {
            no_space.set(true);
            reactor.sleep(NO_SPACE_PAUSE).await;
            // The disk may have room now: one short write does not say that it is full again.
            repeats = 0;
        } else if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
            && repeats < REPEATS_MAX
        {
            repeats += 1;
        } else {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::sim::{DiskCall, DiskEffect, DiskFault, SimConfig, SimWorld};

    #[test]
    fn a_short_write_after_a_pause_for_room_is_repeated_at_once() {
        let world = SimWorld::new(1, SimConfig::default());
        let (reactor, disk) = (world.reactor(0, 0), world.disk(0));
        let mut staging = Staging::alone(3 * ALIGNMENT);
        staging.append(&[7; 3 * ALIGNMENT]);
        let bytes = staging.share(0..staging.filled());
        let short = DiskFault::eio("", DiskCall::Write).effect(DiskEffect::Short);
        // The disk takes a part of it and never says that it is full.
        disk.inject(short.clone().sticky());
        let no_space: Rc<Cell<bool>> = Rc::default();
        let ended = Rc::new(Cell::new(false));
        let (waits, ends) = (Rc::clone(&no_space), Rc::clone(&ended));
        reactor.clone().spawn(async move {
            let dyn_disk: Rc<dyn Disk> = reactor.disk();
            let file = open_direct(&dyn_disk, Path::new("/a")).expect("opens");
            let write = DirectWrite {
                key: LogKey(0),
                dir: PathBuf::new(),
                log_dir: PathBuf::new(),
                segment: 0,
                position: 0,
                bytes,
                sync_first: Vec::new(),
                new_names: false,
            };
            write_all(&reactor, &file, &write, &waits, &Cell::new(false)).await.expect("written");
            ends.set(true);
        });
        assert!(world.run_until(NO_SPACE_PAUSE, || no_space.get()));
        disk.heal();
        disk.inject(short);
        assert!(world.run_until(NO_SPACE_PAUSE + NO_SPACE_PAUSE / 2, || ended.get()));
        assert!(!no_space.get());
    }
}
