//! `ringlog topic`, `produce`, `consume` and `log dump`, against a broker that runs.

#![expect(clippy::disallowed_methods, reason = "it waits for another process")]

mod outside;

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use outside::{ANY_PORT, Broker};
use ringlog_core::log::OffsetCheckpoint;
use ringlog_core::record::{BatchBuilder, NewRecord};
use serde_json::Value;

/// A broker, and the commands that are pointed at it.
struct Scene {
    folder: tempfile::TempDir,
    broker: Broker,
}

impl Scene {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(folder.path(), &ANY_PORT);
        Self { folder, broker }
    }

    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut command = Command::cargo_bin("ringlog").unwrap();
        let command = command.env("RINGLOG_BOOTSTRAP", self.broker.addresses[0].to_string());
        let output = command.args(arguments).write_stdin(input).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn done(&self, arguments: &[&str], input: &str) -> String {
        let (code, output, errors) = self.run(arguments, input);
        assert_eq!(code, 0, "{arguments:?}: {errors}");
        output
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--format", "json"]].concat(), "")).unwrap()
    }
}

#[test]
fn topics_are_created_described_altered_and_deleted() {
    let scene = Scene::start();
    assert_eq!(
        scene.done(&["topic", "create", "a", "b", "-p", "2", "-c", "retention.ms=5000"], ""),
        "created a\ncreated b\n"
    );
    assert_eq!(
        scene.done(&["topic", "list"], ""),
        "NAME  PARTITIONS  REPLICAS\na              2         1\nb              2         1\n"
    );
    scene.done(&["topic", "alter", "a", "-p", "3", "-c", "segment.bytes=1048576", "--unset", "retention.ms"], "");
    let described = scene.json(&["topic", "describe", "a"]);
    assert_eq!(described[0]["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(described[0]["configs"], serde_json::json!([{"name": "segment.bytes", "value": "1048576"}]));
    assert_eq!(scene.done(&["topic", "delete", "b"], ""), "deleted b\n");
    assert_eq!(scene.json(&["topic", "list"]).as_array().unwrap().len(), 1);

    for (arguments, reason) in [
        (&["topic", "describe", "nothing"][..], "UNKNOWN_TOPIC_OR_PARTITION"),
        (&["topic", "create", "a"], "TOPIC_ALREADY_EXISTS"),
        (&["topic", "create", "c", "-c", "retention.mss=1"], "did you mean retention.ms?"),
        (&["topic", "alter", "a", "-p", "1"], "INVALID_PARTITIONS"),
        (&["topic", "list", "-b", "127.0.0.1:1"], "127.0.0.1:1"),
    ] {
        let (code, _, errors) = scene.run(arguments, "");
        assert!(code == 1 && errors.contains(reason), "{arguments:?}: {code} {errors}");
    }
    assert_eq!(scene.run(&["topic", "alter", "a"], "").0, 2, "nothing to alter is wrong usage");
}

#[test]
fn the_folder_of_a_deleted_topic_goes() {
    let scene = Scene::start();
    scene.done(&["topic", "create", "t", "-c", "ringlog.durability=page-cache"], "");
    scene.done(&["produce", "t"], "record\n");
    let has_folder = || {
        let mut entries = std::fs::read_dir(scene.folder.path().join("ringlog-data")).unwrap();
        entries.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("t-0"))
    };
    assert!(has_folder());
    scene.done(&["topic", "delete", "t"], "");
    // Behind the answer.
    (0..1000).take_while(|_| has_folder()).for_each(|_| std::thread::sleep(Duration::from_millis(10)));
    assert!(!has_folder());
}

#[test]
fn lines_become_records_and_records_lines() {
    let scene = Scene::start();
    scene.done(&["topic", "create", "t", "-p", "3"], "");
    let said = scene.done(&["produce", "t", "-k", ":", "-H", "from=test", "-z", "zstd"], "a:1\nab:2\nabc:3\na:4\n");
    // The partitions are those of Java's partitioner.
    let place = |key: &[u8]| ringlog_core::record::partition_of(key, 3);
    assert!(said.contains(&format!("t-{}: ", place(b"a"))), "{said}");
    let pattern = ["consume", "t", "-e", "-f", "%p %k=%v %h\\n"];
    let mut lines: Vec<String> = scene.done(&pattern, "").lines().map(str::to_owned).collect();
    lines.sort();
    let line = |key: &str, value: u32| format!("{} {key}={value} from=test", place(key.as_bytes()));
    let mut expected = vec![line("a", 1), line("ab", 2), line("abc", 3), line("a", 4)];
    expected.sort();
    assert_eq!(lines, expected);

    scene.done(&["produce", "t", "-p", "1", "-Z"], "\nlast\n");
    let last = scene.done(&["consume", "t", "-p", "1", "-o", "-1", "-n", "1"], "");
    assert_eq!(last, "last\n");
    let json = scene.done(&["consume", "t", "-p", "1", "-o", "-2", "-e", "--format", "json"], "");
    let records: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["value"], &records[1]["value"]), (&Value::Null, &"last".into()));
    let time = format!("@{}", records[1]["timestamp"].as_i64().unwrap() + 1);
    assert_eq!(scene.done(&["consume", "t", "-p", "1", "-o", &time, "-e"], ""), "", "nothing is newer");

    for (arguments, input) in [
        (&["produce", "t", "-k", ":"][..], "no separator\n"),
        (&["produce", "t", "-p", "9"], "x\n"),
        (&["consume", "t", "-p", "9"], ""),
        (&["consume", "t", "-o", "somewhere"], ""),
        (&["consume", "t", "-f", "%q"], ""),
    ] {
        assert_eq!(scene.run(arguments, input).0, 2, "{arguments:?}");
    }
}

#[test]
fn files_are_dumped_and_damage_is_named() {
    let scene = Scene::start();
    scene.done(&["topic", "create", "t"], "");
    scene.done(&["produce", "t", "-k", "="], "k=v\nk=w\n");
    let data = scene.folder.path().join("ringlog-data");
    let Scene { folder, broker } = scene;
    assert_eq!(broker.stop(), Some(0));
    let dump = |file: &Path, more: &[&str]| {
        let mut command = Command::cargo_bin("ringlog").unwrap();
        let output = command.args(["log", "dump"]).arg(file).args(more).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    let segment = data.join("t-0/00000000000000000000.log");
    let (code, text) = dump(&segment, &["-r"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("batch offset: 0 last_offset: 1 records: 2 position: 0"), "{text}");
    assert!(text.contains("  record offset: 1") && text.contains("key: k value: w"), "{text}");
    let (_, text) = dump(&data.join("__cluster_metadata-0/00000000000000000000.log"), &["-r", "--format", "json"]);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    assert!(text.contains("TopicRecord"), "{text}");
    for name in ["00000000000000000000.index", "00000000000000000000.timeindex"] {
        assert_eq!(dump(&data.join("t-0").join(name), &[]).0, 0, "{name}");
    }
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = folder.path().join("00000000000000000000.log");
    std::fs::write(&damaged, bytes).unwrap();
    let (code, text) = dump(&damaged, &[]);
    assert!(code == 1 && text.contains("wrong CRC"), "{text}");
    assert_eq!(dump(&data.join("meta.properties"), &[]).0, 2);
}

/// One transactional batch of producer 7; a marker if `key` is one.
fn transactional(base_offset: i64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let is_marker = key.len() == 4;
    let builder = BatchBuilder::new().at(base_offset, 0).transactional();
    let sequence = if is_marker { -1 } else { base_offset as i32 / 2 };
    let mut builder = builder.producer(7, 0, sequence);
    if is_marker {
        builder = builder.control();
    }
    builder.push(NewRecord { timestamp: 1, key: Some(key), value: Some(value), headers: &[] });
    builder.build()
}

#[test]
fn readers_of_committed_data_are_not_shown_what_was_aborted() {
    let scene = Scene::start();
    scene.done(&["topic", "create", "t"], "");
    scene.done(&["produce", "t"], "plain\n");
    let Scene { folder, broker } = scene;
    assert_eq!(broker.stop(), Some(0));
    // As Apache Kafka leaves it: offset 1 aborted by the marker at 2, offset 3 committed by the one at 4.
    let log_dir = folder.path().join("ringlog-data");
    let segment = log_dir.join("t-0/00000000000000000000.log");
    let batches = [
        transactional(1, b"k", b"aborted"),
        transactional(2, &[0, 0, 0, 0], &[0; 6]),
        transactional(3, b"k", b"committed"),
        transactional(4, &[0, 0, 0, 1], &[0; 6]),
    ];
    let plain = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, [plain, batches.concat()].concat()).unwrap();
    let entry = [&[0, 0][..], &7i64.to_be_bytes(), &1i64.to_be_bytes(), &2i64.to_be_bytes(), &1i64.to_be_bytes()];
    let index = segment.with_extension("txnindex");
    std::fs::write(&index, entry.concat()).unwrap();
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        let mut offsets = OffsetCheckpoint::decode(&std::fs::read(log_dir.join(name)).unwrap()).unwrap();
        offsets.0.insert(("t".to_owned(), 0), 5);
        std::fs::write(log_dir.join(name), offsets.encode()).unwrap();
    }
    let mut dump = Command::cargo_bin("ringlog").unwrap();
    let output = dump.args(["log", "dump"]).arg(&index).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "aborted producer_id: 7 first_offset: 1 last_offset: 2 last_stable_offset: 1\n");

    let broker = Broker::start(folder.path(), &ANY_PORT);
    let scene = Scene { folder, broker };
    let consume = ["consume", "t", "-e", "-f", "%o %v\\n"];
    assert_eq!(scene.done(&consume, ""), "0 plain\n1 aborted\n3 committed\n");
    let committed = [&consume[..], &["--isolation-level", "read_committed"]].concat();
    assert_eq!(scene.done(&committed, ""), "0 plain\n3 committed\n");
}
