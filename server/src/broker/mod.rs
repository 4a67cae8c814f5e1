//! One broker: a shard per core, each with its own partitions and connections, joined by the mesh.
//!
//! Shard 0 besides owns the data directory's lock, the metadata log with the controller, and the listeners; it opens the
//! cluster, tells the others, deals connections, and is the last to stop.

mod control;
mod driver;
mod life;
mod memory;
mod messages;
mod outbox;
mod run;
mod shard;
mod startup;

pub use life::{BrokerConfig, OnReady, Seat, ShardLife, Stop, seats};
pub use memory::ShardMemory;
pub use messages::ShardMessage;
pub use run::{RunError, run};
