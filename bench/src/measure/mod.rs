//! What `/proc` tells about a run: the broker, its threads, the machine.

mod procfs;
mod warm_memory;
mod watch;

pub use procfs::{mem_free_mib, process_cpu_s, rss_and_pss_mib};
pub use warm_memory::warm_memory;
pub use watch::{Point, ThreadShare, Usage, Watch};
