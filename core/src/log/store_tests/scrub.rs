//! Damage below what is synced: it is found, named, refused, and nothing else is.

use super::*;

fn scrub(world: &World, store: &mut LogStore, key: LogKey) -> Scrubbed {
    let scrub = store.begin_scrub(key).expect("there is data");
    let scrubbed = world.reactor.block_on(scrub.run(&mut Pace::new(f64::MAX))).expect("looked through");
    store.note_damages(key, &scrubbed.damages);
    scrubbed
}

/// Thirty batches of one record in several segments, and the base offsets of these.
fn filled(world: &World, durability: Durability) -> (LogStore, LogKey, Vec<i64>) {
    let spec = LogSpec { durability, ..spec(0) };
    let mut store = world.open_with(std::slice::from_ref(&spec));
    let key = store.create(spec).expect("created");
    for tag in 0..30 {
        store.append(key, &batch(1, 200, tag), 3).expect("appended");
        store.end_turn();
        world.turns(5);
        store.take_acked(&mut Vec::new());
    }
    let bases = bases(world);
    (store, key, bases)
}

fn bases(world: &World) -> Vec<i64> {
    let entries = world.disk.list_dir(Path::new("/data/t-0")).expect("the folder");
    entries.iter().filter_map(|entry| entry.name.strip_suffix(".log")?.parse().ok()).collect()
}

/// Flips a bit of a segment.
fn flip(world: &World, base: i64, position: u64) {
    let path = PathBuf::from(format!("/data/t-0/{base:020}.log"));
    let file = File::open(&world.dyn_disk(), &path, OpenMode::READ_WRITE).expect("there");
    let mut byte = [0];
    file.read_at(position, &mut byte).expect("readable");
    file.write_all_at(position, &[byte[0] ^ 4]).expect("writable");
}

/// What a reader gets from an offset on: where it stops, or why it gets nothing.
fn read_end(store: &mut LogStore, key: LogKey, from: i64) -> Result<i64, ReadError> {
    let bound = store.acked_end_offset(key);
    let ReadResult::Ready(pieces) = store.read(key, from, bound, 1 << 20, true)? else { panic!("it is in memory") };
    let bytes = joined(&pieces);
    let mut rest = &bytes[..];
    let mut end = from;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).expect("whole batches");
        end = header.last_offset() + 1;
        rest = &rest[header.size_bytes as usize..];
    }
    Ok(end)
}

#[test]
fn a_flipped_bit_is_found_and_its_batch_refused() {
    for durability in [Durability::Sync, Durability::PageCache] {
        let world = World::new(3);
        let (mut store, key, bases) = filled(&world, durability);
        assert!(bases.len() > 3, "{bases:?}");
        let clean = scrub(&world, &mut store, key);
        assert!(clean.damages.is_empty() && clean.bytes > 5_000, "{clean:?}");

        let (base, next) = (bases[1], bases[2]);
        let size = (HEADER_BYTES + 209) as u64;
        flip(&world, base, size + 100);
        let found = scrub(&world, &mut store, key).damages;
        let [damage] = &found[..] else { panic!("{found:?}") };
        assert_eq!((damage.segment, damage.offsets.clone()), (base, base + 1..base + 2));
        assert_eq!(damage.reason, "the CRC is wrong");
        assert_eq!(store.damaged_count(), 1);
        assert!(read_end(&mut store, key, base).expect("what is before") <= base + 1);
        assert!(matches!(read_end(&mut store, key, base + 1), Err(ReadError::Damaged { .. })));
        assert!(read_end(&mut store, key, base + 2).expect("what is behind") > base + 2);

        // A damaged length: nothing of the segment can be found behind it.
        flip(&world, base, size + 9);
        let found = scrub(&world, &mut store, key).damages;
        let [damage] = &found[..] else { panic!("{found:?}") };
        assert_eq!((damage.position, damage.offsets.clone()), (size, base + 1..next));
        assert!(matches!(read_end(&mut store, key, next - 1), Err(ReadError::Damaged { .. })));
        assert!(read_end(&mut store, key, next).expect("the next segment") > next);

        flip(&world, base, size + 9);
        flip(&world, base, size + 100);
        assert_eq!(scrub(&world, &mut store, key).damages, []);
        assert!(read_end(&mut store, key, base + 1).expect("made good") > base + 1);
    }
}

#[test]
fn a_log_that_was_not_used_since_the_start_is_looked_through_and_stays_closed() {
    let world = World::new(4);
    let (store, ..) = filled(&world, Durability::Sync);
    world.close(store);
    let mut store = world.open_with(&[LogSpec { durability: Durability::Sync, ..spec(0) }]);
    let key = store.create(LogSpec { durability: Durability::Sync, ..spec(0) }).expect("created");
    assert_eq!(scrub(&world, &mut store, key).damages, []);
    let last = *bases(&world).last().expect("segments");
    let path = PathBuf::from(format!("/data/t-0/{last:020}.log"));
    let file = File::open(&world.dyn_disk(), &path, OpenMode::READ_WRITE).expect("there");
    file.set_len(file.len().expect("a length") / 2).expect("cut");
    let found = scrub(&world, &mut store, key).damages;
    assert_eq!((found.len(), found[0].segment, found[0].offsets.end), (1, last, 30), "{found:?}");
    assert!(store.opened_size(key).is_none(), "it stays closed");
}

#[test]
fn what_cannot_be_read_is_damage() {
    let world = World::new(5);
    let (mut store, key, bases) = filled(&world, Durability::Sync);
    world.disk.inject(DiskFault::eio(&format!("{:020}.log", bases[1]), DiskCall::Read));
    let found = scrub(&world, &mut store, key).damages;
    let [damage] = &found[..] else { panic!("{found:?}") };
    assert_eq!(damage.offsets, bases[1]..bases[2]);
    assert!(damage.reason.contains("cannot be read"), "{damage:?}");
}
