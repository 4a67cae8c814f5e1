//! [`EpollDriver`]: the [`Driver`] on epoll and plain system calls, for machines and containers that refuse io_uring.
//!
//! A socket operation is tried when it is submitted, and again when its socket is ready; a file operation goes to a
//! thread, see [`file_threads`]. Otherwise it does what the ring does, so nothing above it can tell the two apart.
//!
//! Invariants:
//! - The driver owns an operation until it reports the last completion: in `in_flight`, or with its job at a thread.
//! - At most one `epoll_wait` per turn, and one in two turns at least. Asleep, it costs nothing: there is no periodic
//!   timer, and nothing is ready that nobody waits for, since each change is reported once.
//! - Every socket is non-blocking, and in one state that [`sockets`] knows.

mod attempt;
mod file_threads;
mod poller;
mod sockets;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::attempt::{Attempt, Left, socket_of};
use self::file_threads::{FileThreads, Split};
use self::poller::{Poller, Woken};
use self::sockets::{Direction, Sockets};
use super::machine::Machine;
use super::stats::{IoStats, IoStatsReader};
use super::wake::EventWaker;
use super::{Completion, Disk, Driver, File, FsDisk, Handle, Instant, IoConfig, Op, Token, Wait, Wake, tcp};
use crate::buffer::BufferPool;

/// The end of a driver waits so long for file operations.
const END_MAX: Duration = Duration::from_secs(3);

/// One operation.
enum Stage {
    /// `progress` is where a receive began, or whether a connect or a poll has begun.
    Socket { op: Op, progress: Option<usize> },
    /// The rest of it is at a thread: all but the file that it is on, if it is on an open one.
    Disk(Option<File>),
}

struct InFlight {
    generation: u32,
    stage: Stage,
}

/// One shard's epoll. Made and used on the shard's own thread.
pub struct EpollDriver {
    poller: Poller,
    sockets: Sockets,
    file_threads: FileThreads,
    pool: BufferPool,
    /// By slot.
    in_flight: Vec<Option<InFlight>>,
    /// Socket operations to be tried. Some may have ended meanwhile.
    to_try: VecDeque<Token>,
    /// Receives that found no buffer; tried again when one came back.
    starved: VecDeque<Token>,
    /// Completions of what was cancelled.
    ready: Vec<Completion>,
    /// The last turn had so much to tell that it did not look at the sockets.
    has_skipped: bool,
    woken: Woken,
    waker: Arc<EventWaker>,
    disk: Rc<dyn Disk>,
    machine: Machine,
    stats: IoStats,
    published: IoStatsReader,
}

impl fmt::Debug for EpollDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollDriver")
            .field("in_flight", &self.in_flight.iter().flatten().count())
            .field("pool", &self.pool)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl EpollDriver {
    /// Sets up the epoll of the calling thread.
    pub fn new(config: IoConfig) -> io::Result<Self> {
        let waker = EventWaker::new()?;
        let of_pool = Arc::clone(&waker);
        Ok(Self {
            poller: Poller::new(Arc::clone(&waker), config.entries as usize)?,
            sockets: Sockets::default(),
            file_threads: FileThreads::new(Arc::clone(&waker)),
            pool: BufferPool::new(config.buffers, config.buffer_size, Box::new(move || of_pool.wake()))?,
            in_flight: Vec::new(),
            to_try: VecDeque::new(),
            starved: VecDeque::new(),
            ready: Vec::new(),
            has_skipped: false,
            woken: Woken::default(),
            waker,
            disk: Rc::new(FsDisk),
            machine: Machine::new(),
            stats: IoStats::default(),
            published: IoStatsReader::default(),
        })
    }

    /// Follows the driver's counters from outside.
    pub fn stats(&self) -> IoStatsReader {
        self.published.clone()
    }

    /// The socket operation of a token; nothing if it has ended.
    fn operation(&mut self, token: Token) -> Option<(&mut Op, &mut Option<usize>)> {
        match self.in_flight.get_mut(token.slot as usize)? {
            Some(InFlight { generation, stage: Stage::Socket { op, progress } }) if *generation == token.generation => {
                Some((op, progress))
            }
            _ => None,
        }
    }

    /// Waits for sockets, the doorbell and the timer, and goes on with whom they are about.
    fn poll(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        let mut woken = std::mem::take(&mut self.woken);
        self.stats.waits += 1;
        self.poller.wait(wait, &self.machine, &mut woken)?;
        for (socket, flags) in woken.sockets.drain(..) {
            self.to_try.extend(self.sockets.ready(socket, flags));
        }
        if std::mem::take(&mut woken.by_thread) {
            self.stats.wakes += 1;
            self.collect_files(completions);
        }
        self.woken = woken;
        self.try_all(completions);
        Ok(())
    }

    /// Tries what was queued up to now.
    fn try_all(&mut self, completions: &mut Vec<Completion>) {
        for _ in 0..self.to_try.len() {
            let Some(token) = self.to_try.pop_front() else { return };
            self.try_once(token, completions);
        }
    }

    fn try_once(&mut self, token: Token, completions: &mut Vec<Completion>) {
        let Some((op, progress)) = self.operation(token) else { return };
        let (mut bytes, mut more) = (Bytes::new(), false);
        let attempt = match op {
            Op::Accept { listener } => {
                let attempt = attempt::accept(*listener);
                more = matches!(attempt.result, Some(Ok(_)));
                attempt
            }
            Op::Connect { socket, peer } => {
                let started = progress.replace(0).is_some();
                attempt::connect(*socket, *peer, started)
            }
            Op::Recv { socket, buffer, filled, all } => {
                let start = *progress.get_or_insert(*filled);
                attempt::receive(*socket, buffer, start, filled, *all)
            }
            Op::Send { socket, parts, more } => attempt::send(*socket, parts, *more),
            Op::PollWritable { socket } => {
                let socket = *socket;
                if progress.replace(0).is_none() {
                    return self.await_writable(socket, token, completions);
                }
                Attempt { result: Some(Ok(0)), left: Left::Something }
            }
            Op::RecvMany { socket } => {
                let socket = *socket;
                let Some((attempt, received)) = attempt::receive_pooled(socket, &mut self.pool) else {
                    self.stats.buffers_exhausted += 1;
                    return self.starved.push_back(token);
                };
                (more, bytes) = (!received.is_empty(), received);
                attempt
            }
            Op::Read { .. } | Op::Write { .. } | Op::Sync { .. } | Op::ReadAhead { .. } | Op::Remove { .. } => return,
        };
        self.note(token, attempt, bytes, more, completions);
    }

    /// Reports what a try brought, and sees to the next one.
    fn note(&mut self, token: Token, attempt: Attempt, bytes: Bytes, more: bool, completions: &mut Vec<Completion>) {
        let Some((op, _)) = self.operation(token) else { return };
        let Some((socket, direction)) = socket_of(op) else { return };
        let exhausted = match attempt.left {
            Left::Something => false,
            Left::Little => direction == Direction::Write || self.sockets.short_is_all(socket),
            Left::Nothing => true,
        };
        if exhausted
            && self.sockets.exhausted(socket, direction)
            && let Err(error) = self.poller.add(socket)
        {
            return self.complete(token, Err(error), completions);
        }
        let goes_on = match attempt.result {
            Some(result) if !more => {
                self.complete(token, result, completions);
                false
            }
            Some(result) => {
                completions.push(Completion { token, result, bytes, more, op: None });
                true
            }
            None => true,
        };
        match goes_on {
            true if exhausted => self.sockets.wait(socket, direction, token),
            true => self.to_try.push_back(token),
            false => {}
        }
    }

    /// The socket may take bytes already, which no edge would tell: it is asked for.
    fn await_writable(&mut self, socket: Handle, token: Token, completions: &mut Vec<Completion>) {
        let asked = match self.sockets.exhausted(socket, Direction::Write) {
            true => self.poller.add(socket),
            false => self.poller.ask_again(socket),
        };
        match asked {
            Ok(()) => self.sockets.wait(socket, Direction::Write, token),
            Err(error) => self.complete(token, Err(error), completions),
        }
    }

    /// The last completion of a socket operation.
    fn complete(&mut self, token: Token, result: io::Result<u32>, completions: &mut Vec<Completion>) {
        let place = self.in_flight[token.slot as usize].take();
        let Some(InFlight { stage: Stage::Socket { op, .. }, .. }) = place else {
            panic!("a socket operation was tried")
        };
        completions.push(Completion { token, result, bytes: Bytes::new(), more: false, op: Some(op) });
    }

    fn collect_files(&mut self, completions: &mut Vec<Completion>) {
        while let Some(done) = self.file_threads.take() {
            completions.push(self.file_done(done));
        }
    }

    fn file_done(&mut self, done: file_threads::Done) -> Completion {
        let file_threads::Done { token, result, work } = done;
        let place = self.in_flight[token.slot as usize].take();
        let Some(InFlight { generation, stage: Stage::Disk(file) }) = place else {
            panic!("a job belongs to a file operation in flight")
        };
        assert_eq!(generation, token.generation, "a job belongs to the operation of its slot");
        Completion { token, result, bytes: Bytes::new(), more: false, op: Some(work.join(file)) }
    }

    /// Lets receives that found no buffer try again when there is one.
    fn feed_starved(&mut self) {
        self.pool.collect();
        if self.starved.is_empty() {
            return;
        }
        // With none at all, ask the next holder to wake us; if one came back meanwhile, it is there now.
        if self.pool.free_count() > 0 || (!self.pool.expect_return() && self.pool.collect()) {
            self.to_try.append(&mut self.starved);
        }
    }
}

impl Driver for EpollDriver {
    fn now(&self) -> Instant {
        self.machine.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.machine.wall_clock_ms()
    }

    fn random_u64(&mut self) -> u64 {
        self.machine.random_u64()
    }

    fn disk(&self) -> Rc<dyn Disk> {
        Rc::clone(&self.disk)
    }

    fn submit(&mut self, token: Token, op: Op) {
        let slot = token.slot as usize;
        if slot >= self.in_flight.len() {
            self.in_flight.resize_with(slot + 1, || None);
        }
        let stage = match Split::from(op) {
            Split::Disk(file, work) => {
                self.file_threads.start(token, file.as_ref().map(File::handle), work);
                Stage::Disk(file)
            }
            Split::Socket(op) => {
                match socket_of(&op) {
                    Some((socket, direction))
                        if self.sockets.blocks(socket, direction) && !matches!(op, Op::PollWritable { .. }) =>
                    {
                        self.sockets.wait(socket, direction, token);
                    }
                    _ => self.to_try.push_back(token),
                }
                Stage::Socket { op, progress: None }
            }
        };
        let before = self.in_flight[slot].replace(InFlight { generation: token.generation, stage });
        assert!(before.is_none(), "a slot has one operation at a time");
    }

    /// A file operation runs on.
    fn cancel(&mut self, token: Token) {
        let Some((op, progress)) = self.operation(token) else { return };
        let received = match (&*op, *progress) {
            (Op::Recv { filled, .. }, Some(start)) if *filled > start => Some((*filled - start) as u32),
            _ => None,
        };
        if let Some((socket, direction)) = socket_of(op) {
            self.sockets.forget(socket, direction, token);
        }
        self.starved.retain(|starved| *starved != token);
        let mut ready = std::mem::take(&mut self.ready);
        let result = received.ok_or_else(|| io::Error::from_raw_os_error(libc::ECANCELED));
        self.complete(token, result, &mut ready);
        self.ready = ready;
    }

    fn turn(&mut self, mut wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        let before = completions.len();
        completions.append(&mut self.ready);
        self.feed_starved();
        self.try_all(completions);
        self.collect_files(completions);
        if completions.len() > before || !self.to_try.is_empty() {
            wait = Wait::No;
        }
        // What was sent is told without a look at the sockets, which saves a lone request a call; never twice in a row.
        self.has_skipped = completions.len() > before && !self.has_skipped;
        if !self.has_skipped {
            self.poll(wait, completions)?;
        }
        self.stats.completions += (completions.len() - before) as u64;
        self.published.publish(self.stats);
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Handle> {
        nonblocking(tcp::listen(address)?)
    }

    fn local_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        tcp::local_address(socket)
    }

    fn peer_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        tcp::peer_address(socket)
    }

    fn socket(&mut self, peer: SocketAddr) -> io::Result<Handle> {
        nonblocking(tcp::socket(peer)?)
    }

    fn set_nodelay(&mut self, socket: Handle) -> io::Result<()> {
        tcp::set_nodelay(socket)
    }

    fn sendfile(&mut self, socket: Handle, file: Handle, position: u64, len: usize) -> io::Result<usize> {
        tcp::sendfile(socket, file, position, len)
    }

    fn shutdown(&mut self, socket: Handle) {
        tcp::shutdown(socket);
    }

    fn close_socket(&mut self, socket: Handle) {
        // Closing ends the watch, too.
        self.sockets.remove(socket);
        tcp::close(socket);
    }

    fn release_socket(&mut self, socket: Handle) {
        if self.sockets.remove(socket) {
            self.poller.remove(socket);
        }
    }

    fn end(&mut self) {
        self.sockets.forget_all();
        self.ready.clear();
        for place in &mut self.in_flight {
            if matches!(place, Some(InFlight { stage: Stage::Socket { .. }, .. })) {
                *place = None;
            }
        }
        let limit = Instant(self.now().0 + END_MAX.as_nanos() as u64);
        while self.file_threads.count() > 0 {
            match self.file_threads.take_within(self.machine.until(limit)) {
                Some(done) => drop(self.file_done(done)),
                None => return self.leave_files(),
            }
        }
    }
}

fn nonblocking(socket: Handle) -> io::Result<Handle> {
    tcp::set_nonblocking(socket, true).inspect_err(|_| tcp::close(socket))?;
    Ok(socket)
}

impl EpollDriver {
    /// A thread still uses these files: their descriptors must not meet another owner.
    fn leave_files(&mut self) {
        tracing::error!(count = self.file_threads.count(), "file operations did not end: their files are left open");
        std::mem::forget(std::mem::take(&mut self.in_flight));
    }
}

impl Drop for EpollDriver {
    fn drop(&mut self) {
        self.end();
    }
}
