//! `ringlog doctor` tells damage in the logs of a stopped broker, and changes nothing.

mod outside;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use outside::client::Client;
use outside::{ANY_PORT, Broker};
use serde_json::Value;

/// Verdicts and findings about logs, and the exit code.
fn doctor(data: &Path, more: &[&str]) -> (Vec<(String, String)>, i32) {
    let mut command = Command::cargo_bin("ringlog").unwrap();
    let log_dir = format!("log.dirs={}", data.display());
    let command = command.arg("doctor").args(ANY_PORT).args(["--override", &log_dir, "--format", "json"]).args(more);
    let output = command.output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let logs = checks.iter().filter(|check| check["name"] == "logs");
    (logs.map(|check| (text(check, "verdict"), text(check, "found"))).collect(), output.status.code().unwrap())
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => files.extend(contents(&path)),
            path => _ = files.insert(path.clone(), fs::read(&path).unwrap()),
        }
    }
    files
}

#[test]
fn damage_is_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let log_dir = format!("log.dirs={}", data.display());
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &["--override", &log_dir]].concat());
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    for value in [b"first", b"other", b"third"] {
        client.produce(topic, 0, value);
    }
    assert_eq!(broker.stop(), Some(0));
    let (found, code) = doctor(&data, &["--scan"]);
    assert_eq!((&*found[0].0, code), ("ok", 0), "{found:?}");

    let segment = data.join("t-0/00000000000000000000.log");
    let sound = fs::read(&segment).unwrap();
    let mut bytes = sound.clone();
    let at = bytes.windows(5).position(|window| window == b"other").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let before = contents(&data);
    let (found, code) = doctor(&data, &["--scan"]);
    assert_eq!((&*found[0].0, code), ("failure", 1), "{found:?}");
    assert!(found[0].1.contains("t-0/00000000000000000000.log: offset 1, byte"), "{found:?}");
    assert_eq!(contents(&data), before);
    assert_eq!(doctor(&data, &[]).1, 0, "batches are read where that is asked for");

    fs::write(&segment, &sound[..sound.len() - 1]).unwrap();
    fs::remove_file(segment.with_extension("timeindex")).unwrap();
    let (found, _) = doctor(&data, &["--scan"]);
    let expected = [
        ("warning", "t-0/00000000000000000000.timeindex is not there"),
        ("failure", "t-0/00000000000000000000.log: offset 2, byte"),
        ("failure", "t-0: recovery point 3, the log ends at 2"),
        ("failure", "t-0: high watermark 3, the log ends at 2"),
    ];
    for ((verdict, words), found) in expected.iter().zip(&found) {
        assert!(found.0 == *verdict && found.1.contains(words), "{words}: {found:?}");
    }

    fs::remove_file(&segment).unwrap();
    let (found, code) = doctor(&data, &[]);
    assert!(code == 1 && found[0].1 == "t-0 holds no segment", "{found:?}");

    fs::write(data.join("recovery-point-offset-checkpoint"), "0\n2\nt 0 3\n").unwrap();
    let (found, code) = doctor(&data, &[]);
    assert!(code == 1 && found[0].1.starts_with("recovery-point-offset-checkpoint: "), "{found:?}");
}

#[test]
fn an_index_that_a_killed_broker_had_not_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let log_dir = format!("log.dirs={}", data.display());
    let page_cache = ["--override", &log_dir, "--override", "ringlog.durability=page-cache"];
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &page_cache].concat());
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    client.produce(topic, 0, b"acked");
    drop(broker);
    assert!(!data.join("t-0/00000000000000000000.index").exists(), "it is written when the segment is done");
    let (found, code) = doctor(&data, &["--scan"]);
    assert_eq!((found.len(), &*found[0].0, code), (1, "ok", 0), "{found:?}");
}
