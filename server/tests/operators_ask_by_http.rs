//! The HTTP side of a real broker: health, version, metrics, and what it refuses.

mod outside;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use outside::{ANY_PORT, Broker, ask, ask_on};

const HTTP: [&str; 2] = ["--override", "ringlog.http.listener=127.0.0.1:0"];

/// Status and body.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

fn request(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    (status, body.to_owned())
}

/// The value of a series, as it is written.
fn value<'a>(metrics: &'a str, series: &str) -> Option<&'a str> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[test]
fn health_version_and_metrics_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &HTTP].concat());
    let http = broker.http.unwrap();
    assert_eq!(get(http, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(http, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(http, "/version").1.trim(), concat!("ringlog ", env!("CARGO_PKG_VERSION")));
    assert_eq!(get(http, "/nothing").0, 404);
    assert_eq!(
        request(http, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").0,
        405
    );
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(http).unwrap();
    // The broker may have closed the connection before all of it was taken.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "a head without an end is refused");

    // Metadata v0 creates the topic that it names.
    let metadata = [&[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1, 0, 1][..], b"t"].concat();
    let mut client = TcpStream::connect(broker.addresses[0]).unwrap();
    // A request is counted when its answer has been sent: for the first that is before the second is answered.
    ask_on(&mut client, &metadata);
    ask_on(&mut client, &metadata);
    let (status, metrics) = get(http, "/metrics");
    assert_eq!(status, 200);
    let driver = format!("ringlog_io_info{{driver=\"{}\"}}", broker.io_driver);
    assert_eq!(value(&metrics, &driver), Some("1.0"), "{metrics}");
    for (series, expected) in [
        ("kafka_controller_kafkacontroller_activecontrollercount", "1"),
        ("kafka_controller_kafkacontroller_globaltopiccount", "1"),
        ("kafka_server_replicamanager_partitioncount", "1"),
        ("kafka_topic_partition_current_offset{topic=\"t\",partition=\"0\"}", "0"),
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", "0"),
    ] {
        let found = value(&metrics, series).unwrap_or_else(|| panic!("{series} in\n{metrics}"));
        assert_eq!(found.parse::<f64>().unwrap(), expected.parse::<f64>().unwrap(), "{series}");
    }
    let requests = value(&metrics, "kafka_network_requestmetrics_requests_total{request=\"Metadata\",version=\"0\"}");
    assert!(matches!(requests, Some("1.0" | "2.0")), "{requests:?}");
    assert!(value(&metrics, "ringlog_request_seconds_count{request=\"Metadata\"}").is_some());
    for phase in ["total", "requestqueue", "local", "remote", "responsequeue", "responsesend"] {
        let name = format!("kafka_network_requestmetrics_{phase}timems");
        assert!(value(&metrics, &format!("{name}{{request=\"Metadata\",quantile=\"0.99\"}}")).is_some(), "{phase}");
        let count = value(&metrics, &format!("{name}_count{{request=\"Metadata\"}}"));
        assert_eq!(count, requests, "{phase}: what took no time counts");
    }
    // The topic is in the metadata log, nothing yet in the commit log.
    assert_eq!(value(&metrics, "kafka_log_logflushstats_logflushrateandtimems_count"), Some("0.0"));
    assert_eq!(broker.stop(), Some(0));
    assert!(TcpStream::connect(http).is_err(), "the HTTP side ends with the broker");
}

#[test]
fn series_of_partitions_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let without = ["--override", "ringlog.metrics.partitions=false"];
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &HTTP, &without].concat());
    ask(broker.addresses[0], &[&[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1, 0, 1][..], b"t"].concat());
    let (_, metrics) = get(broker.http.unwrap(), "/metrics");
    assert!(value(&metrics, "kafka_server_replicamanager_partitioncount").is_some());
    assert!(!metrics.contains("partition=\""), "{metrics}");
}

#[test]
fn readers_who_never_end_do_not_keep_the_broker_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &HTTP].concat());
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(broker.http.unwrap()).unwrap()).collect();
    assert_eq!(broker.stop(), Some(0));
    drop(silent);
}
