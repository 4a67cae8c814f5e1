//! The broker as a new user meets it: how it starts, what it refuses, how it stops.

mod outside;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;

use outside::{ANY_PORT, Broker, ask, ask_on, command};

/// A combined node as Kafka's own server.properties describes it, on free ports.
const COMBINED: &str = "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
    listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\nlog.dirs=data\n";

/// Runs to its end: exit code and everything it said.
fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = command(folder, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Metadata v0 of no topic in particular: the answer holds the advertised address.
const METADATA: &[u8] = &[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

fn metadata(address: SocketAddr) -> Vec<u8> {
    ask(address, METADATA)
}

#[test]
fn without_a_file_it_formats_serves_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    for io_driver in ["io_uring", "epoll"] {
        let choice = format!("ringlog.io={io_driver}");
        let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &["--override", &choice]].concat());
        assert_eq!(broker.io_driver, io_driver);
        assert!(metadata(broker.addresses[0]).windows(9).any(|part| part == b"127.0.0.1"));
        assert_eq!(broker.stop(), Some(0));
    }
    assert!(folder.path().join("ringlog-data/meta.properties").exists());
    assert!(folder.path().join("ringlog-data/.kafka_cleanshutdown").exists());
    assert!(!folder.path().join("ringlog-data/.lock").exists());
}

#[test]
fn with_a_file_an_empty_directory_is_formatted_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.properties"), COMBINED).unwrap();
    let (code, text) = refused(folder.path(), &["--config", "server.properties"]);
    assert_eq!(code, 1);
    assert!(text.contains("format"), "{text}");
    assert!(!folder.path().join("data/meta.properties").exists());
    let broker = Broker::start(folder.path(), &["server.properties", "--format"]);
    assert_eq!(broker.addresses.len(), 1, "the CONTROLLER listener of the same file is accepted, not served");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn several_listeners_and_ipv6_each_tell_their_own_address() {
    let folder = tempfile::tempdir().unwrap();
    let listeners = "listeners=PLAINTEXT://127.0.0.1:0,INNER://[::1]:0";
    let map = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT";
    let broker = Broker::start(folder.path(), &["--override", listeners, "--override", map]);
    let [v4, v6] = broker.addresses[..] else { panic!("{:?}", broker.addresses) };
    assert!(v4.is_ipv4() && v6.is_ipv6());
    assert!(metadata(v4).windows(9).any(|part| part == b"127.0.0.1"));
    assert!(metadata(v6).windows(3).any(|part| part == b"::1"));
}

#[test]
fn one_signal_that_is_sent_twice_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    broker.signal_stop();
    assert_eq!(broker.stop(), Some(0));
    assert!(folder.path().join("ringlog-data/.kafka_cleanshutdown").exists());
}

#[test]
fn systemd_is_told_when_clients_are_served_and_when_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let mut starting = command(folder.path(), &ANY_PORT);
    starting.env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
    let broker = Broker::run(starting);
    let told = || {
        let mut message = [0; 256];
        let length = systemd.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert_eq!(told().trim(), "READY=1");
    assert_eq!(broker.stop(), Some(0));
    assert_eq!(told().trim(), "STOPPING=1");
}

#[test]
fn the_log_is_json_if_it_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut starting = command(folder.path(), &[&ANY_PORT[..], &["--override", "ringlog.log.format=json"]].concat());
    starting.stderr(std::fs::File::create(&log).unwrap());
    assert_eq!(Broker::run(starting).stop(), Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "stopped" && line["level"] == "INFO"), "{log}");
}

#[test]
fn an_error_that_ends_the_start_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.properties"), COMBINED).unwrap();
    let (code, text) = refused(folder.path(), &["server.properties"]);
    assert_eq!((code, text.matches("not formatted").count()), (1, 1), "{text}");
}

#[test]
fn a_second_process_on_the_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let (code, text) = refused(folder.path(), &ANY_PORT);
    assert_eq!(code, 1);
    assert!(text.contains("ringlog-data"), "{text}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn an_address_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = format!("listeners=PLAINTEXT://{}", taken.local_addr().unwrap());
    let (code, text) = refused(folder.path(), &["--override", &listeners]);
    assert_eq!(code, 1);
    assert!(text.contains(&taken.local_addr().unwrap().to_string()), "{text}");
}

#[test]
fn an_unknown_key_warns_with_the_nearest_name_and_too_little_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--override", "log.segment.byte=1", "--memory", "20M"];
    let (code, text) = refused(folder.path(), &arguments);
    assert_eq!(code, 1);
    assert!(text.contains("unknown key log.segment.byte, did you mean log.segment.bytes?"), "{text}");
    assert!(text.contains("ringlog.memory"), "{text}");
    assert!(!folder.path().join("ringlog-data").exists());
}

#[test]
fn connections_beyond_the_maximum_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &["--override", "max.connections=2"]].concat());
    let served: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(broker.addresses[0]).unwrap()).collect();
    let mut third = TcpStream::connect(broker.addresses[0]).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    drop(served);
}

#[test]
fn connections_of_an_address_beyond_its_maximum_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let limits =
        ["--override", "max.connections.per.ip=0", "--override", "max.connections.per.ip.overrides=localhost:2"];
    let broker = Broker::start(folder.path(), &[&ANY_PORT[..], &limits].concat());
    let mut served: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(broker.addresses[0]).unwrap()).collect();
    for stream in &mut served {
        assert!(!ask_on(stream, METADATA).is_empty());
    }
    let is_closed = || TcpStream::connect(broker.addresses[0]).unwrap().read(&mut [0]).unwrap_or(0) == 0;
    assert!(is_closed() && is_closed());
    drop(served);
    let is_served = || {
        let mut stream = TcpStream::connect(broker.addresses[0]).unwrap();
        let frame = [&(METADATA.len() as i32).to_be_bytes(), METADATA].concat();
        stream.write_all(&frame).and_then(|()| stream.read_exact(&mut [0])).is_ok()
    };
    // The broker sees their end in its own time.
    while !is_served() {}
}

#[test]
fn a_silent_connection_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let broker =
        Broker::start(folder.path(), &[&ANY_PORT[..], &["--override", "connections.max.idle.ms=100"]].concat());
    let mut silent = TcpStream::connect(broker.addresses[0]).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    assert!(!metadata(broker.addresses[0]).is_empty());
}
