//! What scripts rely on: the exit code of the program, and the reason on stderr where no table is printed.

#[path = "common/sink.rs"]
mod sink;

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use ringlog_loadgen::sink::{Fault, SinkConfig};
use sink::sink;

/// 100 requests of one record.
fn produce(sink: SocketAddr, flags: &str) -> (Option<i32>, String) {
    let command =
        format!("produce --bootstrap {sink} --topic t --partitions 1 --records-per-batch 1 --num-records 100");
    let Output { status, stderr, .. } = run(&format!("{command} {flags}"));
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn run(command: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_ringlog-loadgen");
    Command::new(program).args(command.split(' ')).output().expect("the program starts")
}

#[test]
fn thresholds_that_are_kept_are_0_and_others_99() {
    let sink = sink(SinkConfig::default());
    assert_eq!(produce(sink, "--quiet --threshold max<1m --threshold requests/s>0.001"), (Some(0), String::new()));
    let (code, stderr) = produce(sink, "--quiet --threshold max<1m --threshold requests/s>1e12");
    assert_eq!(code, Some(99));
    assert!(stderr.starts_with("threshold not met: requests/s>1e12: it was"), "{stderr}");
}

#[test]
fn failures_are_4_and_contradictions_3_and_say_why_without_a_table() {
    for (fault, code, why) in
        [(Fault::Error, 4, "NOT_LEADER_OR_FOLLOWER"), (Fault::RepeatOffset, 3, "offset not rising")]
    {
        let sink = sink(SinkConfig { fault: Some((fault, 50)), ..SinkConfig::default() });
        for flags in ["--quiet", "--kafka-style"] {
            let (found, stderr) = produce(sink, flags);
            assert_eq!(found, Some(code), "{stderr}");
            assert!(stderr.contains(why), "{flags}: {stderr}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_told_before_the_run() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    for flag in ["--json", "--csv", "--hdr"] {
        let (code, stderr) = produce(nobody, &format!("{flag} /no/such/folder/file"));
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with("ringlog-loadgen: write /no/such/folder/file:"), "{stderr}");
    }
    let (_, stderr) = produce(nobody, "--quiet");
    assert_eq!(stderr.matches("refused").count(), 1, "a cause is told once: {stderr}");
}

/// A topic that nobody writes to: a reader at its end is given nothing.
#[test]
fn a_reader_to_whom_no_record_comes_ends_after_its_timeout_as_in_kafkas_tool() {
    let sink = sink(SinkConfig { keep: true, ..SinkConfig::default() });
    let flags =
        "--topic t --partitions 1 --num-records 5 --timeout 50 --from-latest --group g --kafka-style --hide-header";
    let Output { status, stdout, stderr } = run(&format!("fetch --bootstrap-server {sink} --quiet {flags}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(stdout.lines().next().and_then(|line| line.split(", ").nth(4)), Some("0"), "{stdout}");
    let told: Vec<&str> = stderr.lines().collect();
    assert!(told[0].contains("--group is ignored") && told[1].contains("0 of 5 records"), "{stderr}");
}

/// Each answer of this sink comes a minute late.
#[test]
fn requests_to_a_broker_that_falls_silent_end_after_the_timeout_with_4_and_say_why() {
    let sink = sink(SinkConfig { delay: Duration::from_secs(60), ..SinkConfig::default() });
    let flags = "--topic t --partitions 1 --tail --requests 50 --inflight 2 --timeout 100";
    let Output { status, stderr, .. } = run(&format!("fetch --bootstrap {sink} --quiet {flags}"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("no answer for 100ms: 48 of the requests were never sent"), "{stderr}");
}

#[test]
fn a_property_that_is_not_known_is_2_as_any_wrong_usage() {
    let sink = sink(SinkConfig::default());
    let (code, stderr) = produce(sink, "--producer-props no.such=1");
    assert_eq!(code, Some(2), "{stderr}");
    let Output { status, .. } = run(&format!("fetch --bootstrap {sink} --topic t --command-property no.such=1"));
    assert_eq!(status.code(), Some(2));
}
