//! The text files of a data directory: offset checkpoints, leader epochs, partition.metadata, the clean shutdown mark.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::log::{
    LeaderEpochCache, OffsetCheckpoint, decode_clean_shutdown, decode_partition_metadata, encode_clean_shutdown,
    encode_partition_metadata,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = OffsetCheckpoint::decode(bytes) {
        let written = checkpoint.encode();
        let again = OffsetCheckpoint::decode(written.as_bytes()).expect("own bytes are read");
        assert_eq!(again.encode(), written);
    }
    if let Ok(epochs) = LeaderEpochCache::decode(bytes) {
        let again = LeaderEpochCache::decode(epochs.encode().as_bytes()).expect("own bytes are read");
        assert_eq!(again.entries(), epochs.entries());
    }
    if let Ok(topic_id) = decode_partition_metadata(bytes) {
        assert_eq!(decode_partition_metadata(encode_partition_metadata(topic_id).as_bytes()).ok(), Some(topic_id));
    }
    if let Some(broker_epoch) = decode_clean_shutdown(bytes) {
        assert_eq!(decode_clean_shutdown(encode_clean_shutdown(broker_epoch).as_bytes()), Some(broker_epoch));
    }
});
