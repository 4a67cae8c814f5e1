//! The program from outside: exit codes, messages, and what `format` leaves.

use std::path::Path;

use assert_cmd::Command;

fn ringlog(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("ringlog").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

const COMBINED: &str = "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
                        listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\nlog.dirs=data\n";

#[test]
fn a_refused_configuration_exits_with_2_and_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{COMBINED}ssl.keystore.location=/k\nauthorizer.class.name=x\n");
    std::fs::write(folder.path().join("server.properties"), file).unwrap();
    for arguments in [&["server.properties"][..], &["--config", "server.properties"]] {
        let (code, text) = ringlog(folder.path(), arguments);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("ssl.keystore.location") && text.contains("authorizer.class.name"), "{text}");
    }
    assert!(!folder.path().join("data").exists());
    assert_eq!(ringlog(folder.path(), &["--no-such-option"]).0, 2);
    assert_eq!(ringlog(folder.path(), &["missing.properties"]).0, 2);
}

#[test]
fn format_makes_a_directory_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.properties"), COMBINED).unwrap();
    let format = ["format", "-c", "server.properties", "-t", "YuKTBJ3TSLit9780HtVQDA"];
    let (code, text) = ringlog(folder.path(), &format);
    assert_eq!((code, text.contains("YuKTBJ3TSLit9780HtVQDA")), (0, true), "{text}");
    let data = folder.path().join("data");
    assert!(
        std::fs::read_to_string(data.join("meta.properties")).unwrap().contains("cluster.id=YuKTBJ3TSLit9780HtVQDA")
    );
    assert!(data.join("bootstrap.checkpoint").exists());
    assert!(data.join("__cluster_metadata-0/00000000000000000000-0000000000.checkpoint").exists());
    let (code, text) = ringlog(folder.path(), &format);
    assert_eq!((code, text.contains("already formatted")), (1, true), "{text}");
    assert_eq!(ringlog(folder.path(), &[&format[..], &["-g"]].concat()).0, 0);
}

/// Runs with these environment variables besides; exit code and standard output.
fn with_environment(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("ringlog").unwrap();
    let output = command.current_dir(folder).envs(variables.iter().copied()).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.properties"), format!("{COMBINED}num.partitions=3\n")).unwrap();
    let variables = [("KAFKA_LOG_RETENTION_MS", "5000"), ("KAFKA_NUM_PARTITIONS", "4"), ("KAFKA_HEAP_OPTS", "-Xmx1g")];
    let show = ["config", "show", "server.properties", "--override", "log.segment.bytes=1048576", "--origin"];
    let (code, text) = with_environment(folder.path(), &variables, &show);
    assert_eq!(code, 0, "{text}");
    let row = |key: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("{key} in\n{text}")).split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("node.id"), "1 file server.properties");
    assert_eq!(row("num.partitions"), "4 environment KAFKA_NUM_PARTITIONS");
    assert_eq!(row("log.retention.ms"), "5000 environment KAFKA_LOG_RETENTION_MS");
    assert_eq!(row("log.segment.bytes"), "1048576 --override");
    assert_eq!(row("auto.create.topics.enable"), "true default");

    let json = ["config", "show", "server.properties", "--format", "json"];
    let (_, text) = with_environment(folder.path(), &variables, &json);
    let keys: serde_json::Value = serde_json::from_str(&text).unwrap();
    let found = keys.as_array().unwrap().iter().find(|key| key["name"] == "num.partitions").unwrap();
    assert_eq!((&found["value"], &found["acts"]), (&"4".into(), &true.into()));

    let (_, text) = with_environment(folder.path(), &variables, &["config", "show", "server.properties"]);
    assert!(text.lines().any(|line| line == "num.partitions=4"), "{text}");
}

#[test]
fn a_directory_gets_the_cluster_id_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("CLUSTER_ID", "YuKTBJ3TSLit9780HtVQDA"), ("KAFKA_LOG_DIRS", "elsewhere")];
    let (code, text) = with_environment(folder.path(), &variables, &["format"]);
    assert_eq!((code, text.contains("YuKTBJ3TSLit9780HtVQDA")), (0, true), "{text}");
    assert!(folder.path().join("elsewhere/meta.properties").exists());
}

#[test]
fn doctor_names_what_keeps_a_broker_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = format!("listeners=PLAINTEXT://{}", taken.local_addr().unwrap());
    let (code, text) = ringlog(folder.path(), &["doctor", "--override", &listeners, "--format", "json"]);
    let checks: serde_json::Value = serde_json::from_str(&text).unwrap();
    let check = |name: &str| checks.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone();
    assert_eq!((code, check("listener")["verdict"].as_str()), (1, Some("failure")), "{text}");
    assert!(check("listener")["fix"].as_str().unwrap().contains("another process"), "{text}");
    assert_eq!(check("io_uring")["verdict"], "ok");
    drop(taken);
    let (code, text) = ringlog(folder.path(), &["doctor", "--override", "listeners=PLAINTEXT://127.0.0.1:0"]);
    assert_eq!((code, text.contains("the broker formats it")), (0, true), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing");
}

#[test]
fn completion_scripts_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = ringlog(folder.path(), &["completion", "bash"]);
    assert_eq!((code, text.contains("complete ")), (0, true));
}
