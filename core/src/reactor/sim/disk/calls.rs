//! The calls of a [`Disk`], as one process makes them.

use std::io::{self, IoSlice};
use std::path::Path;

use super::SimDisk;
use super::state::{OpenFile, State, error};
use crate::reactor::sim::content::Content;
use crate::reactor::sim::fault::DiskCall;
use crate::reactor::{DirEntry, Disk, Handle, OpenMode};

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Handle> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Open, &name)?;
            if !(mode.read || mode.write) || (mode.direct && state.config.refuse_direct) {
                return Err(error(libc::EINVAL));
            }
            let inode = state.find_or_create(path, mode.create)?;
            if mode.truncate && state.tree.content(inode)?.len() > 0 {
                state.tree.content_mut(inode)?.set_len(0);
                state.tree.note_resize(inode);
            }
            state.tree.content(inode)?;
            self.note("open", &name, &[inode]);
            Ok(state.hand_out(OpenFile { inode, process: self.process.get(), path: name, mode, locks: false }))
        })
    }

    fn close(&self, handle: Handle) {
        // Files of a dead process are closed late; their handles are gone already.
        self.state.borrow_mut().handles.remove(&handle.0);
    }

    fn read_at(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(handle, position, buffer, false)
    }

    fn read_at_cached(&self, handle: Handle, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(handle, position, buffer, true)
    }

    fn is_cached(&self, handle: Handle, position: u64, len: u64) -> bool {
        let resident = |state: &mut State| {
            let (inode, ..) = state.opened(handle)?;
            Ok(state.tree.content(inode)?.is_resident(position, len))
        };
        self.with(resident).unwrap_or(false)
    }

    fn next_data(&self, handle: Handle, position: u64) -> io::Result<Option<u64>> {
        Ok(Some(position).filter(|position| self.len(handle).is_ok_and(|len| *position < len)))
    }

    fn write_at(&self, handle: Handle, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
        self.write_parts(handle, position, &parts, false)
    }

    fn len(&self, handle: Handle) -> io::Result<u64> {
        self.with(|state| {
            let (inode, ..) = state.opened(handle)?;
            Ok(state.tree.content(inode)?.len())
        })
    }

    fn drop_cached(&self, _handle: Handle, _position: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    /// Nothing that can be seen.
    fn allocate(&self, _handle: Handle, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, handle: Handle, len: u64) -> io::Result<()> {
        self.with(|state| {
            let (inode, path, mode) = state.opened(handle)?;
            if !mode.write {
                return Err(error(libc::EINVAL));
            }
            state.faults.meet(DiskCall::SetLen, &path)?;
            self.note("set_len", &path, &[len]);
            state.tree.content_mut(inode)?.set_len(len);
            state.tree.note_resize(inode);
            Ok(())
        })
    }

    fn sync(&self, handle: Handle) -> io::Result<()> {
        let mark = self.sync_mark(handle)?;
        self.sync_until(handle, mark)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::SyncDir, &name)?;
            self.note("sync_dir", &name, &[]);
            state.tree.commit_for_dir(path)
        })
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            let outcome = state.faults.meet(DiskCall::Sync, &name);
            self.note("sync_all", &name, &[u64::from(outcome.is_ok())]);
            state.tree.find(path)?;
            let settle: &dyn Fn(&mut Content) = match &outcome {
                Ok(_) => &|content| content.sync(content.mark()),
                Err(_) => &|content| content.fail_sync(&self.clock),
            };
            state.tree.contents_mut().for_each(settle);
            outcome?;
            state.tree.commit_all();
            Ok(())
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Open, &name)?;
            self.note("create_dir_all", &name, &[]);
            state.tree.create_dir_all(path)
        })
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.with(|state| {
            let names = state.tree.list(path)?;
            Ok(names.into_iter().map(|(name, is_dir)| DirEntry { name, is_dir }).collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(to);
            state.faults.meet(DiskCall::Rename, &name)?;
            self.note("rename", &name, &[]);
            state.tree.rename(from, to)?;
            state.after_removal();
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Remove, &name)?;
            self.note("remove", &name, &[]);
            state.tree.remove_file(path)?;
            state.after_removal();
            Ok(())
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            let name = text(path);
            state.faults.meet(DiskCall::Remove, &name)?;
            self.note("remove_dir_all", &name, &[]);
            state.tree.remove_dir_all(path)?;
            state.after_removal();
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.with(|state| state.tree.find(path)).is_ok()
    }

    fn page_cache_id(&self, path: &Path) -> Option<String> {
        let id = |state: &mut State| Ok(format!("boot {} inode {}", state.power_cuts, state.tree.find(path)?));
        self.with(id).ok()
    }

    fn lock(&self, path: &Path) -> io::Result<Handle> {
        self.with(|state| {
            let inode = state.find_or_create(path, true)?;
            let process = self.process.get();
            if state.handles.values().any(|open| open.locks && open.inode == inode && open.process != process) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let open = OpenFile { inode, process, path: text(path), mode: OpenMode::READ_WRITE, locks: true };
            Ok(state.hand_out(open))
        })
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
