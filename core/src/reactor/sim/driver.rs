//! The simulated driver of one shard.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::clock::Clockwork;
use super::disk::SimDisk;
use super::world::{Event, Inner, SimConfig, TURN_NS};
use crate::reactor::{Completion, Disk, Driver, Handle, Instant, Op, Token, Wait, Wake};

/// In how many of 1,000 turns a driver reports only a part of what is done.
const PARTIAL_REAP_PER_MILLE: u32 = 100;

/// The doorbell of a simulated shard.
#[derive(Debug, Default)]
pub(super) struct SimWaker(AtomicBool);

impl SimWaker {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for SimWaker {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file operation in flight.
pub(super) struct FileOperation {
    disk: Rc<SimDisk>,
    op: Op,
    /// What a sync covers: fixed when it starts.
    mark: io::Result<u64>,
}

impl FileOperation {
    fn start(disk: &Rc<SimDisk>, op: Op) -> Self {
        let mark = match &op {
            Op::Sync { file } => disk.sync_mark(file.handle()),
            Op::Write { file, position, parts, .. } => {
                disk.begin_write(file.handle(), *position, parts.iter().map(|part| part.len() as u64).sum());
                Ok(0)
            }
            _ => Ok(0),
        };
        Self { disk: Rc::clone(disk), op, mark }
    }

    /// Shortest and longest, in nanoseconds.
    fn latency_ns(&self, config: &SimConfig) -> (u64, u64) {
        match self.op {
            Op::Sync { .. } | Op::Write { durable: true, .. } => config.sync_latency_ns,
            Op::Write { .. } => config.write_latency_ns,
            _ => config.read_latency_ns,
        }
    }

    pub(super) fn finish(mut self, token: Token) -> Completion {
        let result = match &mut self.op {
            Op::Read { file, position, buffer } => self.disk.read_at(file.handle(), *position, buffer),
            Op::Write { file, position, parts, durable } => {
                let slices: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
                self.disk.end_write(file.handle(), *position);
                self.disk.write_parts(file.handle(), *position, &slices, *durable)
            }
            Op::Sync { file } => self.mark.and_then(|mark| self.disk.sync_until(file.handle(), mark)).map(|()| 0),
            Op::ReadAhead { file, position, len } => {
                self.disk.read_ahead(file.handle(), *position, u64::from(*len)).map(|()| 0)
            }
            Op::Remove { path } => self.disk.remove_file(Path::new(OsStr::from_bytes(path.as_bytes()))).map(|()| 0),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        let result = result.map(|count| count as u32);
        Completion { token, result, bytes: Bytes::new(), more: false, op: Some(self.op) }
    }

    /// The process or the machine ended before the completion: it has happened, wholly or without being durable, or not.
    pub(super) fn crash(mut self, clock: &Clockwork) {
        if let Op::Write { durable, .. } = &mut self.op {
            *durable &= clock.chance(300);
        }
        if clock.chance(500) {
            drop(self.finish(Token { slot: u32::MAX, generation: 0 }));
        }
    }
}

/// A driver's state that the world sees.
pub(super) struct ShardState {
    pub(super) host: u32,
    shard: u32,
    pub(super) dead: bool,
    pub(super) files: BTreeMap<Token, FileOperation>,
    pub(super) done: VecDeque<Completion>,
    pub(super) waker: Arc<SimWaker>,
    /// How its turn in this round wanted to sleep; nothing when it had none.
    pub(super) idle: Option<Wait>,
}

impl ShardState {
    pub(super) fn new(host: u32, shard: u32) -> Self {
        Self {
            host,
            shard,
            dead: false,
            files: BTreeMap::new(),
            done: VecDeque::new(),
            waker: Arc::default(),
            idle: None,
        }
    }

    /// Ends it; hands out the file operations in flight. What it had not yet reaped is lost with it.
    pub(super) fn kill(&mut self) -> Vec<FileOperation> {
        self.dead = true;
        self.idle = None;
        self.done.clear();
        std::mem::take(&mut self.files).into_values().collect()
    }
}

/// The driver of one shard in a [`SimWorld`](super::SimWorld).
pub(super) struct SimDriver {
    inner: Rc<Inner>,
    id: usize,
    host: u32,
    disk: Rc<SimDisk>,
    waker: Arc<SimWaker>,
}

impl SimDriver {
    pub(super) fn new(inner: Rc<Inner>, id: usize, host: u32, disk: Rc<SimDisk>, state: &ShardState) -> Self {
        Self { inner, id, host, disk, waker: Arc::clone(&state.waker) }
    }

    fn is_dead(&self) -> bool {
        self.inner.shards.borrow()[self.id].dead
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    /// Moves what is done to the caller; by chance a part of it.
    fn reap(&self, completions: &mut Vec<Completion>) -> bool {
        let mut shards = self.inner.shards.borrow_mut();
        let done = &mut shards[self.id].done;
        let count = match done.len() {
            count if count > 1 && self.inner.clock.chance(PARTIAL_REAP_PER_MILLE) => {
                self.inner.clock.between(1, count as u64) as usize
            }
            count => count,
        };
        completions.extend(done.drain(..count));
        count > 0
    }

    /// Runs the world's events for this shard alone, until one concerns it or `wait` is over.
    fn sleep(&self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        loop {
            let limit = match wait {
                Wait::No => return Ok(()),
                Wait::Until(when) => Some(when.0),
                Wait::Forever => None,
            };
            let next = match (self.inner.next_event(), limit) {
                (Some(event), Some(limit)) => event.min(limit),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => {
                    let shard = self.inner.shards.borrow()[self.id].shard;
                    let message =
                        format!("host {} shard {shard} sleeps for ever (seed {})", self.host, self.inner.clock.seed());
                    return Err(io::Error::other(message));
                }
            };
            self.inner.clock.advance_to(Instant(next));
            self.inner.pump();
            if self.reap(completions) || self.waker.is_set() || limit.is_some_and(|limit| limit <= next) {
                return Ok(());
            }
        }
    }
}

impl Driver for SimDriver {
    fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.inner.wall_clock_ms(self.host)
    }

    fn random_u64(&mut self) -> u64 {
        self.inner.clock.next_u64()
    }

    fn disk(&self) -> Rc<dyn Disk> {
        Rc::clone(&self.disk) as Rc<dyn Disk>
    }

    fn submit(&mut self, token: Token, op: Op) {
        if self.is_dead() {
            return;
        }
        if !op.is_of_disk() {
            self.inner.net.borrow_mut().submit(self.id, token, op);
            return self.inner.collect_net();
        }
        let operation = FileOperation::start(&self.disk, op);
        let (low, high) = operation.latency_ns(&self.inner.config.borrow());
        let at = self.inner.clock.now().0 + self.inner.clock.between(low, high);
        let before = self.inner.shards.borrow_mut()[self.id].files.insert(token, operation);
        assert!(before.is_none(), "a token is used once at a time (seed {})", self.inner.clock.seed());
        self.inner.schedule(at, Event::File { driver: self.id, token });
    }

    /// A file operation runs on: the device cannot be stopped.
    fn cancel(&mut self, token: Token) {
        if !self.is_dead() {
            self.inner.net.borrow_mut().cancel(self.id, token);
            self.inner.collect_net();
        }
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        if self.is_dead() {
            // Whoever would sleep here would sleep for ever.
            return if wait == Wait::No { Ok(()) } else { Err(io::Error::other("its host has crashed")) };
        }
        self.inner.clock.advance_to(Instant(self.inner.clock.now().0 + TURN_NS));
        self.inner.pump();
        let reaped = self.reap(completions);
        let woken = self.waker.0.swap(false, Ordering::Relaxed);
        let due = matches!(wait, Wait::Until(when) if when <= self.inner.clock.now());
        let wait = if reaped || woken || due { Wait::No } else { wait };
        self.inner.shards.borrow_mut()[self.id].idle = Some(wait);
        if self.inner.stepping.get() {
            return Ok(());
        }
        let slept = self.sleep(wait, completions);
        self.waker.0.store(false, Ordering::Relaxed);
        slept
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Handle> {
        self.alive()?;
        self.inner.net.borrow_mut().listen(self.host, address)
    }

    fn local_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        self.inner.net.borrow().local_address(socket)
    }

    fn peer_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        self.inner.net.borrow().peer_address(socket)
    }

    fn socket(&mut self, _peer: SocketAddr) -> io::Result<Handle> {
        self.alive()?;
        Ok(self.inner.net.borrow_mut().socket(self.host))
    }

    fn set_nodelay(&mut self, socket: Handle) -> io::Result<()> {
        self.local_address(socket).map(|_| ())
    }

    fn sendfile(&mut self, socket: Handle, file: Handle, position: u64, len: usize) -> io::Result<usize> {
        self.alive()?;
        let room = self.inner.net.borrow_mut().room(socket)?;
        let mut bytes = vec![0; len.min(room)];
        let count = self.disk.read_at(file, position, &mut bytes)?;
        let sent = if count == 0 { 0 } else { self.inner.net.borrow_mut().push(socket, &bytes[..count]) };
        self.inner.collect_net();
        Ok(sent)
    }

    fn shutdown(&mut self, socket: Handle) {
        if !self.is_dead() {
            self.inner.net.borrow_mut().shutdown(socket);
            self.inner.collect_net();
        }
    }

    fn close_socket(&mut self, socket: Handle) {
        if !self.is_dead() {
            self.inner.net.borrow_mut().close(socket);
            self.inner.collect_net();
        }
    }
}
