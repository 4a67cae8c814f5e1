//! A record of `__consumer_offsets`: what decodes is written again, and reads back as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;

fuzz_target!(|input: (&[u8], Option<&[u8]>)| {
    let (key, value) = input;
    let Ok(Some(record)) = CoordinatorRecord::decode(key, value) else { return };
    let (key, value) = record.encode().expect("what was read can be written");
    assert_eq!(CoordinatorRecord::decode(&key, value.as_deref()), Ok(Some(record)));
});
