//! A metadata record: what decodes is written again in its newest version, and reads back as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::protocol::metadata::MetadataRecord;
use ringlog_core::wire::Writer;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = MetadataRecord::decode(bytes) else { return };
    let mut writer = Writer::new();
    record.encode(&mut writer, record.latest_version());
    let Ok(written) = writer.finish() else { return };
    let again = MetadataRecord::decode(&written.bytes).expect("own bytes are read");
    // Not a number is unequal to itself.
    assert!(again == record || format!("{again:?}") == format!("{record:?}"));
});
