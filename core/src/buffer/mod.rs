//! Memory for I/O: provided-buffer pools and aligned buffers.

mod aligned;
mod pool;
pub mod staging;

pub use aligned::{ALIGNMENT, AlignedBuffer};
pub use pool::{BufferPool, PooledBuffer};
