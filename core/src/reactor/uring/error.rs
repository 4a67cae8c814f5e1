//! Why io_uring was refused, and what to do about it.

use std::io;

/// io_uring could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UringError {
    /// The sysctl forbids it.
    #[error(
        "io_uring is switched off on this machine (kernel.io_uring_disabled = {value}). \
         Fix: `sysctl kernel.io_uring_disabled=0` as root{}",
        if *value == 1 { ", or run as a member of kernel.io_uring_group" } else { "" }
    )]
    DisabledBySysctl {
        /// 1: only for a group; 2: for everyone.
        value: u32,
    },
    /// A seccomp filter or security module forbids it.
    #[error(
        "io_uring is forbidden here ({source}), most likely by a container's seccomp profile: the default ones of \
         Docker and containerd do. Fix: start the container with a profile that allows io_uring_setup, \
         io_uring_enter and io_uring_register, or with `--security-opt seccomp=unconfined`"
    )]
    Forbidden {
        /// EPERM or EACCES.
        source: io::Error,
    },
    /// Not enough lockable or kernel memory.
    #[error(
        "no memory for an io_uring of {entries} entries ({source}; RLIMIT_MEMLOCK is {limit}). \
         Fix: raise it (`ulimit -l`, `LimitMEMLOCK=` of systemd, `--ulimit memlock=-1` of Docker) or run fewer shards"
    )]
    Memory {
        /// Entries asked for.
        entries: u32,
        /// The limit in words.
        limit: String,
        /// ENOMEM.
        source: io::Error,
    },
    /// The kernel has no io_uring, or a filter pretends so.
    #[error(
        "this kernel ({release}) has no io_uring ({source}). Fix: use Linux 6.1 or later, built with \
         CONFIG_IO_URING; in a sandbox such as gVisor it is missing by design"
    )]
    Missing {
        /// As `uname -r`.
        release: String,
        /// ENOSYS.
        source: io::Error,
    },
    /// The kernel's io_uring is too old.
    #[error("the io_uring of this kernel ({release}) is too old ({source}). Fix: use Linux 6.1 or later")]
    TooOld {
        /// As `uname -r`.
        release: String,
        /// EINVAL.
        source: io::Error,
    },
    /// Anything else.
    #[error("io_uring failed to start while {step}: {source}")]
    Other {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl UringError {
    pub(super) fn from_setup(step: &'static str, entries: u32, source: io::Error) -> Self {
        let sysctl = || {
            let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
            text.trim().parse().ok().filter(|value| *value != 0)
        };
        let release = || rustix::system::uname().release().to_string_lossy().into_owned();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => match sysctl() {
                Some(value) => Self::DisabledBySysctl { value },
                None => Self::Forbidden { source },
            },
            Some(libc::ENOMEM) => {
                let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
                let limit = limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
                Self::Memory { entries, limit, source }
            }
            Some(libc::ENOSYS) => Self::Missing { release: release(), source },
            Some(libc::EINVAL) => Self::TooOld { release: release(), source },
            _ => Self::Other { step, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_cause_and_fix() {
        let text = |errno| UringError::from_setup("asking", 8, io::Error::from_raw_os_error(errno)).to_string();
        assert!(text(libc::ENOMEM).contains("RLIMIT_MEMLOCK"));
        assert!(text(libc::ENOSYS).contains("CONFIG_IO_URING"));
        assert!(text(libc::EINVAL).contains("too old"));
        for errno in [libc::EPERM, libc::ENOMEM, libc::ENOSYS, libc::EINVAL] {
            assert!(text(errno).contains("Fix: "));
        }
        assert!(text(libc::EMFILE).contains("asking"));
        assert!(UringError::DisabledBySysctl { value: 1 }.to_string().contains("io_uring_group"));
    }

    /// As a container's seccomp profile does, for the calling thread only.
    #[expect(unsafe_code, reason = "a seccomp filter is installed by address")]
    fn forbid_io_uring() {
        let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let mut filter = [
            step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
            step((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, libc::SYS_io_uring_setup as u32),
            step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: prctl reads the program during the call only, and changes nothing but this thread's permissions.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the filter must not stay on the thread of another test")]
    fn a_seccomp_profile_that_forbids_io_uring_is_named() {
        let refused = std::thread::spawn(|| {
            forbid_io_uring();
            super::super::UringDriver::new(crate::reactor::IoConfig::default()).map(drop)
        });
        let error = refused.join().unwrap().unwrap_err();
        assert!(matches!(error, UringError::Forbidden { .. } | UringError::DisabledBySysctl { .. }), "{error}");
    }
}
