//! [`UringDriver`]: the [`Driver`] on Linux's io_uring.
//!
//! Invariants:
//! - Everything the kernel may touch is owned by the driver until the kernel has said that it is done: operations in
//!   `in_flight`, buffers in `buffers`. Dropping the driver cancels and waits; what will not end is leaked, never freed.
//! - One `io_uring_enter` per turn, none when nothing is queued and completions are there already. Asleep, it costs
//!   nothing: there is no periodic timer.
#![expect(unsafe_code, reason = "io_uring is driven by addresses; the owners are in this folder")]

mod buffers;
mod error;
mod in_flight;

pub use error::UringError;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use self::buffers::Buffers;
use self::in_flight::InFlight;
use super::machine::Machine;
use super::stats::{IoStats, IoStatsReader};
use super::wake::EventWaker;
use super::{Completion, Disk, Driver, FsDisk, Handle, Instant, IoConfig, Op, Token, Wait, Wake, tcp};
use crate::buffer::BufferPool;

/// Completions of the driver's own entries. No token looks so: slots stay far below `u32::MAX`.
const WAKE: u64 = u64::MAX;
const CANCEL: u64 = u64::MAX - 1;

/// Idle structs of operations that are kept for reuse.
const SPARE_MAX: usize = 512;
/// Enters in one turn at most, to fetch what the kernel holds back.
const ENTERS_PER_TURN_MAX: usize = 8;

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 8;
const ENTER_NO_IOWAIT: u32 = 128;

/// One shard's io_uring. Made and used on the shard's own thread.
pub struct UringDriver {
    ring: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<Buffers>,
    /// By slot.
    in_flight: Vec<Option<Box<InFlight>>>,
    in_flight_count: usize,
    #[expect(clippy::vec_box, reason = "the boxes move between here and `in_flight`")]
    spare: Vec<Box<InFlight>>,
    /// Entries that found the submission queue full.
    backlog: VecDeque<squeue::Entry>,
    /// Receives that found no buffer; submitted again when one came back.
    starved: VecDeque<Token>,
    /// Completions that need no kernel.
    ready: Vec<Completion>,
    reaped: Vec<(u64, i32, u32)>,
    waker: Arc<EventWaker>,
    wake_target: ManuallyDrop<Box<u64>>,
    enter_flags: u32,
    disk: Rc<dyn Disk>,
    machine: Machine,
    stats: IoStats,
    published: IoStatsReader,
}

impl fmt::Debug for UringDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UringDriver")
            .field("in_flight", &self.in_flight_count)
            .field("buffers", &*self.buffers)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl UringDriver {
    /// Sets up the ring of the calling thread.
    pub fn new(config: IoConfig) -> Result<Self, UringError> {
        let failed = |step, source| UringError::from_setup(step, config.entries, source);
        let ring = build(config.entries).map_err(|source| failed("making the ring", source))?;
        let other = |step| move |source| UringError::Other { step, source };
        let waker = EventWaker::new().map_err(other("making an eventfd"))?;
        let ring_waker = Arc::clone(&waker);
        let pool = BufferPool::new(config.buffers, config.buffer_size, Box::new(move || ring_waker.wake()))
            .map_err(other("mapping buffers"))?;
        let buffers = Buffers::new(&ring, pool).map_err(|source| failed("registering buffers", source))?;
        let no_iowait = if ring.params().is_feature_no_iowait() { ENTER_NO_IOWAIT } else { 0 };
        let mut driver = Self {
            ring: ManuallyDrop::new(ring),
            buffers: ManuallyDrop::new(buffers),
            in_flight: Vec::new(),
            in_flight_count: 0,
            spare: Vec::new(),
            backlog: VecDeque::new(),
            starved: VecDeque::new(),
            ready: Vec::new(),
            reaped: Vec::new(),
            waker,
            wake_target: ManuallyDrop::new(Box::new(0)),
            enter_flags: ENTER_GETEVENTS | no_iowait,
            disk: Rc::new(FsDisk),
            machine: Machine::new(),
            stats: IoStats::default(),
            published: IoStatsReader::default(),
        };
        driver.arm_wake();
        Ok(driver)
    }

    /// Follows the driver's counters from outside.
    pub fn stats(&self) -> IoStatsReader {
        self.published.clone()
    }

    fn arm_wake(&mut self) {
        let target: *mut u64 = &raw mut **self.wake_target;
        let entry = opcode::Read::new(Fd(self.waker.raw_fd()), target.cast(), 8).build().user_data(WAKE);
        self.push(entry);
    }

    /// Queues an entry. Every caller passes entries whose memory the driver owns until their completion.
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: `InFlight::entry` describes a box that stays in `in_flight` until the last completion; the wake read
        // targets `wake_target`, freed only after the ring; a cancel has no memory.
        if !self.backlog.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.backlog.push_back(entry);
        }
    }

    /// Moves what found the queue full into it; returns whether there was any.
    fn push_backlog(&mut self) -> bool {
        let before = self.backlog.len();
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `push`, where it came from.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
        before > 0
    }

    /// Gives buffers back to the kernel and lets receives that found none try again.
    fn feed_starved(&mut self) {
        let has_buffers = self.buffers.refill();
        if self.starved.is_empty() {
            return;
        }
        // With none at all, ask the next holder to wake us; if one came back meanwhile, it is there now.
        if !has_buffers && (self.buffers.pool.expect_return() || !self.buffers.refill()) {
            return;
        }
        while let Some(token) = self.starved.pop_front() {
            if let Some(operation) = &mut self.in_flight[token.slot as usize] {
                let entry = operation.entry().user_data(user_data(token));
                self.push(entry);
            }
        }
    }

    /// One `io_uring_enter`: submits, waits for a completion if `wait` says so.
    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let queued = self.ring.submission().len() as u32;
        let (want, left) = match wait {
            Wait::No => (0, None),
            Wait::Forever => (1, None),
            Wait::Until(when) => (1, Some(self.machine.until(when))),
        };
        let timespec = left.map(|left| Timespec::new().sec(left.as_secs()).nsec(left.subsec_nanos()));
        let arguments = match &timespec {
            Some(timespec) => SubmitArgs::new().timespec(timespec),
            None => SubmitArgs::new(),
        };
        self.stats.waits += 1;
        // SAFETY: EXT_ARG goes with a `SubmitArgs`, which is the kernel's `io_uring_getevents_arg`; it and the timespec
        // live until the call returns. The queued entries are sound by `push`.
        let entered =
            unsafe { self.ring.submitter().enter(queued, want, self.enter_flags | ENTER_EXT_ARG, Some(&arguments)) };
        match entered {
            Ok(_) => Ok(()),
            // The time is over; a signal came; the completion queue must be emptied first.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        completions.append(&mut self.ready);
        let mut reaped = std::mem::take(&mut self.reaped);
        reaped.extend(self.ring.completion().map(|entry| (entry.user_data(), entry.result(), entry.flags())));
        self.stats.completions += reaped.len() as u64;
        for (user_data, result, flags) in reaped.drain(..) {
            match user_data {
                WAKE => {
                    self.waker.seen();
                    self.stats.wakes += 1;
                    self.arm_wake();
                }
                CANCEL => {}
                _ => self.complete(token_of(user_data), result, flags, completions),
            }
        }
        self.reaped = reaped;
    }

    fn complete(&mut self, token: Token, result: i32, flags: u32, completions: &mut Vec<Completion>) {
        let place = &mut self.in_flight[token.slot as usize];
        let operation = place.as_mut().expect("a completion belongs to an operation in flight");
        assert_eq!(operation.generation, token.generation, "a completion belongs to the operation of its slot");
        let more = cqueue::more(flags);
        let bytes = match cqueue::buffer_select(flags) {
            Some(id) => self.buffers.take_filled(id, usize::try_from(result).unwrap_or(0)).into_bytes(),
            None => Bytes::new(),
        };
        if result == -libc::ENOBUFS && !more && matches!(operation.op, Op::RecvMany { .. }) {
            self.stats.buffers_exhausted += 1;
            self.buffers.ran_out();
            if !operation.cancelled {
                self.starved.push_back(token);
                return;
            }
        }
        let op = match more {
            true => None,
            false => Some(self.take_op(token)),
        };
        let result = u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        completions.push(Completion { token, result, bytes, more, op });
    }

    /// The kernel is done with an operation.
    fn take_op(&mut self, token: Token) -> Op {
        let mut operation = self.in_flight[token.slot as usize].take().expect("it is in flight");
        self.in_flight_count -= 1;
        // What stays behind in the spare owns nothing.
        let op = std::mem::replace(&mut operation.op, Op::PollWritable { socket: Handle(-1) });
        if self.spare.len() < SPARE_MAX {
            self.spare.push(operation);
        }
        op
    }
}

fn user_data(token: Token) -> u64 {
    u64::from(token.generation) << 32 | u64::from(token.slot)
}

fn token_of(user_data: u64) -> Token {
    Token { slot: user_data as u32, generation: (user_data >> 32) as u32 }
}

fn build(entries: u32) -> io::Result<IoUring> {
    let build = |no_sqarray: bool| {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(entries.saturating_mul(4));
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        builder.dontfork().build(entries)
    };
    // NO_SQARRAY came with Linux 6.6; the rest with 6.1.
    match build(true) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(false),
        result => result,
    }
}

impl Driver for UringDriver {
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
        let mut operation = match self.spare.pop() {
            Some(mut spare) => {
                spare.reuse(token.generation, op);
                spare
            }
            None => Box::new(InFlight::new(token.generation, op)),
        };
        let entry = operation.entry().user_data(user_data(token));
        let before = self.in_flight[slot].replace(operation);
        assert!(before.is_none(), "a slot has one operation at a time");
        self.in_flight_count += 1;
        self.push(entry);
    }

    fn cancel(&mut self, token: Token) {
        let Some(Some(operation)) = self.in_flight.get_mut(token.slot as usize) else { return };
        if operation.generation != token.generation {
            return;
        }
        operation.cancelled = true;
        if let Some(index) = self.starved.iter().position(|starved| *starved == token) {
            // The kernel does not know it at the moment.
            self.starved.remove(index);
            let op = Some(self.take_op(token));
            let result = Err(io::Error::from_raw_os_error(libc::ECANCELED));
            self.ready.push(Completion { token, result, bytes: Bytes::new(), more: false, op });
            return;
        }
        let entry = opcode::AsyncCancel::new(user_data(token)).build();
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(CANCEL));
    }

    fn turn(&mut self, mut wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        let (before, wakes) = (completions.len(), self.stats.wakes);
        self.feed_starved();
        self.push_backlog();
        self.reap(completions);
        if completions.len() > before || self.stats.wakes > wakes {
            wait = Wait::No;
        }
        let mut submit = wait != Wait::No || !self.ring.submission().is_empty();
        for _ in 0..ENTERS_PER_TURN_MAX {
            let queue = self.ring.submission();
            if !submit && !queue.taskrun() && !queue.cq_overflow() {
                break;
            }
            drop(queue);
            self.enter(wait)?;
            wait = Wait::No;
            self.reap(completions);
            // What was queued while reaping can wait for the next turn, what had no room cannot.
            submit = self.push_backlog();
        }
        self.published.publish(self.stats);
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Handle> {
        tcp::listen(address)
    }

    fn local_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        tcp::local_address(socket)
    }

    fn peer_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        tcp::peer_address(socket)
    }

    fn socket(&mut self, peer: SocketAddr) -> io::Result<Handle> {
        tcp::socket(peer)
    }

    fn set_nodelay(&mut self, socket: Handle) -> io::Result<()> {
        tcp::set_nodelay(socket)
    }

    fn sendfile(&mut self, socket: Handle, file: Handle, position: u64, len: usize) -> io::Result<usize> {
        // Sockets are blocking, so that the ring waits for them by itself instead of answering EAGAIN; sendfile looks
        // only at this flag. An operation in flight has noted it when it was submitted and does not see the change.
        tcp::set_nonblocking(socket, true)?;
        let sent = tcp::sendfile(socket, file, position, len);
        tcp::set_nonblocking(socket, false)?;
        sent
    }

    fn shutdown(&mut self, socket: Handle) {
        tcp::shutdown(socket);
    }

    fn close_socket(&mut self, socket: Handle) {
        tcp::close(socket);
    }

    fn end(&mut self) {
        self.drain();
    }
}

impl UringDriver {
    /// Cancels everything and waits for it, up to a few seconds.
    fn drain(&mut self) {
        const ROUNDS: u64 = 100;
        const ROUND_NANOS: u64 = 30_000_000;
        let mut completions = Vec::new();
        for operation in self.in_flight.iter_mut().flatten() {
            operation.cancelled = true;
        }
        while let Some(token) = self.starved.pop_front() {
            drop(self.take_op(token));
        }
        for _ in 0..ROUNDS {
            self.push_backlog();
            if self.in_flight_count > 0 {
                let soon = Instant(self.now().0 + ROUND_NANOS);
                let submitted = self.enter(Wait::No);
                let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
                if submitted.and_then(|()| self.enter(Wait::Until(soon))).is_err() {
                    return;
                }
            }
            self.reap(&mut completions);
            for completion in completions.drain(..) {
                let running = self.in_flight[completion.token.slot as usize].as_ref().map(|operation| &operation.op);
                if let (Some(Op::Accept { .. }), Ok(handle)) = (completion.op.as_ref().or(running), completion.result) {
                    self.close_socket(Handle(handle as i32));
                }
            }
            if self.in_flight_count == 0 {
                return;
            }
        }
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
        self.drain();
        if self.in_flight_count == 0 {
            // SAFETY: each is taken once, here, and not used after. Order: the ring, whose end makes the kernel let go,
            // then the memory it knew. `wake_target` is never freed: its read may have been armed again meanwhile.
            unsafe {
                ManuallyDrop::drop(&mut self.ring);
                ManuallyDrop::drop(&mut self.buffers);
            }
        } else {
            tracing::error!(in_flight = self.in_flight_count, "operations did not end: their memory is left behind");
            std::mem::forget(std::mem::take(&mut self.in_flight));
        }
    }
}
