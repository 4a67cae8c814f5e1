//! The executor of one shard, on a [`Driver`]: io_uring in production, epoll where that is refused, a seeded simulation
//! in tests.
//!
//! It never knows what bytes mean. Every use of time, randomness, files and sockets in core and server goes through it.
//!
//! Invariants:
//! - An operation owns its buffer and its descriptor from submission until its last completion, whatever happens to
//!   the future that waits for it (the driver owns the [`Op`]; a dropped future only cancels it).
//! - Nothing here is `Send`. Another thread reaches a reactor through a ring of `core::ring` and its doorbell.
//! - One turn: run ready tasks, run what was deferred to the end of the turn, submit everything and reap completions
//!   with one system call. It sleeps only when nothing is ready. A shard looks at its rings between two turns.

mod alarm;
mod disk;
#[cfg(test)]
mod driver_tests;
mod epoll;
mod executor;
mod file_ops;
mod fs_disk;
mod io_driver;
mod machine;
mod op;
mod piece;
mod signal;
pub mod sim;
mod slots;
mod socket;
mod stats;
mod task;
mod tcp;
mod timer;
mod uring;
mod wake;
mod workers;

pub use alarm::Alarm;
pub use disk::{DirEntry, Disk, File, Handle, OpenMode, put_file, read_file, remove_file_if_there, replace_file};
pub use epoll::EpollDriver;
pub use executor::{Reactor, Sleep};
pub use fs_disk::FsDisk;
pub use io_driver::{IoConfig, IoDriver, IoDriverError};
pub use op::{Completion, Op, Parts, Token};
pub use piece::{FileLease, FileRange, LeasedFiles, Piece, Pieces};
pub use signal::Signal;
pub use socket::{Listener, Socket, SocketHandle};
pub use stats::{IoStats, IoStatsReader};
pub use uring::{UringDriver, UringError};
pub use workers::{Workers, WorkersBusy};

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// Monotonic time: nanoseconds since an origin that the driver chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

/// How long a turn may wait for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Submit and reap only.
    No,
    /// Sleep until a completion, a ring of the doorbell or this instant.
    Until(Instant),
    /// Sleep until a completion or a ring of the doorbell.
    Forever,
}

/// Wakes a sleeping driver from another thread. Cheap to clone; safe to call at any time, also after the driver is gone.
pub trait Wake: Send + Sync {
    /// Makes the current or the next sleep of the driver end.
    fn wake(&self);
}

/// What a shard needs of the machine. Calls are from the shard's own thread.
pub trait Driver {
    /// Monotonic time, read once per turn by the executor.
    fn now(&self) -> Instant;
    /// Milliseconds since 1970 UTC.
    fn wall_clock_ms(&self) -> i64;
    /// Random bits: from the system, or from the seed.
    fn random_u64(&mut self) -> u64;
    /// The file system.
    fn disk(&self) -> Rc<dyn Disk>;

    /// Starts an operation. The driver owns `op`, with its buffer and file, until it hands it back in the last
    /// completion ([`Completion::op`]). A full submission queue is the driver's business (it submits and goes on).
    fn submit(&mut self, token: Token, op: Op);
    /// Asks for an early end. The operation still completes, with `ECANCELED` or with its result.
    fn cancel(&mut self, token: Token);
    /// Submits what is queued, waits at most `wait`, and appends what has completed.
    /// An error here means that the driver itself is broken: the shard stops.
    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()>;
    /// A handle that ends this driver's sleep, for the doorbell.
    fn waker(&self) -> std::sync::Arc<dyn Wake>;

    /// A listening TCP socket (no SO_REUSEPORT; SO_REUSEADDR set). Blocking, at start only.
    fn listen(&mut self, address: SocketAddr) -> io::Result<Handle>;
    /// The address a socket is bound to.
    fn local_address(&self, socket: Handle) -> io::Result<SocketAddr>;
    /// The address of the other end.
    fn peer_address(&self, socket: Handle) -> io::Result<SocketAddr>;
    /// A new TCP socket of the family of `peer`, to be connected by [`Op::Connect`].
    fn socket(&mut self, peer: SocketAddr) -> io::Result<Handle>;
    /// Turns Nagle's algorithm off, as every Kafka peer does.
    fn set_nodelay(&mut self, socket: Handle) -> io::Result<()>;
    /// Non-blocking `sendfile(2)`: page cache to socket, returns the bytes sent. `WouldBlock`: poll with [`Op::PollWritable`].
    fn sendfile(&mut self, socket: Handle, file: Handle, position: u64, len: usize) -> io::Result<usize>;
    /// Ends both directions, so that the peer sees the end and operations in flight complete.
    fn shutdown(&mut self, socket: Handle);
    /// Closes a socket.
    fn close_socket(&mut self, socket: Handle);
    /// The socket goes to another driver of this kind: nothing is in flight on it, and this one forgets it.
    fn release_socket(&mut self, socket: Handle) {
        let _ = socket;
    }
    /// The reactor ends: the last call but for `close_socket`. Nothing may use a descriptor afterwards, so what is
    /// queued or in flight is cancelled and waited for; its completions are not reported.
    fn end(&mut self) {}
}
