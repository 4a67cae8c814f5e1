//! Blocking file calls, short because they meet the page cache: opening, buffered reads and appends, directories.
//!
//! What waits for the device (sync, O_DIRECT writes, cold reads) is an operation of the [`Driver`](super::Driver)
//! instead. Start-up and recovery run before anything is served and may call the blocking syncs here.
//!
//! Invariant: a handle stays open until the last clone of its [`File`] is dropped, so an operation in flight that
//! holds a `File` can never see its descriptor reused.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::rc::Rc;

/// A descriptor of the real system or of the simulated one. Only the [`Disk`] that made it can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub i32);

/// How to open a file. Everything is off in `OpenMode::default()`, which fails on every file: set at least one of read and write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// Allow reads.
    pub read: bool,
    /// Allow writes.
    pub write: bool,
    /// Create the file when it is missing.
    pub create: bool,
    /// Cut an existing file to length 0.
    pub truncate: bool,
    /// Bypass the page cache (O_DIRECT). Buffers, positions and lengths are then multiples of 4,096.
    /// Refused with `InvalidInput` where the file system cannot.
    pub direct: bool,
}

impl OpenMode {
    /// An existing file, for reading.
    pub const READ: Self = Self { read: true, write: false, create: false, truncate: false, direct: false };
    /// Read and write, created when missing.
    pub const READ_WRITE: Self = Self { read: true, write: true, create: true, truncate: false, direct: false };
    /// Write from scratch, created when missing.
    pub const REWRITE: Self = Self { read: true, write: true, create: true, truncate: true, direct: false };
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
}

/// The file system. `&self` because a real one has its state in the kernel; the simulated one uses a cell.
pub trait Disk: fmt::Debug {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Handle>;
    /// Closes a handle. Called once, by the last [`File`].
    fn close(&self, handle: Handle);
    /// Reads at `position`, returns the bytes read; 0 is the end of the file. May be short.
    fn read_at(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// As `read_at`, but answers `WouldBlock` instead of waiting for the device (preadv2 RWF_NOWAIT).
    fn read_at_cached(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Whether all of these bytes are in the page cache (cachestat), so that sending them does not wait for the device.
    /// False where the system cannot tell.
    fn is_cached(&self, handle: Handle, position: u64, len: u64) -> bool;
    /// Lets go of what of these bytes is in the page cache, and not dirty.
    fn drop_cached(&self, handle: Handle, position: u64, len: u64) -> io::Result<()>;
    /// Where bytes that were ever written begin, at or behind `position` (SEEK_DATA); `None` when only a hole is left. Where
    /// the system cannot tell, at `position`.
    fn next_data(&self, handle: Handle, position: u64) -> io::Result<Option<u64>>;
    /// Writes at `position` through the page cache, returns the bytes written. May be short.
    fn write_at(&self, handle: Handle, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    /// The file's length in bytes.
    fn len(&self, handle: Handle) -> io::Result<u64>;
    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, handle: Handle, len: u64) -> io::Result<()>;
    /// Gives the file room for `len` bytes on the device without changing its length, where the file system can.
    fn allocate(&self, handle: Handle, len: u64) -> io::Result<()>;
    /// Makes the file's data and length durable (fdatasync), blocking.
    fn sync(&self, handle: Handle) -> io::Result<()>;
    /// Makes the entries of a directory durable, blocking.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything of the file system that holds `path` durable (syncfs), blocking.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its missing parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Entries of a directory, sorted by name. `NotFound` when it is missing.
    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Renames over an existing target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all it holds.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Whether the path is there.
    fn exists(&self, path: &Path) -> bool;
    /// Names this file and the page cache that it is read through: while the name is the same, reads see every write that
    /// was made, also by a process that was killed meanwhile. `None` where the system cannot tell.
    fn page_cache_id(&self, path: &Path) -> Option<String>;
    /// Takes Kafka's lock: a POSIX record lock (`fcntl`) on the whole file, created when missing.
    /// `WouldBlock` when another process holds it. Held until the handle is closed.
    fn lock(&self, path: &Path) -> io::Result<Handle>;
}

/// An open file; clones share the descriptor.
#[derive(Debug, Clone)]
pub struct File(Rc<FileInner>);

#[derive(Debug)]
struct FileInner {
    disk: Rc<dyn Disk>,
    handle: Handle,
}

impl Drop for FileInner {
    fn drop(&mut self) {
        self.disk.close(self.handle);
    }
}

impl File {
    /// Opens or creates `path` on `disk`.
    pub fn open(disk: &Rc<dyn Disk>, path: &Path, mode: OpenMode) -> io::Result<Self> {
        Ok(Self::from_handle(disk, disk.open(path, mode)?))
    }

    /// Takes Kafka's directory lock, see [`Disk::lock`].
    pub fn lock(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<Self> {
        Ok(Self::from_handle(disk, disk.lock(path)?))
    }

    fn from_handle(disk: &Rc<dyn Disk>, handle: Handle) -> Self {
        Self(Rc::new(FileInner { disk: Rc::clone(disk), handle }))
    }

    /// The descriptor, for a driver.
    pub fn handle(&self) -> Handle {
        self.0.handle
    }

    /// Reads at `position` until `buffer` is full or the file ends; returns the bytes read.
    pub fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.disk.read_at(self.0.handle, position + done as u64, &mut buffer[done..])? {
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }

    /// One read that answers `WouldBlock` where it would wait for the device.
    pub fn read_at_cached(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.disk.read_at_cached(self.0.handle, position, buffer)
    }

    /// Whether all of these bytes are in the page cache, see [`Disk::is_cached`].
    pub fn is_cached(&self, position: u64, len: u64) -> bool {
        self.0.disk.is_cached(self.0.handle, position, len)
    }

    /// Lets go of cached bytes, see [`Disk::drop_cached`].
    pub fn drop_cached(&self, position: u64, len: u64) -> io::Result<()> {
        self.0.disk.drop_cached(self.0.handle, position, len)
    }

    /// Where bytes begin that were ever written, see [`Disk::next_data`].
    pub fn next_data(&self, position: u64) -> io::Result<Option<u64>> {
        self.0.disk.next_data(self.0.handle, position)
    }

    /// One vectored write at `position`; returns the bytes written, which may be fewer than asked for.
    pub fn write_at(&self, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.disk.write_at(self.0.handle, position, parts)
    }

    /// Writes all of `bytes` at `position`; an error leaves an unknown prefix written.
    pub fn write_all_at(&self, mut position: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(position, &[IoSlice::new(bytes)])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => {
                    bytes = &bytes[n..];
                    position += n as u64;
                }
            }
        }
        Ok(())
    }

    /// Length in bytes.
    pub fn len(&self) -> io::Result<u64> {
        self.0.disk.len(self.0.handle)
    }

    /// Whether the file holds no byte.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) to `len` bytes.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.disk.set_len(self.0.handle, len)
    }

    /// Room on the device, see [`Disk::allocate`].
    pub fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.disk.allocate(self.0.handle, len)
    }

    /// fdatasync, blocking: for start-up, recovery and stopping only.
    pub fn sync(&self) -> io::Result<()> {
        self.0.disk.sync(self.0.handle)
    }
}

/// Replaces `path` by `bytes` so that a crash leaves the old or the new content: a `.tmp` file beside it is written,
/// synced, renamed over it, and the directory synced. Blocking.
pub fn replace_file(disk: &Rc<dyn Disk>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_file(disk, path, [bytes])?;
    disk.sync_dir(path.parent().ok_or(io::ErrorKind::InvalidInput)?)
}

/// All of [`replace_file`] but the sync of the directory, which files may share. The content may come in parts.
pub fn put_file<'a>(disk: &Rc<dyn Disk>, path: &Path, parts: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = File::open(disk, &temporary, OpenMode::REWRITE)?;
    let mut position = 0;
    for part in parts {
        file.write_all_at(position, part)?;
        position += part.len() as u64;
    }
    file.sync()?;
    disk.rename(&temporary, path)
}

/// Removes a file, if it is there.
pub fn remove_file_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The whole content of a file.
pub fn read_file(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(disk, path, OpenMode::READ)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
