//! What a response is made of: bytes in memory, or a range of a file that goes to the socket by `sendfile(2)`.
//!
//! Both are `Send`: a shard that reads for another one's connection hands the range over, not the file. The shard that
//! opened the file keeps it open while a [`FileLease`] of it is out.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Disk, File, Handle};

/// Pieces in order.
pub type Pieces = SmallVec<[Piece; 4]>;

/// One piece.
#[derive(Debug, Clone)]
pub enum Piece {
    /// In memory.
    Bytes(Bytes),
    /// In the page cache.
    File(FileRange),
}

impl Piece {
    /// The bytes of one in memory.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }

    /// How many bytes it stands for.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.len,
        }
    }

    /// All of them as bytes in memory. Blocks for what has left the page cache since it was read.
    pub fn gather(pieces: &[Self], disk: &dyn Disk) -> io::Result<Vec<u8>> {
        let mut gathered = Vec::with_capacity(pieces.iter().map(Self::size_bytes).sum());
        for piece in pieces {
            match piece {
                Self::Bytes(bytes) => gathered.extend_from_slice(bytes),
                Self::File(FileRange { lease, position, len }) => {
                    let (start, end) = (gathered.len(), gathered.len() + len);
                    gathered.resize(end, 0);
                    let mut filled = start;
                    while filled < end {
                        let at = position + (filled - start) as u64;
                        match disk.read_at(lease.handle(), at, &mut gathered[filled..])? {
                            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                            count => filled += count,
                        }
                    }
                }
            }
        }
        Ok(gathered)
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Bytes of a file that do not change any more.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// Which file.
    pub lease: FileLease,
    /// The first byte.
    pub position: u64,
    /// How many.
    pub len: usize,
}

/// The right to use a descriptor, on any thread. Clones are the same right.
#[derive(Clone)]
pub struct FileLease(Arc<Handle>);

impl FileLease {
    pub(super) fn handle(&self) -> Handle {
        *self.0
    }
}

impl fmt::Debug for FileLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileLease").field(&self.0.0).finish()
    }
}

/// The files that are out on lease, on the thread that opened them: each stays open until its last lease is back.
#[derive(Debug, Default)]
pub struct LeasedFiles(Vec<(FileLease, File)>);

impl LeasedFiles {
    /// `len` bytes of `file` from `position` on, to be handed out.
    pub fn range(&mut self, file: &File, position: u64, len: usize) -> FileRange {
        FileRange { lease: self.lease(file), position, len }
    }

    fn lease(&mut self, file: &File) -> FileLease {
        self.sweep();
        if let Some((lease, _)) = self.0.iter().find(|(_, leased)| leased.handle() == file.handle()) {
            return lease.clone();
        }
        let lease = FileLease(Arc::new(file.handle()));
        self.0.push((lease.clone(), file.clone()));
        lease
    }

    /// Lets go of files whose leases are all back.
    fn sweep(&mut self) {
        self.0.retain(|(lease, _)| Arc::strong_count(&lease.0) > 1);
    }
}

impl Drop for LeasedFiles {
    fn drop(&mut self) {
        self.sweep();
        // Another shard may still send from these: their descriptors stay open until the process ends.
        self.0.drain(..).for_each(|(_, file)| std::mem::forget(file));
    }
}
