//! A directory that crashed, left as a clean stop leaves it.

use std::path::Path;

use super::{NOW_MS, World, batch_of, sync_spec};
use crate::log::*;
use crate::reactor::Disk;
use crate::reactor::sim::Crash;

/// A log with batches of these sequences and sizes, recovered by hand. The names of its producer snapshots, and the world.
fn recovered(batches: i32, value_bytes: usize) -> (Vec<String>, World) {
    let mut world = World::new(41);
    let spec = sync_spec(0);
    let mut store = world.open_with(&[]);
    let key = store.create(spec.clone()).expect("created");
    for sequence in 0..batches {
        store.append(key, &of_producer(sequence, value_bytes), 0).expect("fresh");
        while store.acked_end_offset(key) <= i64::from(sequence) {
            store.end_turn();
            world.turns(1);
            store.take_acked(&mut Vec::new());
        }
    }
    world.crash(Some(store), Crash::Power);
    let specs = std::slice::from_ref(&spec);
    recover_log_dir(&world.dyn_disk(), Path::new("/data"), specs, NOW_MS, 7).expect("recovered");
    let entries = world.disk.list_dir(&Path::new("/data").join(spec.folder())).expect("listed");
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".snapshot"));
    (names, world)
}

fn of_producer(sequence: i32, value_bytes: usize) -> bytes::Bytes {
    batch_of(Some((7, 0, sequence)), &[NOW_MS], &vec![0; value_bytes])
}

#[test]
fn of_a_producer_that_may_send_several_batches_again_kafka_reads_all_that_are_recent() {
    let name = |offset: i64| format!("{offset:020}.snapshot");
    // One batch is in the snapshot of the end; of several in one segment that of its base says nothing, which is what makes
    // Kafka look; of several in segments of two, it looks through two segments.
    for (batches, value_bytes, snapshot) in [(1, 10, 1), (5, 10, 0), (5, 900, 2)] {
        let (names, world) = recovered(batches, value_bytes);
        assert_eq!(names, [name(snapshot)], "{batches} of {value_bytes}");
        let mut store = world.open_with(&[sync_spec(0)]);
        let key = store.create(sync_spec(0)).expect("opened");
        for sequence in 0..batches {
            let again = store.append(key, &of_producer(sequence, value_bytes), 0).expect("known");
            assert_eq!((again.base_offset, again.duplicate), (i64::from(sequence), true));
        }
    }
}
