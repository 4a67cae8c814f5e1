//! Record batches as a producer may send them, with every rule that can be set; the CRC is made right, so that the
//! fuzzer gets past it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog_core::record::compression::decompress;
use ringlog_core::record::{
    Batches, KeylessRule, ProduceRules, Records, ValidationLevel, crc32c, record_errors, validate_produce,
};

const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
/// Small, so that a bomb is seen as memory.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: (u8, i64, &[u8])| {
    let (flags, now_ms, bytes) = input;
    let mut bytes = bytes.to_vec();
    if flags & 1 == 0 && bytes.len() > CRC_FROM {
        let crc = crc32c(&bytes[CRC_FROM..]);
        bytes[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    }
    let rules = ProduceRules {
        level: if flags & 2 == 0 { ValidationLevel::Full } else { ValidationLevel::default() },
        keyless: if flags & 4 == 0 { KeylessRule::Reject } else { KeylessRule::default() },
        zstd: flags & 8 == 0,
        decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        ..ProduceRules::default()
    };
    let valid = validate_produce(&bytes, &rules, now_ms);
    let errors = record_errors(&bytes, &rules, now_ms, 10);
    assert!(errors.len() <= 10);
    let mut batches = Batches::new(&bytes);
    for batch in &mut batches {
        let payload = match batch.codec() {
            Ok(codec) => decompress(codec, batch.payload(), DECOMPRESSED_BYTES_MAX),
            Err(_) => continue,
        };
        let Ok(payload) = payload else { continue };
        assert!(payload.len() <= DECOMPRESSED_BYTES_MAX);
        for record in Records::new(&payload, batch.record_count()).flatten() {
            record.headers.into_iter().for_each(drop);
        }
    }
    if let Ok(valid) = valid {
        assert_eq!(valid.size_bytes, bytes.len());
        assert!(valid.record_count > 0);
    }
});
