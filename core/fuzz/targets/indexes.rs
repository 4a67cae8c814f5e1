//! Offset and time index: damage is found or harmless, and a look-up in any bytes ends with an entry that is not beyond
//! what was looked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::log::{
    OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES, check_offset_index, check_time_index, look_up_offset, look_up_timestamp,
    offset_entries, time_entries, truncated_offset_index_len, truncated_time_index_len, used_index_len,
};

fuzz_target!(|input: (i64, i64, u64, &[u8])| {
    let (base_offset, sought, log_bytes, bytes) = input;
    let base_offset = base_offset & (i64::MAX >> 1);

    let used = used_index_len::<OFFSET_ENTRY_BYTES>(bytes);
    assert!(used <= bytes.len() && used % OFFSET_ENTRY_BYTES == 0);
    if check_offset_index(bytes, base_offset, log_bytes).is_ok() {
        let entries: Vec<_> = offset_entries(bytes, base_offset).collect();
        assert!(entries.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let found = look_up_offset(bytes, base_offset, sought);
        assert!(found.offset <= sought.max(base_offset));
        let kept = truncated_offset_index_len(bytes, base_offset, sought);
        assert!(kept <= bytes.len() && offset_entries(&bytes[..kept], base_offset).all(|entry| entry.offset < sought));
    } else {
        look_up_offset(bytes, base_offset, sought);
    }

    let used = used_index_len::<TIME_ENTRY_BYTES>(bytes);
    assert!(used <= bytes.len() && used % TIME_ENTRY_BYTES == 0);
    if check_time_index(bytes, base_offset, i64::MAX).is_ok() {
        let entries: Vec<_> = time_entries(bytes, base_offset).collect();
        assert!(entries.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp));
        look_up_timestamp(bytes, base_offset, sought);
        assert!(truncated_time_index_len(bytes, base_offset, sought) <= bytes.len());
    } else {
        look_up_timestamp(bytes, base_offset, sought);
    }
});
