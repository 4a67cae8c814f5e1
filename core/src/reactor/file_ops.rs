//! File operations that wait for the device. Each is submitted when its function is called, not when first polled;
//! dropping the future does not stop it.

use std::ffi::CString;
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{File, Op, Parts, Reactor};

impl Reactor {
    /// Writes the parts at `position`; with `durable`, done when they are on stable storage. May be short.
    pub fn write(
        &self,
        file: &File,
        position: u64,
        parts: Parts,
        durable: bool,
    ) -> impl Future<Output = (io::Result<u32>, Parts)> + use<> {
        let operation = self.submit(Op::Write { file: file.clone(), position, parts, durable }, None);
        async move {
            let done = operation.await;
            match done.op {
                Some(Op::Write { parts, .. }) => (done.result, parts),
                other => panic!("not the operation that was submitted: {other:?}"),
            }
        }
    }

    /// Reads at `position` into `buffer`, all of its length; 0 is the end of the file. May be short.
    pub fn read(
        &self,
        file: &File,
        position: u64,
        buffer: Vec<u8>,
    ) -> impl Future<Output = (io::Result<u32>, Vec<u8>)> + use<> {
        let operation = self.submit(Op::Read { file: file.clone(), position, buffer }, None);
        async move {
            let done = operation.await;
            match done.op {
                Some(Op::Read { buffer, .. }) => (done.result, buffer),
                other => panic!("not the operation that was submitted: {other:?}"),
            }
        }
    }

    /// fdatasync. Never retry a failed one: what it should have written may be gone.
    pub fn sync(&self, file: &File) -> impl Future<Output = io::Result<()>> + use<> {
        let operation = self.submit(Op::Sync { file: file.clone() }, None);
        async move { operation.await.result.map(drop) }
    }

    /// Starts read-ahead into the page cache.
    pub fn read_ahead(&self, file: &File, position: u64, len: u32) -> impl Future<Output = io::Result<()>> + use<> {
        let operation = self.submit(Op::ReadAhead { file: file.clone(), position, len }, None);
        async move { operation.await.result.map(drop) }
    }

    /// Removes a file. What it held goes with its last user, which may take a while for a large one.
    pub fn remove_file(&self, path: &Path) -> impl Future<Output = io::Result<()>> + use<> {
        let operation = CString::new(path.as_os_str().as_bytes()).map(|path| self.submit(Op::Remove { path }, None));
        async move { operation?.await.result.map(drop) }
    }
}
