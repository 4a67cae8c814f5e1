//! A byte of a segment changes on the disk: the broker finds it by itself, says where, counts it and refuses the batch.
//! The test waits for the line in the log, not for a time.

mod outside;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use outside::client::Client;
use outside::{ANY_PORT, Broker, command};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{Message, Reader};
use uuid::Uuid;

fn fetch(client: &mut Client, topic_id: Uuid, fetch_offset: i64) -> ErrorCode {
    let partition =
        FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, current_leader_epoch: -1, ..Default::default() };
    let topics = vec![FetchTopic { topic: "", topic_id, partitions: vec![partition].into() }].into();
    let request = FetchRequest { max_bytes: 1 << 20, session_epoch: -1, topics, ..Default::default() };
    let answer = client.call(ApiKey::Fetch, 17, &request);
    let answer = FetchResponse::decode(&mut Reader::new(&answer), 17).unwrap();
    answer.responses.iter().next().unwrap().partitions.iter().next().unwrap().error_code
}

fn metrics(broker: &Broker) -> String {
    let mut stream = TcpStream::connect(broker.http.unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_byte_that_changes_is_found_told_counted_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scrub = ["--override", "ringlog.scrub.interval.ms=1000", "--override", "ringlog.http.listener=127.0.0.1:0"];
    let data = folder.path().join("data");
    let log_dir = format!("log.dirs={}", data.display());
    let mut arguments = ANY_PORT.to_vec();
    arguments.extend(scrub);
    arguments.extend(["--override", &log_dir]);
    let mut command = command(folder.path(), &arguments);
    command.stderr(Stdio::piped());
    let mut broker = Broker::run(command);
    let log = BufReader::new(broker.take_stderr());
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create_with("t", 1, &[("ringlog.durability", "page-cache")]);
    for value in [b"first", b"other", b"third"] {
        client.produce(topic, 0, value);
    }
    let segment = data.join("t-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|window| window == b"other").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();

    let line = log.lines().map(Result::unwrap).find(|line| line.contains("a segment is damaged")).unwrap();
    for word in ["topic=t", "partition=0", "segment=0", "from_offset=1", "end_offset=2", "CRC"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    let text = metrics(&broker);
    let damaged = text.lines().filter(|line| line.starts_with("ringlog_scrub_damaged_partitions{"));
    let damaged: f64 = damaged.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(damaged, 1.0, "{text}");
    assert_eq!(fetch(&mut client, topic, 0), ErrorCode::NONE);
    assert_eq!(fetch(&mut client, topic, 1), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(fetch(&mut client, topic, 2), ErrorCode::NONE);
}
