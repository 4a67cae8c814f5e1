//! One operation as the kernel sees it: the [`Op`] and the structs beside it that the kernel reads.
#![expect(unsafe_code, reason = "operations are described to the kernel by address")]

use std::ptr;

use io_uring::{opcode, squeue, types::Fd, types::FsyncFlags};
use socket2::SockAddr;

use super::buffers::GROUP;
use crate::reactor::{Op, Parts};

/// Buffers of one vectored call (IOV_MAX).
const PARTS_MAX: usize = 1024;

/// Boxed by the driver, so that its address stays while the operation is in flight.
pub(super) struct InFlight {
    pub(super) generation: u32,
    pub(super) op: Op,
    pub(super) cancelled: bool,
    iovecs: Vec<libc::iovec>,
    message: libc::msghdr,
    address: Option<SockAddr>,
}

impl InFlight {
    pub(super) fn new(generation: u32, op: Op) -> Self {
        // SAFETY: msghdr is a C struct of integers and pointers, for which zero is a valid value.
        let message = unsafe { std::mem::zeroed() };
        Self { generation, op, cancelled: false, iovecs: Vec::new(), message, address: None }
    }

    /// Makes it another operation, keeping allocations.
    pub(super) fn reuse(&mut self, generation: u32, op: Op) {
        self.generation = generation;
        self.op = op;
        self.cancelled = false;
    }

    /// The entry for the submission queue. Every address in it is of memory that this boxed value owns (buffers behind
    /// `Bytes` and `Vec` do not move), so it may be pushed as long as the box lives until the last completion.
    pub(super) fn entry(&mut self) -> squeue::Entry {
        match &mut self.op {
            Op::Accept { listener } => opcode::AcceptMulti::new(Fd(listener.0)).flags(libc::SOCK_CLOEXEC).build(),
            Op::Connect { socket, peer } => {
                let address = self.address.insert(SockAddr::from(*peer));
                opcode::Connect::new(Fd(socket.0), address.as_ptr().cast(), address.len()).build()
            }
            Op::RecvMany { socket } => opcode::RecvMulti::new(Fd(socket.0), GROUP).build(),
            Op::Recv { socket, buffer, filled, all } => {
                let target = &mut buffer[*filled..];
                let len = u32::try_from(target.len()).unwrap_or(u32::MAX);
                let flags = if *all { libc::MSG_WAITALL } else { 0 };
                opcode::Recv::new(Fd(socket.0), target.as_mut_ptr(), len).flags(flags).build()
            }
            Op::Send { socket, parts, more } => {
                // WAITALL: the kernel goes on after a short send instead of us.
                let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | if *more { libc::MSG_MORE } else { 0 };
                let fd = Fd(socket.0);
                if let [part] = parts.as_slice() {
                    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
                    return opcode::Send::new(fd, part.as_ptr(), len).flags(flags).build();
                }
                describe(&mut self.iovecs, parts);
                self.message.msg_iov = self.iovecs.as_mut_ptr();
                self.message.msg_iovlen = self.iovecs.len();
                opcode::SendMsg::new(fd, &raw const self.message).flags(flags as u32).build()
            }
            Op::PollWritable { socket } => opcode::PollAdd::new(Fd(socket.0), libc::POLLOUT as u32).build(),
            Op::Read { file, position, buffer } => {
                let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
                opcode::Read::new(Fd(file.handle().0), buffer.as_mut_ptr(), len).offset(*position).build()
            }
            Op::Write { file, position, parts, durable } => {
                let (fd, flags) = (Fd(file.handle().0), if *durable { libc::RWF_DSYNC } else { 0 });
                if let [part] = parts.as_slice() {
                    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
                    return opcode::Write::new(fd, part.as_ptr(), len).offset(*position).rw_flags(flags).build();
                }
                describe(&mut self.iovecs, parts);
                let count = self.iovecs.len() as u32;
                opcode::Writev::new(fd, self.iovecs.as_ptr(), count).offset(*position).rw_flags(flags).build()
            }
            Op::Sync { file } => opcode::Fsync::new(Fd(file.handle().0)).flags(FsyncFlags::DATASYNC).build(),
            Op::ReadAhead { file, position, len } => {
                let (fd, len) = (Fd(file.handle().0), libc::off_t::from(*len));
                opcode::Fadvise::new(fd, len, libc::POSIX_FADV_WILLNEED).offset(*position).build()
            }
            Op::Remove { path } => opcode::UnlinkAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).build(),
        }
    }
}

fn describe(iovecs: &mut Vec<libc::iovec>, parts: &Parts) {
    iovecs.clear();
    iovecs.extend(parts.iter().take(PARTS_MAX).map(|part| libc::iovec {
        // The kernel only reads through it.
        iov_base: ptr::from_ref(part.as_ref()).cast_mut().cast(),
        iov_len: part.len(),
    }));
}
