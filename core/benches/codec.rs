//! What requests and answers cost before and behind the work itself: written into a buffer that is used again, and decoded
//! and walked as a handler does. Each has 100 partitions or topics, with record batches of 170 bytes where there are records.
//! `cargo bench -p ringlog-core --bench codec`.

use std::hint::black_box;
use std::mem::take;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringlog_core::protocol::messages::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, MetadataRequest,
    MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    PartitionData, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ringlog_core::record::{BatchBuilder, NewRecord};
use ringlog_core::wire::{Message, Reader, Records, Writer};
use uuid::Uuid;

const PARTITIONS: i32 = 100;
const TOPIC_ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const PRODUCE: i16 = 13;
const FETCH: i16 = 17;
const METADATA: i16 = 13;

/// Encodes `message`, and gives the bytes to `walk`, which says how many partitions or topics it saw.
fn both_ways<'a>(
    criterion: &mut Criterion,
    name: &str,
    version: i16,
    message: &impl Message<'a>,
    walk: impl Fn(&[u8]) -> usize,
) {
    let encode = |buffer: Vec<u8>| {
        let mut writer = Writer::with_buffer(buffer);
        message.encode(&mut writer, version);
        writer.finish().expect("nothing is null or too long").bytes
    };
    let bytes = encode(Vec::new());
    assert_eq!(walk(&bytes), PARTITIONS as usize);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(PARTITIONS as u64));
    let mut buffer = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            buffer = encode(take(&mut buffer));
        });
    });
    group.bench_function("decode", |bencher| bencher.iter(|| walk(black_box(&bytes))));
    group.finish();
}

fn decode<'a, M: Message<'a>>(bytes: &'a [u8], version: i16) -> M {
    M::decode(&mut Reader::new(bytes), version).expect("it was encoded just so")
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.push(NewRecord { value: Some(&[7; 100]), ..NewRecord::default() });
    builder.build()
}

fn each<T>(element: impl Fn(i32) -> T) -> Vec<T> {
    (0..PARTITIONS).map(element).collect()
}

fn produce(criterion: &mut Criterion) {
    let batch = batch();
    let data = each(|index| PartitionProduceData { index, records: Some(Records::Bytes(&batch)) });
    let topic = TopicProduceData { topic_id: TOPIC_ID, partition_data: data[..].into(), ..Default::default() };
    let request = ProduceRequest { acks: -1, topic_data: vec![topic].into(), ..Default::default() };
    both_ways(criterion, "codec/ProduceRequest", PRODUCE, &request, |bytes| {
        let request: ProduceRequest<'_> = decode(bytes, PRODUCE);
        request.topic_data.iter().map(|topic| topic.partition_data.iter().map(black_box).count()).sum()
    });
    let results = each(|index| PartitionProduceResponse { index, base_offset: 5, ..Default::default() });
    let topic =
        TopicProduceResponse { topic_id: TOPIC_ID, partition_responses: results[..].into(), ..Default::default() };
    let response = ProduceResponse { responses: vec![topic].into(), ..Default::default() };
    both_ways(criterion, "codec/ProduceResponse", PRODUCE, &response, |bytes| {
        let response: ProduceResponse<'_> = decode(bytes, PRODUCE);
        response.responses.iter().map(|topic| topic.partition_responses.iter().map(black_box).count()).sum()
    });
}

fn fetch(criterion: &mut Criterion) {
    let asked = each(|partition| FetchPartition { partition, partition_max_bytes: 1 << 20, ..Default::default() });
    let topic = FetchTopic { topic_id: TOPIC_ID, partitions: asked[..].into(), ..Default::default() };
    let request = FetchRequest { topics: vec![topic].into(), ..Default::default() };
    both_ways(criterion, "codec/FetchRequest", FETCH, &request, |bytes| {
        let request: FetchRequest<'_> = decode(bytes, FETCH);
        request.topics.iter().map(|topic| topic.partitions.iter().map(black_box).count()).sum()
    });
    let batch = batch();
    let records = Some(Records::Bytes(&batch));
    let data = each(|partition_index| PartitionData { partition_index, records, ..Default::default() });
    let topic = FetchableTopicResponse { topic_id: TOPIC_ID, partitions: data[..].into(), ..Default::default() };
    let response = FetchResponse { responses: vec![topic].into(), ..Default::default() };
    both_ways(criterion, "codec/FetchResponse", FETCH, &response, |bytes| {
        let response: FetchResponse<'_> = decode(bytes, FETCH);
        response.responses.iter().map(|topic| topic.partitions.iter().map(black_box).count()).sum()
    });
}

/// Asked for 100 topics, answered with the 100 partitions of one.
fn metadata(criterion: &mut Criterion) {
    let topics = each(|_| MetadataRequestTopic { name: Some("orders"), ..Default::default() });
    let request = MetadataRequest { topics: Some(topics[..].into()), ..Default::default() };
    both_ways(criterion, "codec/MetadataRequest", METADATA, &request, |bytes| {
        let request: MetadataRequest<'_> = decode(bytes, METADATA);
        request.topics.iter().map(|topics| topics.iter().map(black_box).count()).sum()
    });
    let nodes = [1];
    let partitions = each(|partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        replica_nodes: nodes[..].into(),
        isr_nodes: nodes[..].into(),
        ..Default::default()
    });
    let partitions = partitions[..].into();
    let topic = MetadataResponseTopic { name: Some("orders"), topic_id: TOPIC_ID, partitions, ..Default::default() };
    let broker = MetadataResponseBroker { node_id: 1, host: "broker.example", port: 9_092, ..Default::default() };
    let response = MetadataResponse { brokers: vec![broker].into(), topics: vec![topic].into(), ..Default::default() };
    both_ways(criterion, "codec/MetadataResponse", METADATA, &response, |bytes| {
        let response: MetadataResponse<'_> = decode(bytes, METADATA);
        response.topics.iter().map(|topic| topic.partitions.iter().map(black_box).count()).sum()
    });
}

criterion_group!(benches, produce, fetch, metadata);
criterion_main!(benches);
