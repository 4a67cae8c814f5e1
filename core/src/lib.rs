//! What Ringlog's broker and tools share. It knows Kafka's bytes and files, not what a broker or a group does.
//!
//! Who may import whom is a table in `docs/ARCHITECTURE.md`, compared with the code by `core/tests/imports.rs`.

pub mod buffer;
pub mod log;
pub mod planting;
pub mod protocol;
pub mod reactor;
pub mod record;
pub mod ring;
pub mod shard;
pub mod wire;
