//! `.txnindex` files that are damaged, in a log as Kafka leaves it.

use std::path::Path;

use super::{NOW_MS, World, spec};
use crate::log::transaction_index::AbortedTransaction;
use crate::log::*;
use crate::reactor::{read_file, replace_file};
use crate::record::{BatchBuilder, NewRecord};

const LOG_END: i64 = 9;

/// Offset and batch: a record of a producer's transaction, or its marker.
fn batch(offset: i64, producer_id: i64, marker: Option<u8>) -> Vec<u8> {
    let mut builder = BatchBuilder::new().at(offset, 0).producer(producer_id, 0, 0).transactional();
    let (key, value) = ([0, 0, 0, marker.unwrap_or(0)], [0; 6]);
    if marker.is_some() {
        builder = builder.producer(producer_id, 0, -1).control();
    }
    builder.push(NewRecord { timestamp: NOW_MS, key: Some(&key), value: Some(&value), ..NewRecord::default() });
    builder.build()
}

#[test]
fn a_damaged_transaction_index_is_made_again_from_the_batches() {
    let (abort, commit) = (Some(0), Some(1));
    // 1 is open over both segments and aborted in the second one, 2 aborted in the first, 3 committed, 4 stays open.
    let first = [batch(0, 1, None), batch(1, 2, None), batch(2, 2, abort), batch(3, 3, None)];
    let second = [batch(4, 3, commit), batch(5, 4, None), batch(6, 1, abort), batch(7, 2, abort), batch(8, 3, None)];
    let entry = |producer_id, first_offset, last_offset, last_stable_offset| {
        AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset }.encode().to_vec()
    };
    let indexes = [entry(2, 1, 2, 0), entry(1, 0, 6, 5)];
    // The producers at the second segment, or none: then the first one is walked, too.
    for has_snapshot in [true, false] {
        for damaged in 0..2 {
            for damage in [&indexes[damaged][..33], &[7; 34], &indexes[1 - damaged], &entry(1, 6, 5, 0)] {
                let world = World::new(21);
                let disk = world.dyn_disk();
                let dir = Path::new("/data").join(spec(0).folder());
                disk.create_dir_all(&dir).expect("made");
                let write = |name: &str, bytes: &[u8]| {
                    replace_file(&disk, &Path::new("/data").join(name), bytes).expect("written");
                };
                let file = |base: i64, extension: &str| format!("{}/{base:020}.{extension}", spec(0).folder());
                write(
                    &format!("{}/partition.metadata", spec(0).folder()),
                    encode_partition_metadata(spec(0).topic_id).as_bytes(),
                );
                write(&file(0, "log"), &first.concat());
                write(&file(4, "log"), &second.concat());
                write(&file(0, "txnindex"), &indexes[0]);
                write(&file(4, "txnindex"), &indexes[1]);
                write(&file([0, 4][damaged], "txnindex"), damage);
                if has_snapshot {
                    let mut producers = ProducerState::default();
                    for (producer_id, base_offset) in [(1, 0), (3, 3)] {
                        let _ = producers.update(&ProducerBatch {
                            producer_id,
                            producer_epoch: 0,
                            base_sequence: 0,
                            last_offset_delta: 0,
                            base_offset,
                            timestamp: NOW_MS,
                            is_transactional: true,
                        });
                    }
                    write(&file(4, "snapshot"), &producers.encode());
                }
                write(RECOVERY_POINT_FILE, format!("0\n1\nt 0 {LOG_END}\n").as_bytes());
                write(CLEAN_SHUTDOWN_FILE, b"");
                let mut store = world.open_with(&[spec(0)]);
                let key = store.create(spec(0)).expect("known");
                let committed = store.committed(key, 0).expect("opened");
                assert_eq!(committed.last_stable_offset, 5, "4 is open");
                let aborted: Vec<_> = committed.aborted.iter().map(|aborted| aborted.last_offset).collect();
                assert_eq!(aborted, [6, 2]);
                for (base, index) in [0, 4].into_iter().zip(&indexes) {
                    let bytes = read_file(&disk, &Path::new("/data").join(file(base, "txnindex"))).expect("there");
                    assert_eq!(bytes, *index, "{has_snapshot} {damaged} {base}");
                }
            }
        }
    }
}
