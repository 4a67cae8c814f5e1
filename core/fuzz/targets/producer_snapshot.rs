//! Producer snapshot: damage is found; what is read is written again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::log::ProducerState;

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = ProducerState::decode(bytes) else { return };
    let written = state.encode();
    let again = ProducerState::decode(&written).expect("own bytes are read");
    assert_eq!(again.producers(), state.producers());
    assert_eq!(again.encode(), written);
});
