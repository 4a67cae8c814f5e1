//! `ringlog doctor` tells of a directory what a start then does with it: it serves, it recovers, or it refuses with the same
//! words.

mod outside;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use outside::client::Client;
use outside::{Broker, command};
use serde_json::Value;
use tempfile::TempDir;

const PROPERTIES: &str = "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
                          listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\nlog.dirs=data\n";
/// Of a Kafka that served, with its clean stop.
const METADATA: &[u8] = include_bytes!("golden/cluster_metadata.log");
const META_PROPERTIES: &str =
    "node.id=1\ndirectory.id=oaLnqIb5RCGrRchxVC216Q\nversion=1\ncluster.id=YuKTBJ3TSLit9780HtVQDA\n";
const LOG: &str = "data/__cluster_metadata-0/00000000000000000000.log";
const CLEAN_STOP: &str = "data/.kafka_cleanshutdown";

/// A folder with `server.properties`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("server.properties"), PROPERTIES).unwrap();
    folder
}

/// As Kafka leaves it at a clean stop.
fn left_by_kafka() -> TempDir {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("data/__cluster_metadata-0")).unwrap();
    fs::write(path("data/meta.properties"), META_PROPERTIES).unwrap();
    fs::write(path(LOG), METADATA).unwrap();
    fs::write(path(CLEAN_STOP), r#"{"version":0,"brokerEpoch":13}"#).unwrap();
    folder
}

/// As Ringlog leaves it when it is killed behind an acked record.
fn left_by_killed_ringlog() -> TempDir {
    let folder = folder();
    let broker = Broker::start(folder.path(), &["server.properties", "--format"]);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    client.produce(topic, 0, b"acked");
    drop(broker);
    folder
}

/// What the doctor finds of the directory, each with verdict and what to do, and its exit code.
fn doctor(folder: &Path) -> (Vec<[String; 3]>, i32) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringlog"));
    let command = command.current_dir(folder).args(["doctor", "server.properties", "--format", "json"]);
    let output = command.output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = checks.iter().filter(|check| check["name"] == "directory");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = found.map(|check| [text(&check["verdict"]), text(&check["found"]), text(&check["fix"])]);
    (found.collect(), output.status.code().unwrap())
}

/// Starts a broker and stops it: `None`, or what it says where it ends by itself.
fn start(folder: &Path) -> Option<String> {
    let mut command = command(folder, &["server.properties"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
    if !said.is_empty() {
        process.kill().unwrap();
        process.wait().unwrap();
        return None;
    }
    Some(String::from_utf8(process.wait_with_output().unwrap().stderr).unwrap())
}

/// The doctor's only finding about the directory is this, and a start refuses it if it is a failure.
#[track_caller]
fn expect(folder: &Path, verdict: &str, found: &str, fix: &str) {
    let (checks, code) = doctor(folder);
    let [check] = &checks[..] else { panic!("{checks:?}") };
    assert!(check[0] == verdict && check[1].contains(found) && check[2].contains(fix), "{check:?}");
    assert_eq!(code, i32::from(verdict == "failure"));
    match (verdict, start(folder)) {
        ("failure", Some(said)) => assert!(said.contains(found) && said.contains(fix), "{said}"),
        ("ok" | "warning", None) => {}
        (_, said) => panic!("{verdict}, and a start says {said:?}"),
    }
}

#[test]
fn a_directory_of_ringlog() {
    let folder = folder();
    expect(folder.path(), "failure", "data", "ringlog format");
    let broker = Broker::start(folder.path(), &["server.properties", "--format"]);
    let (checks, _) = doctor(folder.path());
    assert!(checks[0][0] == "warning" && checks[0][1].contains("another broker uses"), "{checks:?}");
    assert_eq!(broker.stop(), Some(0));
    expect(folder.path(), "ok", "stopped cleanly", "");
}

#[test]
fn a_directory_of_a_killed_ringlog() {
    let folder = left_by_killed_ringlog();
    expect(folder.path(), "warning", "its next start recovers", "before Apache Kafka is started: ringlog recover");
}

#[test]
fn a_formatted_directory() {
    let folder = folder();
    let mut format = std::process::Command::new(env!("CARGO_BIN_EXE_ringlog"));
    let format = format.current_dir(folder.path()).args(["format", "-c", "server.properties"]);
    assert!(format.stdout(Stdio::null()).status().unwrap().success());
    expect(folder.path(), "ok", "without partitions yet", "");
}

#[test]
fn a_directory_of_kafka() {
    let folder = left_by_kafka();
    expect(folder.path(), "ok", "cluster YuKTBJ3TSLit9780HtVQDA, stopped cleanly", "");
}

#[test]
fn a_directory_of_a_killed_kafka() {
    let folder = left_by_kafka();
    fs::remove_file(folder.path().join(CLEAN_STOP)).unwrap();
    expect(
        folder.path(),
        "failure",
        "Apache Kafka did not stop cleanly here",
        "start Kafka on this directory once more",
    );
}

#[test]
fn a_directory_of_a_quorum_of_several_nodes() {
    let folder = folder();
    let mut format = std::process::Command::new(env!("CARGO_BIN_EXE_ringlog"));
    let format = format.current_dir(folder.path()).args(["format", "-c", "server.properties"]);
    assert!(format.args(["--override", "node.id=3"]).stdout(Stdio::null()).status().unwrap().success());
    let path = folder.path().join("data/meta.properties");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("node.id=3", "node.id=1")).unwrap();
    expect(folder.path(), "failure", "other voters than this node: [3]", "Ringlog takes over a cluster of one node");
}

#[test]
fn a_directory_of_another_node_or_of_nobody() {
    let folder = left_by_kafka();
    fs::write(folder.path().join("data/meta.properties"), META_PROPERTIES.replace("node.id=1", "node.id=2")).unwrap();
    let (checks, code) = doctor(folder.path());
    assert!(code == 1 && checks[0][1].contains("stored node id 2"), "{checks:?}");
    assert!(start(folder.path()).unwrap().contains("stored node id 2"));
    fs::remove_file(folder.path().join("data/meta.properties")).unwrap();
    let (checks, code) = doctor(folder.path());
    assert!(code == 1 && checks[0][1].contains("no readable meta.properties"), "{checks:?}");
    assert!(start(folder.path()).unwrap().contains("no readable meta.properties"));
}

#[test]
fn a_metadata_log_that_is_cut_behind_a_clean_stop() {
    let folder = left_by_kafka();
    fs::write(folder.path().join(LOG), &METADATA[..METADATA.len() - 1]).unwrap();
    let (checks, code) = doctor(folder.path());
    assert!(code == 1 && checks[0][1].contains("the metadata log is damaged"), "{checks:?}");
    assert!(start(folder.path()).unwrap().contains("the metadata log is damaged"));
    assert_eq!(fs::read(folder.path().join(LOG)).unwrap().len(), METADATA.len() - 1);
    assert!(!folder.path().join("data/.ringlog").exists(), "nothing was changed");
}

#[test]
fn a_partition_whose_folder_is_gone() {
    let folder = left_by_kafka();
    let checkpoint = folder.path().join("data/recovery-point-offset-checkpoint");
    fs::write(&checkpoint, "0\n1\n__consumer_offsets 0 4\n").unwrap();
    let gone = "the folder of a partition is gone: __consumer_offsets-0, which ended at offset 4";
    expect(folder.path(), "failure", gone, "bring the folders back from a copy");
}
