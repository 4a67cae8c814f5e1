//! Operations that wait for a peer or a device, and what their completion carries.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{File, Handle};

/// Bytes to write or send, in order, without joining them first.
pub type Parts = SmallVec<[Bytes; 4]>;

/// Names a submitted operation: slot and generation, so that a late completion never meets a newer operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// Index of the slot.
    pub slot: u32,
    /// Counts the uses of the slot.
    pub generation: u32,
}

/// One operation with everything it needs until its last completion.
///
/// Sockets are plain handles here: the reactor keeps the socket's owner alive in the same slot.
#[derive(Debug)]
pub enum Op {
    /// Multishot: each completion is a new connection ([`Completion::result`] = its handle).
    Accept {
        /// The listening socket.
        listener: Handle,
    },
    /// Connects a fresh socket.
    Connect {
        /// From `Driver::socket`.
        socket: Handle,
        /// Where to.
        peer: SocketAddr,
    },
    /// Multishot receive into the driver's provided buffers: each completion carries [`Completion::bytes`];
    /// empty bytes with result 0 are the end of the stream. When the buffers are all in use the completion is final
    /// with `ENOBUFS`: submit again once some were dropped.
    RecvMany {
        /// The connection.
        socket: Handle,
    },
    /// Receives into memory of our own, from `filled` on; with `all`, completes only when it is full (MSG_WAITALL),
    /// though the end of the stream or an error still cuts it short.
    Recv {
        /// The connection.
        socket: Handle,
        /// Target; its length is the bound.
        buffer: Vec<u8>,
        /// Bytes of `buffer` that are already there.
        filled: usize,
        /// Wait until all is there.
        all: bool,
    },
    /// Sends the parts in order; completes short when the kernel takes less. At most one per socket at a time.
    Send {
        /// The connection.
        socket: Handle,
        /// What to send.
        parts: Parts,
        /// More follows at once (MSG_MORE).
        more: bool,
    },
    /// Completes when the socket takes bytes again (after a short `sendfile`).
    PollWritable {
        /// The connection.
        socket: Handle,
    },
    /// Reads into `buffer` (all of its length); may complete short.
    Read {
        /// The file.
        file: File,
        /// Byte in the file.
        position: u64,
        /// Target.
        buffer: Vec<u8>,
    },
    /// Writes the parts; with `durable`, completes when they are on stable storage (RWF_DSYNC). May complete short.
    /// On a file opened `direct`, the parts are of aligned memory and of 4,096-byte multiples.
    Write {
        /// The file.
        file: File,
        /// Byte in the file.
        position: u64,
        /// What to write.
        parts: Parts,
        /// RWF_DSYNC.
        durable: bool,
    },
    /// fdatasync.
    Sync {
        /// The file.
        file: File,
    },
    /// Starts read-ahead (POSIX_FADV_WILLNEED).
    ReadAhead {
        /// The file.
        file: File,
        /// First byte.
        position: u64,
        /// Bytes.
        len: u32,
    },
    /// Removes a file (unlinkat).
    Remove {
        /// Where it is.
        path: CString,
    },
}

impl Op {
    /// Whether it waits for a disk. Such an operation runs on when nobody waits for it any more.
    pub(super) fn is_of_disk(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Sync { .. }
            | Self::ReadAhead { .. }
            | Self::Remove { .. } => true,
            Self::Accept { .. }
            | Self::Connect { .. }
            | Self::RecvMany { .. }
            | Self::Recv { .. }
            | Self::Send { .. }
            | Self::PollWritable { .. } => false,
        }
    }
}

/// What one completion of an operation brings.
#[derive(Debug)]
pub struct Completion {
    /// Which operation.
    pub token: Token,
    /// Bytes done, or a new handle for [`Op::Accept`].
    pub result: io::Result<u32>,
    /// The data of [`Op::RecvMany`], in a provided buffer that goes back to the driver when the last clone is dropped.
    pub bytes: Bytes,
    /// More completions of this operation follow.
    pub more: bool,
    /// The operation with its buffer and file, handed back: present exactly when `more` is false.
    pub op: Option<Op>,
}
