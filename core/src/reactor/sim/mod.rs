//! A seeded world instead of the machine: virtual time, a disk that loses what real ones lose, the same run for the same
//! seed. Compiled always, since the tests of other crates use it; nothing on a hot path refers to it.

mod clock;
mod content;
mod disk;
mod fault;
mod tree;

#[cfg(test)]
mod disk_tests;

pub use clock::Clockwork;
pub use content::{PAGE_BYTES, SECTOR_BYTES};
pub use disk::{Crash, SimDisk, SimDiskConfig};
pub use fault::{DiskCall, DiskEffect, DiskFault};
pub use tree::DirectoryModel;
