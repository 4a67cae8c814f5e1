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
