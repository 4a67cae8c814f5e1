//! Snapshots and segments on a real file system, as a start meets them.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::control;
use super::super::controller::records_for;
use super::tests::{Live, load};
use super::*;

const KAFKAS_TIME: i64 = 5;

fn file(log_dir: &TempDir, name: &str) -> PathBuf {
    log_dir.path().join(METADATA_FOLDER).join(name)
}

fn files(log_dir: &TempDir, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(log_dir.path().join(METADATA_FOLDER)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

/// All files of the folder with what is in them.
fn content(log_dir: &TempDir) -> Vec<(String, Vec<u8>)> {
    files(log_dir, "").into_iter().map(|name| (name.clone(), std::fs::read(file(log_dir, &name)).unwrap())).collect()
}

/// Writes a snapshot as the service does, in one go.
fn take_snapshot(live: &mut Live, now_ms: i64) -> SnapshotId {
    live.log.sync().unwrap();
    let plan = live.log.begin_snapshot(now_ms);
    let epoch = plan.id.leader_epoch;
    let mut records = records_for(&live.image);
    records.extend(live.image.records());
    let (mut bytes, base_offset) = plan.header.clone();
    bytes.extend(control::record_batch(base_offset, epoch, KAFKAS_TIME, &records));
    let end_offset = base_offset + records.len() as i64;
    bytes.extend(control::control_batch(end_offset, epoch, KAFKAS_TIME, &[control::snapshot_footer()]));
    std::fs::write(live.log.folder().join(plan.id.part_name()), &bytes).unwrap();
    live.log.finish_snapshot(&plan, bytes.len() as u64).unwrap();
    plan.id
}

fn cut(path: &Path, by: usize) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() - by]).unwrap();
}

/// Topics `a` and `b`, each with a snapshot behind it in a segment of its own, and `c` behind both.
fn two_snapshots(log_dir: &TempDir) -> (Live, [SnapshotId; 2]) {
    let mut live = Live::start(log_dir.path(), 1);
    let ids = ["a", "b"].map(|name| {
        live.create(name, 3);
        live.log.roll().unwrap();
        take_snapshot(&mut live, KAFKAS_TIME)
    });
    live.create("c", 3);
    (live, ids)
}

fn segment_names(log_dir: &TempDir) -> Vec<String> {
    files(log_dir, ".log")
}

#[test]
fn a_start_goes_on_from_the_newest_snapshot() {
    let log_dir = tempfile::tempdir().unwrap();
    let (live, ids) = two_snapshots(&log_dir);
    let (image, voters) = (live.image.clone(), live.log.quorum.clone());
    drop(live);
    assert_eq!(segment_names(&log_dir).len(), 3);
    // What the snapshot holds is not looked into.
    std::fs::write(file(&log_dir, &segment_names(&log_dir)[1]), "no batch").unwrap();
    let loaded = load(log_dir.path()).unwrap();
    assert_eq!(loaded.image, image);
    assert_eq!(loaded.log.quorum, voters, "who votes is in the snapshot");
    assert_eq!(voters.voter_ids(), Some(vec![1]));
    assert_eq!(loaded.log.snapshots.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), ids);
    drop(loaded);
    let live = Live::start(log_dir.path(), 2);
    assert_eq!(live.log.leader_epoch(), 2);
    let epochs = std::fs::read_to_string(file(&log_dir, LEADER_EPOCH_FILE)).unwrap();
    assert_eq!(epochs, format!("0\n2\n1 0\n2 {}\n", image.end_offset()));
}

#[test]
fn segments_alone_are_the_same_log() {
    let log_dir = tempfile::tempdir().unwrap();
    let (live, ids) = two_snapshots(&log_dir);
    ids.iter().for_each(|id| std::fs::remove_file(file(&log_dir, &id.file_name())).unwrap());
    let loaded = load(log_dir.path()).unwrap();
    assert_eq!(loaded.image, live.image);
    let first = segment_names(&log_dir).remove(0);
    cut(&file(&log_dir, &first), 1);
    let before = content(&log_dir);
    assert!(matches!(load(log_dir.path()), Err(MetadataLogError::Corrupt { .. })), "it was durable before it was left");
    assert_eq!(content(&log_dir), before);
}

#[test]
fn a_damaged_snapshot_is_passed_over_where_an_older_one_and_the_log_hold_all() {
    let log_dir = tempfile::tempdir().unwrap();
    let (live, [older, newest]) = two_snapshots(&log_dir);
    let newest = file(&log_dir, &newest.file_name());
    let whole = std::fs::read(&newest).unwrap();
    let footer = control::control_batch(0, 1, KAFKAS_TIME, &[control::snapshot_footer()]).len();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() - footer], &whole[..whole.len() - 1], &[], &whole[footer..]] {
        std::fs::write(&newest, damaged).unwrap();
        assert_eq!(load(log_dir.path()).unwrap().image, live.image);
        assert!(!newest.exists(), "Kafka would not start with it");
    }
    std::fs::write(&newest, &whole[..whole.len() - 1]).unwrap();
    std::fs::remove_file(file(&log_dir, &segment_names(&log_dir)[0])).unwrap();
    assert_eq!(load(log_dir.path()).unwrap().image, live.image, "from the older one");
    // Nothing reaches the log now.
    std::fs::write(&newest, &whole[..whole.len() - 1]).unwrap();
    std::fs::remove_file(file(&log_dir, &segment_names(&log_dir)[0])).unwrap();
    let before = content(&log_dir);
    let error = load(log_dir.path()).unwrap_err();
    assert!(matches!(&error, MetadataLogError::DamagedSnapshot(path) if *path == newest), "{error}");
    for name in [newest, file(&log_dir, &older.file_name())] {
        std::fs::remove_file(name).unwrap();
    }
    let error = load(log_dir.path()).unwrap_err();
    assert!(matches!(error, MetadataLogError::NoSnapshot { .. }), "{error}");
    assert_eq!(content(&log_dir).last(), before.last(), "nothing was cut");
}

#[test]
fn a_damaged_snapshot_without_the_log_of_its_time_is_refused() {
    let log_dir = tempfile::tempdir().unwrap();
    let (_, [_, newest]) = two_snapshots(&log_dir);
    for name in &segment_names(&log_dir)[1..] {
        std::fs::remove_file(file(&log_dir, name)).unwrap();
    }
    cut(&file(&log_dir, &newest.file_name()), 1);
    let before = content(&log_dir);
    assert!(matches!(load(log_dir.path()), Err(MetadataLogError::DamagedSnapshot(_))));
    assert_eq!(content(&log_dir), before);
}

#[test]
fn damage_that_a_snapshot_reaches_beyond_is_not_cut() {
    let log_dir = tempfile::tempdir().unwrap();
    let mut live = Live::start(log_dir.path(), 1);
    live.create("a", 3);
    let position = live.log.position as usize;
    live.create("b", 3);
    take_snapshot(&mut live, KAFKAS_TIME);
    live.create("c", 3);
    drop(live);
    let segment = file(&log_dir, &segment_names(&log_dir)[0]);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[position + 70] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    assert!(matches!(load(log_dir.path()), Err(MetadataLogError::Corrupt { .. })));
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_snapshot_may_end_inside_of_a_batch_or_come_without_a_log() {
    let log_dir = tempfile::tempdir().unwrap();
    let mut live = Live::start(log_dir.path(), 1);
    live.create("a", 3);
    let id = take_snapshot(&mut live, KAFKAS_TIME);
    let without_last = SnapshotId { end_offset: id.end_offset - 1, ..id };
    std::fs::rename(file(&log_dir, &id.file_name()), file(&log_dir, &without_last.file_name())).unwrap();
    assert_eq!(load(log_dir.path()).unwrap().image, live.image, "the last partition's record is replayed once more");
    for name in segment_names(&log_dir) {
        std::fs::remove_file(file(&log_dir, &name)).unwrap();
    }
    std::fs::rename(file(&log_dir, &without_last.file_name()), file(&log_dir, &id.file_name())).unwrap();
    let loaded = load(log_dir.path()).unwrap();
    assert_eq!((&loaded.image, loaded.log.leader_epoch()), (&live.image, id.leader_epoch));
    assert_eq!(segment_names(&log_dir), [segment_name(id.end_offset)]);
}

#[test]
fn what_is_left_over_of_snapshots_goes() {
    let log_dir = tempfile::tempdir().unwrap();
    let live = Live::start(log_dir.path(), 1);
    let id = SnapshotId { leader_epoch: 1, end_offset: 3 };
    for name in [id.part_name(), "00000000000000000003-0000000001-5931.checkpoint.part".to_owned()] {
        std::fs::write(file(&log_dir, &name), "begun").unwrap();
    }
    live.log.remove_left_over();
    assert_eq!(files(&log_dir, ".part"), [""; 0]);
    std::fs::write(file(&log_dir, &format!("{}.deleted", id.file_name())), "old").unwrap();
    drop(load(log_dir.path()).unwrap());
    assert_eq!(files(&log_dir, ".deleted"), [""; 0]);
}

#[test]
fn old_and_large_ones_go_and_the_newest_snapshot_stays() {
    let (no_bound, now_ms) =
        (MetadataLogConfig { retention_bytes: None, retention_ms: None, ..Default::default() }, 1000);
    let left = |config: &MetadataLogConfig| {
        let log_dir = tempfile::tempdir().unwrap();
        let (mut live, _) = two_snapshots(&log_dir);
        std::fs::write(file(&log_dir, "00000000000000000000.index"), "of Kafka").unwrap();
        live.log.clean(config, now_ms).unwrap();
        assert_eq!(load(log_dir.path()).unwrap().image, live.image);
        (segment_names(&log_dir).len(), files(&log_dir, ".checkpoint").len(), files(&log_dir, ".index").len())
    };
    assert_eq!(left(&no_bound), (3, 2, 1));
    assert_eq!(left(&MetadataLogConfig { retention_ms: Some(now_ms), ..no_bound.clone() }), (3, 2, 1));
    assert_eq!(left(&MetadataLogConfig { retention_ms: Some(5), ..no_bound.clone() }), (1, 1, 0));
    assert_eq!(left(&MetadataLogConfig { retention_bytes: Some(0), ..no_bound.clone() }), (1, 1, 0));
    assert_eq!(left(&MetadataLogConfig { retention_bytes: Some(1 << 20), ..no_bound }), (3, 2, 1));
}

#[test]
fn a_segment_that_no_snapshot_holds_to_its_end_stays() {
    let log_dir = tempfile::tempdir().unwrap();
    let (mut live, [_, newest]) = two_snapshots(&log_dir);
    live.log.roll().unwrap();
    live.create("d", 1);
    live.log.clean(&MetadataLogConfig { retention_bytes: Some(0), ..Default::default() }, KAFKAS_TIME).unwrap();
    assert_eq!(segment_names(&log_dir)[0], segment_name(newest.end_offset));
    assert_eq!(load(log_dir.path()).unwrap().image, live.image);
}

#[test]
fn segments_are_left_when_they_are_large_or_old() {
    let log_dir = tempfile::tempdir().unwrap();
    let mut live = Live::start(log_dir.path(), 1);
    let config = MetadataLogConfig { segment_bytes: live.log.position + 1, segment_ms: 10, ..Default::default() };
    assert!(!live.log.is_roll_due(&config, 11), "the first record is of 1");
    assert!(live.log.is_roll_due(&config, 100));
    live.create("a", 1);
    assert!(live.log.is_roll_due(&config, 11));
    live.log.roll().unwrap();
    live.log.roll().unwrap();
    assert!(!live.log.is_roll_due(&config, i64::MAX), "there is nothing in it");
    assert_eq!(segment_names(&log_dir).len(), 2);
    live.create("b", 1);
    let loaded = load(log_dir.path()).unwrap();
    assert_eq!(loaded.image, live.image);
    assert_eq!(loaded.log.first_timestamp, Some(6));
}
