//! One try of a socket operation: a system call that does not wait.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags};
use smallvec::SmallVec;

use super::sockets::Direction;
use crate::buffer::BufferPool;
use crate::reactor::{Handle, Op, Parts, tcp};

/// Parts of one send (IOV_MAX).
const PARTS_MAX: usize = 1024;
/// Parts that are described on the stack.
const PARTS_FEW: usize = 32;

/// How a try ended.
#[derive(Debug)]
pub(super) struct Attempt {
    /// What is reported. Nothing while the operation has to go on.
    pub(super) result: Option<io::Result<u32>>,
    pub(super) left: Left,
}

/// What the socket has left, to give or to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Not known: worth another try.
    Something,
    /// Less than asked for was done.
    Little,
    /// It would have had to wait.
    Nothing,
}

impl Attempt {
    fn done(count: usize, left: Left) -> Self {
        Self { result: Some(Ok(count as u32)), left }
    }

    fn failed(error: Errno) -> Self {
        match error {
            Errno::AGAIN | Errno::INPROGRESS => Self { result: None, left: Left::Nothing },
            Errno::INTR => Self { result: None, left: Left::Something },
            error => Self { result: Some(Err(error.into())), left: Left::Something },
        }
    }
}

/// The socket of an operation, and what it does there. A file operation has none.
pub(super) fn socket_of(op: &Op) -> Option<(Handle, Direction)> {
    match op {
        Op::Accept { listener } => Some((*listener, Direction::Read)),
        Op::RecvMany { socket } | Op::Recv { socket, .. } => Some((*socket, Direction::Read)),
        Op::Connect { socket, .. } | Op::Send { socket, .. } | Op::PollWritable { socket } => {
            Some((*socket, Direction::Write))
        }
        Op::Read { .. } | Op::Write { .. } | Op::Sync { .. } | Op::ReadAhead { .. } | Op::Remove { .. } => None,
    }
}

/// One connection of a listener.
pub(super) fn accept(listener: Handle) -> Attempt {
    match rustix::net::accept_with(tcp::borrow(listener), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(socket) => Attempt::done(socket.into_raw_fd() as usize, Left::Something),
        Err(error) => Attempt::failed(error),
    }
}

/// Starts to connect; once `started`, looks what has become of it.
pub(super) fn connect(socket: Handle, peer: SocketAddr, started: bool) -> Attempt {
    let socket = tcp::borrow(socket);
    let connected = match started {
        false => rustix::net::connect(socket, &peer),
        true => rustix::net::sockopt::socket_error(socket).and_then(|error| error),
    };
    match connected {
        Ok(()) => Attempt::done(0, Left::Something),
        Err(error) => Attempt::failed(error),
    }
}

/// Receives into `buffer` from `filled` on and moves `filled`. The bytes counted are those since `start`.
pub(super) fn receive(socket: Handle, buffer: &mut [u8], start: usize, filled: &mut usize, all: bool) -> Attempt {
    let target = &mut buffer[*filled..];
    let room = target.len();
    match rustix::net::recv(tcp::borrow(socket), target, RecvFlags::empty()) {
        Ok((count, _)) => {
            *filled += count;
            let left = if 0 < count && count < room { Left::Little } else { Left::Something };
            match all && left == Left::Little {
                true => Attempt { result: None, left },
                false => Attempt::done(*filled - start, left),
            }
        }
        Err(error) => match Attempt::failed(error) {
            // The bytes that came are told first, the error by the next receive.
            Attempt { result: Some(_), left } if *filled > start => Attempt::done(*filled - start, left),
            attempt => attempt,
        },
    }
}

/// Receives into a buffer of the pool; nothing when all are out.
pub(super) fn receive_pooled(socket: Handle, pool: &mut BufferPool) -> Option<(Attempt, Bytes)> {
    let room = pool.buffer_size();
    let receive = |buffer: &mut [u8]| Ok(rustix::net::recv(tcp::borrow(socket), buffer, RecvFlags::empty())?.1);
    Some(match pool.fill(receive)? {
        Ok(buffer) => {
            let count = buffer.as_ref().len();
            let left = if 0 < count && count < room { Left::Little } else { Left::Something };
            (Attempt::done(count, left), buffer.into_bytes())
        }
        Err(error) => (Attempt::failed(error), Bytes::new()),
    })
}

/// Sends the parts, as many bytes as the socket takes.
pub(super) fn send(socket: Handle, parts: &Parts, more: bool) -> Attempt {
    let socket = tcp::borrow(socket);
    let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
    let (sent, asked) = match parts.as_slice() {
        [part] => (rustix::net::send(socket, part, flags), part.len()),
        parts => {
            let slices: SmallVec<[IoSlice<'_>; PARTS_FEW]> =
                parts.iter().take(PARTS_MAX).map(|part| IoSlice::new(part)).collect();
            let asked = slices.iter().map(|slice| slice.len()).sum();
            (rustix::net::sendmsg(socket, &slices, &mut SendAncillaryBuffer::default(), flags), asked)
        }
    };
    match sent {
        Ok(count) if count < asked => Attempt::done(count, Left::Little),
        Ok(count) => Attempt::done(count, Left::Something),
        Err(error) => Attempt::failed(error),
    }
}
