//! Faults of a simulated disk, told in advance: which path, which call, the how manieth, once or for ever.

use std::io;

/// A kind of call on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskCall {
    /// Opening or creating.
    Open,
    /// Any read.
    Read,
    /// Any write.
    Write,
    /// `sync`, [`Op::Sync`](crate::reactor::Op::Sync) and the durable part of a durable write.
    Sync,
    /// Cutting or extending.
    SetLen,
    /// Syncing a directory.
    SyncDir,
    /// Renaming; the path is the target.
    Rename,
    /// Removing a file or a directory.
    Remove,
    /// Every call above.
    Any,
}

/// What the faulty call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskEffect {
    /// Fails with this errno. A failed sync drops what was not yet durable, see `SimDisk`.
    Errno(i32),
    /// Does only a part (reads and writes).
    Short,
    /// Flips one bit of what a read returns; the file keeps its bytes.
    FlipBit,
}

/// One planned fault.
#[derive(Debug, Clone)]
pub struct DiskFault {
    /// Concerns paths that contain this text, as they were when the file was opened; empty for all.
    pub path_contains: String,
    /// Which calls.
    pub call: DiskCall,
    /// How many matching calls go well before.
    pub skip: u32,
    /// What happens.
    pub effect: DiskEffect,
    /// Every later matching call too, until [`SimDisk::heal`](super::SimDisk::heal).
    pub sticky: bool,
}

impl DiskFault {
    /// The next matching call fails with EIO, once.
    pub fn eio(path_contains: &str, call: DiskCall) -> Self {
        Self {
            path_contains: path_contains.to_owned(),
            call,
            skip: 0,
            effect: DiskEffect::Errno(libc::EIO),
            sticky: false,
        }
    }

    /// After `skip` calls that go well.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// For ever.
    #[must_use]
    pub fn sticky(self) -> Self {
        Self { sticky: true, ..self }
    }

    /// Another effect.
    #[must_use]
    pub fn effect(self, effect: DiskEffect) -> Self {
        Self { effect, ..self }
    }
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(super) struct FaultPlan(Vec<DiskFault>);

impl FaultPlan {
    pub(super) fn add(&mut self, fault: DiskFault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call; an errno becomes the error, another effect is handed back.
    pub(super) fn meet(&mut self, call: DiskCall, path: &str) -> io::Result<Option<DiskEffect>> {
        let matches = |fault: &DiskFault| {
            (fault.call == call || fault.call == DiskCall::Any) && path.contains(&fault.path_contains)
        };
        let mut met = None;
        self.0.retain_mut(|fault| {
            if met.is_some() || !matches(fault) {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            met = Some(fault.effect);
            fault.sticky
        });
        match met {
            Some(DiskEffect::Errno(code)) => Err(io::Error::from_raw_os_error(code)),
            effect => Ok(effect),
        }
    }
}
