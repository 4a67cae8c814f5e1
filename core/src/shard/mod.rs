//! One shard: a pinned thread with a reactor and a port of the mesh. It never knows what the messages mean.
//!
//! Invariants:
//! - State belongs to one shard; others send messages. Nothing here but the mesh's rings is shared.
//! - A shard sleeps only when no task is ready, nothing has arrived and nothing that waits would fit: see [`Shard::turn`].

mod affinity;
mod mailbox;
#[expect(clippy::module_inception, reason = "the folder is the thread with all it needs, the file its loop")]
mod shard;

pub use affinity::{CoreId, CpuQuota, allowed_cores, default_shard_count, pin};
pub use mailbox::Mailbox;
pub use shard::Shard;
