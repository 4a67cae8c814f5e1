//! What `/proc` and the kernel tell about a run: the broker, its threads, its files, the machine.

mod page_cache;
mod procfs;
mod warm_memory;
mod watch;

pub use page_cache::page_cache_mib;
pub use procfs::{mem_free_mib, process_cpu_s, rss_and_pss_mib};
pub use warm_memory::warm_memory;
pub use watch::{Point, ThreadShare, Usage, Watch};
