//! Which driver the shards run on.

use ringlog_core::reactor::IoDriver;

use crate::config::Io;

/// One for all shards, since they hand connections to each other. Where io_uring is wanted and refused, the shard that
/// asks for it says why.
pub(super) fn choose(io: Io) -> IoDriver {
    match io {
        Io::Uring => IoDriver::Uring,
        Io::Epoll => IoDriver::Epoll,
        Io::Auto => {
            let (driver, refused) = IoDriver::choose();
            if let Some(refused) = refused {
                tracing::warn!(
                    "running on epoll, which costs up to a quarter more processor time with many connections: {refused}"
                );
            }
            driver
        }
    }
}
