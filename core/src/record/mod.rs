//! Record batches, version 2: reading, checking, building, compressing.
//!
//! It knows bytes, never files or sockets, and never reads the clock: the time of an append is an argument.
//!
//! Invariants:
//! - A [`BatchView`] covers exactly one whole batch: its length field agrees with the slice.
//! - A batch that came from a producer is stored as it came. What may be patched without a new CRC is
//!   [`patch_base_offset_and_epoch`]; what needs one is [`set_max_timestamp`].

mod batch;
mod builder;
pub mod compression;
mod crc;
mod partitioner;
mod recompress;
mod records;
mod retain;
mod usual_record;
mod validate;

pub use batch::{
    BATCH_OVERHEAD, BatchHeader, BatchParseError, BatchView, Batches, CRC_FROM, Codec, LENGTH_PREFIX, TimestampType,
    patch_base_offset_and_epoch, set_max_timestamp,
};
pub use builder::{BatchBuilder, NewRecord};
pub use crc::{Crc32c, Crc32cJoin, crc32c, crc32c_join};
pub use partitioner::{murmur2, partition_of};
pub use recompress::{Recompression, recompress};
pub use records::{Headers, RecordError, RecordView, Records};
pub use retain::{RawRecord, RawRecords, retain_nothing, retain_records};
pub use validate::{
    BatchError, KeylessRule, ProduceRules, Producer, Rejection, TimestampRule, ValidBatch, ValidationLevel,
    record_errors, validate_produce,
};
