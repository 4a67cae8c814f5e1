//! [`CommitLog`]: the writer's state machine on a reactor and files.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;

use super::discarded::list_files;
use super::format::EntryHeader;
use super::writer::{Outcome, WriteOrder, Writer};
use super::{CommitLogConfig, CommitLogError, Counters, Lsn, Pressure, file_path};
use crate::buffer::staging::Staging;
use crate::reactor::{File, Instant, OpenMode, Reactor};

/// How long a write waits that found the disk full.
const NO_SPACE_PAUSE: Duration = Duration::from_millis(250);
/// Zeros are written in steps of this, one at a time, with a pause, so that log writes pass between them.
const PREWRITE_STEP: usize = 512 << 10;
const PREWRITE_PAUSE: Duration = Duration::from_millis(2);
/// Longest time of a write that is told apart: more counts as this.
const WRITE_US_MAX: u64 = 3_600_000_000;
/// Of the times of writes.
const SIGNIFICANT_DIGITS: u8 = 1;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder still holds files of this shard: recover, sync, [`discard_all`](super::discard_all) first.
    #[error("the commit log of shard {0} was not recovered and removed")]
    NotRemoved(u16),
    /// A file could not be made.
    #[error("cannot create the commit log: {0}")]
    Io(#[from] io::Error),
}

/// The commit log of one shard, open for writing.
pub struct CommitLog {
    shared: Rc<Shared>,
}

struct Shared {
    reactor: Reactor,
    files: Vec<File>,
    writer: RefCell<Writer>,
    prewrite: Cell<bool>,
    closed: Cell<bool>,
    start_scheduled: Cell<bool>,
    on_durable: RefCell<Option<Rc<dyn Fn()>>>,
    flushers: RefCell<Vec<Waker>>,
    writes_us: RefCell<Histogram<u64>>,
}

impl fmt::Debug for CommitLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitLog").field("writer", &self.shared.writer.borrow()).finish_non_exhaustive()
    }
}

impl Drop for CommitLog {
    /// Writes under way go on; nothing new starts.
    fn drop(&mut self) {
        self.shared.closed.set(true);
    }
}

impl CommitLog {
    /// Makes the (empty) files of `shard_id` in `dir` (`<log.dir>/.ringlog`, created when missing). Blocking, at start,
    /// after recovery: old files of the shard are refused.
    pub fn open(reactor: Reactor, dir: &Path, shard_id: u16, config: CommitLogConfig) -> Result<Self, OpenError> {
        let disk = reactor.disk();
        if !disk.exists(dir) {
            disk.create_dir_all(dir)?;
            disk.sync_dir(dir.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?)?;
        }
        if list_files(&disk, dir)?.iter().any(|&(_, shard, _)| shard == shard_id) {
            return Err(OpenError::NotRemoved(shard_id));
        }
        let mut files = Vec::new();
        let mut all_direct = true;
        for slot in 0..config.file_count {
            let path = file_path(dir, shard_id, slot);
            let buffered = File::open(&disk, &path, OpenMode::READ_WRITE)?;
            buffered.set_len(config.file_bytes)?;
            let direct = OpenMode { read: true, write: true, direct: true, ..OpenMode::default() };
            files.push(match File::open(&disk, &path, direct) {
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    all_direct = false;
                    buffered
                }
                opened => opened?,
            });
        }
        disk.sync_dir(dir)?;
        // Through the page cache zeros would cost memory and gain nothing.
        let prewrite = Cell::new(config.prewrite && all_direct);
        let writer = Writer::new(config, shard_id, reactor.random_u64());
        let shared = Shared {
            reactor,
            files,
            writer: RefCell::new(writer),
            prewrite,
            closed: Cell::new(false),
            start_scheduled: Cell::new(false),
            on_durable: RefCell::new(None),
            flushers: RefCell::new(Vec::new()),
            writes_us: RefCell::new(
                Histogram::new_with_bounds(1, WRITE_US_MAX, SIGNIFICANT_DIGITS).expect("the bounds are sound"),
            ),
        };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Copies an entry in (`parts` joined are its payload) and returns its number and the stored payload, which may be
    /// kept and sent from; it holds staging memory. Written by [`Self::end_turn`]; durable once `durable_lsn() > lsn`.
    pub fn push(&mut self, header: &EntryHeader, parts: &[&[u8]]) -> Result<(Lsn, Bytes), CommitLogError> {
        self.shared.writer.borrow_mut().push(header, parts)
    }

    /// Starts to write what was pushed, unless enough writes are under way: then it goes with the next one.
    pub fn end_turn(&mut self) {
        self.shared.start_writes();
    }

    /// Entries below are durable.
    pub fn durable_lsn(&self) -> Lsn {
        self.shared.writer.borrow().durable_lsn()
    }

    /// Number of the next entry.
    pub fn next_lsn(&self) -> Lsn {
        self.shared.writer.borrow().next_lsn()
    }

    /// Called (from a task of the reactor) when `durable_lsn` has moved or a file is free, and once when the log has failed.
    pub fn set_on_durable(&mut self, call: Rc<dyn Fn()>) {
        *self.shared.on_durable.borrow_mut() = Some(call);
    }

    /// Woken, on whichever thread, when memory comes back after a push was refused for the lack of it.
    pub fn set_on_memory(&self, waker: Waker) {
        self.shared.writer.borrow().set_on_memory(waker);
    }

    /// Every entry below `lsn` is synced in its segment, with all that recovery would need, or is not needed any more:
    /// files behind may be used again. Panics above `durable_lsn`.
    pub fn release_before(&mut self, lsn: Lsn) {
        self.shared.writer.borrow_mut().release_before(lsn);
        self.shared.start_writes();
    }

    /// What `release_before` was last told.
    pub fn oldest_unreleased(&self) -> Lsn {
        self.shared.writer.borrow().oldest_unreleased()
    }

    /// How near the log is to its bounds: begin to sync segments when half of the files are full.
    pub fn pressure(&self) -> Pressure {
        self.shared.writer.borrow().pressure()
    }

    /// Where three quarters of the staging memory are in use: who drops the bytes of all entries below gives back what
    /// the older half of it keeps alive, be it little in each chunk.
    pub fn scarce_memory_end(&self) -> Option<Lsn> {
        self.shared.writer.borrow().scarce_memory_end()
    }

    /// Why the log stopped; `None` while it works.
    pub fn failure(&self) -> Option<io::ErrorKind> {
        self.shared.writer.borrow().failure()
    }

    /// Ends the log for an error that was met beside it: what its own syncs say is not to be trusted any more.
    pub fn fail(&mut self, kind: io::ErrorKind) {
        self.shared.writer.borrow_mut().fail(kind);
        self.shared.after_write(true);
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.shared.writer.borrow().counters
    }

    /// Microseconds of each of its writes, from the turn that gave it to the driver to the turn that saw it done.
    pub fn writes_us(&self) -> Histogram<u64> {
        self.shared.writes_us.borrow().clone()
    }

    /// Writes everything pushed so far and waits until it is durable. Waits on while the disk is full.
    pub fn flush(&mut self) -> impl Future<Output = Result<(), CommitLogError>> + use<> {
        self.shared.start_writes();
        let shared = Rc::clone(&self.shared);
        poll_fn(move |context| {
            let writer = shared.writer.borrow();
            if let Some(kind) = writer.failure() {
                return Poll::Ready(Err(CommitLogError::Failed(kind)));
            }
            if writer.is_quiet() {
                return Poll::Ready(Ok(()));
            }
            shared.flushers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Shared {
    fn start_writes(self: &Rc<Self>) {
        loop {
            let order = self.writer.borrow_mut().next_order();
            let Some(order) = order else { break };
            let shared = Rc::clone(self);
            let WriteOrder { flight, slot, position, parts, durable } = order;
            let file = self.files[slot as usize].clone();
            let mut write = Box::pin(self.reactor.write(&file, position, parts, durable));
            let began = self.reactor.now();
            self.reactor.spawn(async move {
                loop {
                    let (result, parts) = (&mut write).await;
                    let before = shared.progress();
                    let outcome = shared.writer.borrow_mut().on_written(flight, result);
                    match outcome {
                        Outcome::Done => {
                            shared.count(began);
                            break shared.after_write(shared.progress() != before);
                        }
                        Outcome::Failed => break shared.after_write(true),
                        Outcome::Repeat => {}
                        Outcome::RepeatLater => shared.reactor.sleep(NO_SPACE_PAUSE).await,
                    }
                    if shared.closed.get() {
                        break;
                    }
                    write.set(shared.reactor.write(&file, position, parts, durable));
                }
            });
        }
        self.start_prewriting();
    }

    fn count(&self, began: Instant) {
        let time_us = self.reactor.now().0.saturating_sub(began.0) / 1000;
        self.writes_us.borrow_mut().saturating_record(time_us);
    }

    /// What those wait for who could not push, or are not acked: the durable prefix, and files that are free.
    fn progress(&self) -> (Lsn, usize) {
        let writer = self.writer.borrow();
        (writer.durable_lsn(), writer.pressure().files_free)
    }

    /// Tells who waits, and lets what was pushed meanwhile be written at the end of this turn.
    fn after_write(self: &Rc<Self>, news: bool) {
        let call = self.on_durable.borrow().clone().filter(|_| news);
        if let Some(call) = call {
            call();
        }
        for waker in self.flushers.take() {
            waker.wake();
        }
        if !self.closed.get() && !self.start_scheduled.replace(true) {
            let shared = Rc::clone(self);
            self.reactor.at_turn_end(move || {
                shared.start_scheduled.set(false);
                shared.start_writes();
            });
        }
    }

    fn start_prewriting(self: &Rc<Self>) {
        if !self.prewrite.get() || self.closed.get() {
            return;
        }
        let slot = self.writer.borrow_mut().start_preparing();
        let Some(slot) = slot else { return };
        let shared = Rc::clone(self);
        self.reactor.spawn(async move {
            let mut result = shared.prewrite(slot).await;
            if result.is_err() {
                result = shared.make_sparse(slot).and(result);
            }
            shared.writer.borrow_mut().prepared(slot, result.is_ok());
            if shared.closed.get() {
                return;
            }
            match result {
                Ok(()) => shared.start_prewriting(),
                // The log goes on in sparse files: on a disk this tight zeros would take the room of segments.
                Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    shared.prewrite.set(false);
                }
                Err(error) => shared.writer.borrow_mut().fail(error.kind()),
            }
            // It may be the file that a push waits for.
            shared.after_write(true);
        });
    }

    /// Gives the room of a dead file back.
    fn make_sparse(&self, slot: u32) -> io::Result<()> {
        let file = &self.files[slot as usize];
        let len = file.len()?;
        file.set_len(0)?;
        file.set_len(len)
    }

    /// Fills a file with zeros, so that later writes neither allocate nor convert extents.
    async fn prewrite(&self, slot: u32) -> io::Result<()> {
        let file = &self.files[slot as usize];
        let len = file.len()?;
        let mut zeros = Staging::alone(PREWRITE_STEP);
        zeros.append(&[0; PREWRITE_STEP]);
        let zeros = zeros.share(0..PREWRITE_STEP);
        let mut position = 0;
        while position < len {
            if self.closed.get() || self.writer.borrow().failure().is_some() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let step = (len - position).min(PREWRITE_STEP as u64) as usize;
            let (written, _) =
                self.reactor.write(file, position, [zeros.slice(..step)].into_iter().collect(), false).await;
            // A short write goes on from a whole block, as O_DIRECT wants it.
            match u64::from(written?) & !(super::format::BLOCK as u64 - 1) {
                0 => return Err(io::ErrorKind::StorageFull.into()),
                written => position += written,
            }
            self.reactor.sleep(PREWRITE_PAUSE).await;
        }
        self.reactor.sync(file).await
    }
}
