//! `compression.type` from outside: batches are stored in the topic's codec, in the order in which they were sent, and
//! refused as Kafka refuses them.

mod outside;

use outside::client::Client;
use outside::{ANY_PORT, Broker};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::record::compression::open;
use ringlog_core::record::{BatchBuilder, Batches, Codec, NewRecord, Records, TimestampType};
use ringlog_core::wire::{self, Message, Reader};
use uuid::Uuid;

fn batch(codec: Codec, base_sequence: i32, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().codec(codec).producer(1000, 0, base_sequence);
    builder.push(NewRecord { value: Some(value), ..Default::default() });
    builder.build()
}

fn send(client: &mut Client, topic_id: Uuid, batch: &[u8]) {
    let data = vec![PartitionProduceData { index: 0, records: Some(wire::Records::Bytes(batch)) }];
    let topic_data = vec![TopicProduceData { name: "", topic_id, partition_data: data.into() }].into();
    let request = ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data, ..Default::default() };
    client.send(ApiKey::Produce, 13, &request);
}

/// Error, base offset and time of the append.
fn receive(client: &mut Client) -> (ErrorCode, i64, i64) {
    let answer = client.receive(ApiKey::Produce, 13);
    let answer = ProduceResponse::decode(&mut Reader::new(&answer), 13).unwrap();
    let partition = answer.responses.iter().next().unwrap().partition_responses.iter().next().unwrap();
    (partition.error_code, partition.base_offset, partition.log_append_time_ms)
}

fn produce(client: &mut Client, topic_id: Uuid, batch: &[u8]) -> (ErrorCode, i64, i64) {
    send(client, topic_id, batch);
    receive(client)
}

/// Codec and first value of each stored batch.
fn stored(client: &mut Client, topic_id: Uuid) -> Vec<(Codec, Vec<u8>)> {
    let bytes = client.batches(topic_id);
    let one = |batch: ringlog_core::record::BatchView<'_>| {
        assert!(batch.is_crc_valid());
        let payload = open(&batch, 64 << 20).unwrap();
        let record = Records::new(&payload, batch.record_count()).next().unwrap().unwrap();
        (batch.codec().unwrap(), record.value.unwrap().to_vec())
    };
    Batches::new(&bytes).map(one).collect()
}

#[test]
fn batches_are_stored_in_order_whatever_takes_longer() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create_with("t", 1, &[("compression.type", "zstd")]);
    let big = vec![b'x'; 900_000];
    // By turns what takes long, what takes no time, and what is stored as it is.
    let values: Vec<&[u8]> = (0..60).map(|n| if n % 3 == 0 { &big[..] } else { &big[..100 + n] }).collect();
    let codecs = [Codec::None, Codec::Gzip, Codec::Zstd];
    for (n, value) in values.iter().enumerate() {
        send(&mut client, topic, &batch(codecs[n % 3], n as i32, value));
    }
    for n in 0..values.len() {
        assert_eq!(receive(&mut client), (ErrorCode::NONE, n as i64, -1), "sequence numbers stay in order");
    }
    let stored = stored(&mut client, topic);
    assert_eq!(stored.len(), values.len());
    for ((codec, value), sent) in stored.iter().zip(&values) {
        assert_eq!((*codec, &value[..]), (Codec::Zstd, *sent));
    }
}

#[test]
fn the_codec_can_be_changed_and_a_restart_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create("t", 1);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Snappy, 0, b"a")).0, ErrorCode::NONE);
    assert_eq!(client.set_config("t", "compression.type", "lz4"), ErrorCode::NONE);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Snappy, 1, b"b")).0, ErrorCode::NONE);
    assert_eq!(client.set_config("t", "compression.type", "uncompressed"), ErrorCode::NONE);
    assert_eq!(broker.stop(), Some(0));
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Snappy, 2, b"c")).0, ErrorCode::NONE);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Snappy, 2, b"c")), (ErrorCode::NONE, 2, -1), "sent again");
    let expected = [(Codec::Snappy, b"a".to_vec()), (Codec::Lz4, b"b".to_vec()), (Codec::None, b"c".to_vec())];
    assert_eq!(stored(&mut client, topic), expected);
    assert_eq!(client.set_config("t", "compression.type", "brotli"), ErrorCode::INVALID_CONFIG);
}

#[test]
fn what_grows_too_large_is_refused_and_the_next_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let configs = [("compression.type", "uncompressed"), ("max.message.bytes", "10000")];
    let topic = client.create_with("t", 1, &configs);
    let mut damaged = batch(Codec::Zstd, 0, b"v");
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(produce(&mut client, topic, &damaged).0, ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Zstd, 0, &[0; 20_000])).0, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Zstd, 0, b"v")), (ErrorCode::NONE, 0, -1));
}

#[test]
fn the_time_of_the_append_is_that_of_the_stored_batch() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let configs = [("compression.type", "gzip"), ("message.timestamp.type", "LogAppendTime")];
    let topic = client.create_with("t", 1, &configs);
    let (error_code, _, log_append_time_ms) = produce(&mut client, topic, &batch(Codec::None, 0, b"v"));
    assert_eq!(error_code, ErrorCode::NONE);
    let bytes = client.batches(topic);
    let batch = Batches::new(&bytes).next().unwrap();
    assert!(batch.is_crc_valid() && log_append_time_ms > 0);
    assert_eq!((batch.codec(), batch.timestamp_type()), (Ok(Codec::Gzip), TimestampType::LogAppendTime));
    assert_eq!(batch.max_timestamp(), log_append_time_ms);
}

#[test]
fn readers_that_do_not_know_zstd_get_none() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), &ANY_PORT);
    let mut client = Client::connect(broker.addresses[0]);
    let topic = client.create_with("t", 1, &[("compression.type", "zstd")]);
    assert_eq!(produce(&mut client, topic, &batch(Codec::Gzip, 0, b"v")).0, ErrorCode::NONE);
    let mut fetch = |api_version| {
        let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
        let topics = vec![FetchTopic { topic: "t", partitions: vec![partition].into(), ..Default::default() }].into();
        let request = FetchRequest { max_bytes: 1 << 20, topics, ..Default::default() };
        let answer = client.call(ApiKey::Fetch, api_version, &request);
        let answer = FetchResponse::decode(&mut Reader::new(&answer), api_version).unwrap();
        let row = answer.responses.iter().next().unwrap().partitions.iter().next().unwrap();
        (row.error_code, row.records.is_some_and(|records| !records.bytes().is_empty()))
    };
    assert_eq!(fetch(9), (ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, false));
    assert_eq!(fetch(10), (ErrorCode::NONE, true));
}
