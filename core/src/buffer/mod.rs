//! Memory for I/O: provided-buffer pools, aligned buffers, staging, and the heap behind them.

mod aligned;
mod heap;
mod pool;
pub mod staging;

pub use aligned::{ALIGNMENT, AlignedBuffer};
pub use heap::keep_freed_memory;
pub use pool::{BufferPool, PooledBuffer};
