//! The real [`Disk`].
#![expect(unsafe_code, reason = "handles are descriptors that the callers keep open")]

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, SeekFrom, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::{DirEntry, Disk, Handle, OpenMode};

/// Buffers of one vectored write (IOV_MAX).
const PARTS_MAX: usize = 1024;

/// cachestat(2), Linux 6.5: one number for all of our architectures.
const SYS_CACHESTAT: libc::c_long = 451;
/// Pages cached, dirty, in writeback, evicted, recently evicted.
const CACHESTAT_FIELDS: usize = 5;
const PAGE_BYTES: u64 = 4096;
/// Another one after each start of the kernel.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Asks statx(2) for the number of the mount that no other mount of this boot has.
const STATX_MNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Files of the operating system; a [`Handle`] is the descriptor.
#[derive(Debug, Default)]
pub struct FsDisk;

pub(super) fn borrow<'a>(handle: Handle) -> BorrowedFd<'a> {
    // SAFETY: a handle comes from `open` or `lock` and stays open until `close`, which the last clone of its `File`
    // calls; -1, which no open returns, cannot occur.
    unsafe { BorrowedFd::borrow_raw(handle.0) }
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?)
}

impl Disk for FsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Handle> {
        let mut flags = match (mode.read, mode.write) {
            (true, true) => OFlags::RDWR,
            (true, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (false, false) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        flags.set(OFlags::CREATE, mode.create);
        flags.set(OFlags::TRUNC, mode.truncate);
        flags.set(OFlags::DIRECT, mode.direct);
        Ok(Handle(open(path, flags)?.into_raw_fd()))
    }

    fn close(&self, handle: Handle) {
        // SAFETY: `close` is called once per handle, by its last holder, and no operation in flight uses it (each holds
        // a `File`), so the descriptor is ours to close.
        drop(unsafe { OwnedFd::from_raw_fd(handle.0) });
    }

    fn read_at(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::pread(borrow(handle), &mut *buffer, position) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn read_at_cached(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let parts = &mut [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(borrow(handle), parts, position, ReadWriteFlags::NOWAIT) {
            // A file system that cannot tell: let the ring read.
            Err(Errno::OPNOTSUPP) => Err(io::ErrorKind::WouldBlock.into()),
            result => Ok(result?),
        }
    }

    fn is_cached(&self, handle: Handle, position: u64, len: u64) -> bool {
        let Some(last) = (position + len).checked_sub(1).filter(|_| len > 0) else { return true };
        let range = [position, len];
        let mut stat = [0_u64; CACHESTAT_FIELDS];
        // SAFETY: cachestat(2) reads two u64 (offset, length) at the second and writes five u64 at the third argument;
        // both live until the call returns. An unknown system call fails.
        let failed = unsafe { libc::syscall(SYS_CACHESTAT, handle.0, range.as_ptr(), stat.as_mut_ptr(), 0_u32) } != 0;
        !failed && stat[0] > last / PAGE_BYTES - position / PAGE_BYTES
    }

    fn next_data(&self, handle: Handle, position: u64) -> io::Result<Option<u64>> {
        // Only the position of the descriptor moves, and no other call of this uses it.
        match rustix::fs::seek(borrow(handle), SeekFrom::Data(position)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(position)),
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, handle: Handle, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts = &parts[..parts.len().min(PARTS_MAX)];
        loop {
            match rustix::io::pwritev(borrow(handle), parts, position) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn len(&self, handle: Handle) -> io::Result<u64> {
        Ok(rustix::fs::fstat(borrow(handle))?.st_size.unsigned_abs())
    }

    fn set_len(&self, handle: Handle, len: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(borrow(handle), len)?)
    }

    fn drop_cached(&self, handle: Handle, position: u64, len: u64) -> io::Result<()> {
        let len = std::num::NonZeroU64::new(len);
        Ok(rustix::fs::fadvise(borrow(handle), position, len, rustix::fs::Advice::DontNeed)?)
    }

    fn allocate(&self, handle: Handle, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(borrow(handle), rustix::fs::FallocateFlags::KEEP_SIZE, 0, len)?)
    }

    fn sync(&self, handle: Handle) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(borrow(handle))?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(open(path, OFlags::RDONLY | OFlags::DIRECTORY)?)?)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(open(path, OFlags::RDONLY)?)?)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    /// The boot, the mount, which has a number of its own each time (Linux 6.8), and the inode.
    fn page_cache_id(&self, path: &Path) -> Option<String> {
        let boot_id = fs::read_to_string(BOOT_ID_FILE).ok()?;
        let wanted = StatxFlags::INO | STATX_MNT_ID_UNIQUE;
        let found = rustix::fs::statx(CWD, path, AtFlags::empty(), wanted).ok()?;
        let is_told = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
        is_told.then(|| format!("boot {} mount {} inode {}\n", boot_id.trim(), found.stx_mnt_id, found.stx_ino))
    }

    /// The lock belongs to the process: a second one from the same process succeeds, and closing *any* descriptor of
    /// that file releases it. So nothing else may open the lock file.
    fn lock(&self, path: &Path) -> io::Result<Handle> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
        match rustix::fs::fcntl_lock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Handle(file.into_raw_fd())),
            Err(Errno::ACCESS | Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::rc::Rc;

    use super::super::{File, read_file, replace_file};
    use super::*;

    #[test]
    fn files_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        let path = dir.path().join("a/b");
        disk.create_dir_all(&path).unwrap();
        replace_file(&disk, &path.join("x"), b"first").unwrap();
        replace_file(&disk, &path.join("x"), b"second").unwrap();
        assert_eq!(read_file(&disk, &path.join("x")).unwrap(), b"second");
        let file = File::open(&disk, &path.join("x"), OpenMode::READ_WRITE).unwrap();
        assert_eq!(file.write_at(6, &[IoSlice::new(b"!"), IoSlice::new(b"?")]).unwrap(), 2);
        let mut buffer = [0; 16];
        assert_eq!(file.read_at(0, &mut buffer).unwrap(), 8);
        assert_eq!(file.read_at_cached(0, &mut buffer).unwrap(), 8);
        assert!(file.is_cached(0, 8) && !file.is_cached(1 << 20, 1));
        assert_eq!(&buffer[..8], b"second!?");
        file.set_len(3).unwrap();
        assert_eq!(file.len().unwrap(), 3);
        file.sync().unwrap();
        let names: Vec<_> = disk.list_dir(dir.path()).unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
        assert_eq!(names, [("a".to_owned(), true)]);
        disk.sync_all(&path).unwrap();
        disk.remove_dir_all(&dir.path().join("a")).unwrap();
        assert!(!disk.exists(&path));
        let missing = disk.open(&path, OpenMode::READ).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(disk.open(&path, OpenMode::default()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    const LOCK_PATH: &str = "RINGLOG_TEST_LOCK_PATH";

    /// Run by the test below in a process of its own.
    #[test]
    fn lock_in_another_process() {
        let Ok(path) = std::env::var(LOCK_PATH) else { return };
        let refused = FsDisk.lock(Path::new(&path)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_second_process_is_refused_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        let lock = File::lock(&disk, &path).unwrap();
        let try_lock = || {
            let name = "reactor::fs_disk::tests::lock_in_another_process";
            let mut other = Command::new(std::env::current_exe().unwrap());
            other.args(["--exact", name]).env(LOCK_PATH, &path).output().unwrap().status.success()
        };
        assert!(try_lock());
        drop(lock);
        assert!(!try_lock(), "the other process got the lock, and its assertion fails");
    }
}
