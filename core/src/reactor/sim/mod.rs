//! A seeded world instead of the machine: virtual time, a disk that loses what real ones lose, the same run for the same
//! seed. Compiled always, since the tests of other crates use it; nothing on a hot path refers to it.

mod clock;
mod content;
mod disk;
mod driver;
mod endpoint;
mod fault;
mod net;
mod stream;
mod tree;
mod world;

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod world_tests;

pub use clock::Clockwork;
pub use content::{PAGE_BYTES, SECTOR_BYTES};
pub use disk::{Crash, SimDisk, SimDiskConfig};
pub use fault::{DiskCall, DiskEffect, DiskFault};
pub use net::{SimNetConfig, host_ip};
pub use tree::DirectoryModel;
pub use world::{SimConfig, SimWorld};
