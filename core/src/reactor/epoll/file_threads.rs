//! Threads for file operations, which wait for the device.
//!
//! A job takes its buffers along and brings them back; the file, if it is on an open one, stays with the driver until the job
//! is back.
//!
//! Invariants:
//! - At most [`JOBS_MAX`] jobs are out, so neither handing one over nor bringing it back ever waits; the others wait
//!   their turn on the driver's side.
//! - A thread is started only while every other one has a job, and at most [`THREADS_MAX`]: a shard that writes no file
//!   has none. They sleep in between, and end with the driver.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;
use smallvec::SmallVec;

use crate::reactor::wake::EventWaker;
use crate::reactor::{File, Handle, Op, Parts, Token, Wake, fs_disk};

/// More than the reads and syncs that a shard has in flight in the background, so that the commit log finds one free.
const THREADS_MAX: usize = 16;
const JOBS_MAX: usize = 256;
/// Of a thread: it makes one system call after the other.
const STACK_BYTES: usize = 128 << 10;
/// Parts of one write (IOV_MAX).
const PARTS_MAX: usize = 1024;
/// Parts that are described on the stack.
const PARTS_FEW: usize = 32;

/// A file operation without its file, which cannot leave the shard's thread.
#[derive(Debug)]
pub(super) enum Work {
    Read {
        position: u64,
        buffer: Vec<u8>,
    },
    Write {
        position: u64,
        parts: Parts,
        durable: bool,
    },
    Sync,
    ReadAhead {
        position: u64,
        len: u32,
    },
    /// Without an open file.
    Remove {
        path: CString,
    },
}

/// An operation, taken apart if it waits for a disk: the file that it is on, if it is on an open one, and the rest.
pub(super) enum Split {
    Disk(Option<File>, Work),
    Socket(Op),
}

impl From<Op> for Split {
    fn from(op: Op) -> Self {
        match op {
            Op::Read { file, position, buffer } => Self::Disk(Some(file), Work::Read { position, buffer }),
            Op::Write { file, position, parts, durable } => {
                Self::Disk(Some(file), Work::Write { position, parts, durable })
            }
            Op::Sync { file } => Self::Disk(Some(file), Work::Sync),
            Op::ReadAhead { file, position, len } => Self::Disk(Some(file), Work::ReadAhead { position, len }),
            Op::Remove { path } => Self::Disk(None, Work::Remove { path }),
            op => Self::Socket(op),
        }
    }
}

impl Work {
    /// The operation that was taken apart.
    pub(super) fn join(self, file: Option<File>) -> Op {
        match (self, file) {
            (Self::Remove { path }, None) => Op::Remove { path },
            (Self::Read { position, buffer }, Some(file)) => Op::Read { file, position, buffer },
            (Self::Write { position, parts, durable }, Some(file)) => Op::Write { file, position, parts, durable },
            (Self::Sync, Some(file)) => Op::Sync { file },
            (Self::ReadAhead { position, len }, Some(file)) => Op::ReadAhead { file, position, len },
            (work, file) => panic!("not as it was taken apart: {work:?} of {file:?}"),
        }
    }

    fn run(&mut self, file: Option<Handle>) -> io::Result<u32> {
        let count = match (self, file.map(fs_disk::borrow)) {
            (Self::Remove { path }, None) => rustix::fs::unlink(&**path).map(|()| 0)?,
            (Self::Read { position, buffer }, Some(file)) => rustix::io::pread(file, &mut buffer[..], *position)?,
            (Self::Write { position, parts, durable }, Some(file)) => {
                let flags = if *durable { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
                let slices: SmallVec<[IoSlice<'_>; PARTS_FEW]> =
                    parts.iter().take(PARTS_MAX).map(|part| IoSlice::new(part)).collect();
                rustix::io::pwritev2(file, &slices, *position, flags)?
            }
            (Self::Sync, Some(file)) => rustix::fs::fdatasync(file).map(|()| 0)?,
            (Self::ReadAhead { position, len }, Some(file)) => {
                let len = NonZeroU64::new(u64::from(*len));
                rustix::fs::fadvise(file, *position, len, Advice::WillNeed).map(|()| 0)?
            }
            (work, file) => panic!("not as it was taken apart: {work:?} of {file:?}"),
        };
        Ok(count as u32)
    }
}

#[derive(Debug)]
struct Job {
    token: Token,
    file: Option<Handle>,
    work: Work,
}

/// A job that is back.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) token: Token,
    pub(super) result: io::Result<u32>,
    pub(super) work: Work,
}

/// The driver's side.
#[derive(Debug)]
pub(super) struct FileThreads {
    jobs: Sender<Job>,
    done: Receiver<Done>,
    /// What a thread gets at its start.
    of_threads: (Receiver<Job>, Sender<Done>, Arc<EventWaker>),
    threads: usize,
    /// Jobs that are not back.
    out: usize,
    /// What has to wait until one is.
    waiting: VecDeque<Job>,
}

impl FileThreads {
    pub(super) fn new(waker: Arc<EventWaker>) -> Self {
        let (jobs, of_thread) = bounded(JOBS_MAX);
        let (to_driver, done) = bounded(JOBS_MAX);
        Self { jobs, done, of_threads: (of_thread, to_driver, waker), threads: 0, out: 0, waiting: VecDeque::new() }
    }

    /// Starts `work` on `file`, which the caller keeps open until it is back.
    pub(super) fn start(&mut self, token: Token, file: Option<Handle>, work: Work) {
        self.waiting.push_back(Job { token, file, work });
        self.hand_over();
    }

    /// A job that is back, if any.
    pub(super) fn take(&mut self) -> Option<Done> {
        if self.out == 0 {
            return None;
        }
        let done = self.done.try_recv().ok()?;
        self.is_back();
        Some(done)
    }

    /// Waits for a job, at most so long.
    pub(super) fn take_within(&mut self, limit: Duration) -> Option<Done> {
        let done = self.done.recv_timeout(limit).ok()?;
        self.is_back();
        Some(done)
    }

    /// Jobs that are out or wait.
    pub(super) fn count(&self) -> usize {
        self.out + self.waiting.len()
    }

    fn is_back(&mut self) {
        self.out -= 1;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        while self.out < JOBS_MAX {
            let Some(job) = self.waiting.pop_front() else { return };
            self.out += 1;
            if self.out > self.threads && self.threads < THREADS_MAX {
                self.start_thread();
            }
            let handed = self.jobs.try_send(job);
            assert!(handed.is_ok(), "the channel has room for all that may be out, and its receiver is here");
        }
    }

    /// One that cannot be started leaves its job to the others; the first one has to start.
    fn start_thread(&mut self) {
        let (jobs, done, waker) = self.of_threads.clone();
        let builder = thread::Builder::new().name("shard-files".to_owned()).stack_size(STACK_BYTES);
        match builder.spawn(move || work(&jobs, &done, &waker)) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads > 0 => tracing::debug!(%error, "one thread fewer for files"),
            Err(error) => panic!("no thread for file operations can be started: {error}"),
        }
    }
}

/// Until the driver is gone.
fn work(jobs: &Receiver<Job>, done: &Sender<Done>, waker: &EventWaker) {
    for Job { token, file, mut work } in jobs {
        let result = work.run(file);
        if done.send(Done { token, result, work }).is_err() {
            return;
        }
        waker.wake();
    }
}
