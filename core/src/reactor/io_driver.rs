//! Which of the real drivers runs.

use std::io;

use super::{Driver, EpollDriver, IoStatsReader, UringDriver, UringError};

/// Sizes of one real driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoConfig {
    /// What one system call takes, a power of two: submission queue entries of io_uring, events of one `epoll_wait`.
    /// More operations than this in one turn cost a further system call.
    pub entries: u32,
    /// Buffers for receiving; at most 32,768.
    pub buffers: u16,
    /// Bytes per buffer. Memory becomes resident only when used.
    pub buffer_size: usize,
}

impl Default for IoConfig {
    fn default() -> Self {
        Self { entries: 1024, buffers: 256, buffer_size: 32 << 10 }
    }
}

/// How a reactor reaches the machine. Reactors that hand connections to each other all use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoDriver {
    /// [`UringDriver`].
    Uring,
    /// [`EpollDriver`].
    Epoll,
}

/// A real driver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum IoDriverError {
    /// io_uring is refused.
    #[error(transparent)]
    Uring(#[from] UringError),
    /// Descriptors or memory have run out.
    #[error("epoll failed to start: {0}")]
    Epoll(#[source] io::Error),
}

impl IoDriver {
    /// Both, for tests that hold on each.
    pub const ALL: [Self; 2] = [Self::Uring, Self::Epoll];

    /// io_uring where a ring can be made, else epoll and why.
    pub fn choose() -> (Self, Option<UringError>) {
        match UringDriver::new(IoConfig::default()) {
            Ok(_) => (Self::Uring, None),
            Err(refused) => (Self::Epoll, Some(refused)),
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "io_uring",
            Self::Epoll => "epoll",
        }
    }

    /// A driver of the calling thread.
    pub fn start(self, config: IoConfig) -> Result<Box<dyn Driver>, IoDriverError> {
        self.start_counted(config).map(|(driver, _)| driver)
    }

    /// A driver of the calling thread, and its counters.
    pub fn start_counted(self, config: IoConfig) -> Result<(Box<dyn Driver>, IoStatsReader), IoDriverError> {
        Ok(match self {
            Self::Uring => {
                let driver = UringDriver::new(config)?;
                let stats = driver.stats();
                (Box::new(driver), stats)
            }
            Self::Epoll => {
                let driver = EpollDriver::new(config).map_err(IoDriverError::Epoll)?;
                let stats = driver.stats();
                (Box::new(driver), stats)
            }
        })
    }
}
