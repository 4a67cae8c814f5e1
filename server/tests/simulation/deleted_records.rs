//! Deletions of records whose log start does not become durable.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    CreatableTopic, CreateTopicsRequest, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::reactor::Reactor;
use ringlog_core::reactor::sim::{DiskCall, DiskFault, SimConfig, SimWorld};
use ringlog_core::record::Codec;
use ringlog_core::wire::Records;

use super::machine::{Machine, tight_store};
use super::records::BatchSpec;
use super::wire::Link;

const TOPIC: &str = "t";

async fn create_and_fill(reactor: Reactor, broker: SocketAddr) -> io::Result<()> {
    let mut link = Link::connect(&reactor, broker).await?;
    let topic = CreatableTopic { name: TOPIC, num_partitions: 1, replication_factor: 1, ..CreatableTopic::default() };
    let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 30_000, validate_only: false };
    link.call(ApiKey::CreateTopics, 7, &request).await?;
    let spec = BatchSpec { first_id: 0, count: 5, producer: None, codec: Codec::None, timestamp_ms: 1 };
    let bytes = spec.encode();
    let data = [PartitionProduceData { index: 0, records: Some(Records::Bytes(&bytes)) }];
    let topic = TopicProduceData { name: TOPIC, partition_data: data[..].into(), ..TopicProduceData::default() };
    let topic_data = vec![topic].into();
    let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 30_000, topic_data };
    link.call(ApiKey::Produce, 12, &request).await?;
    Ok(())
}

async fn delete(reactor: Reactor, broker: SocketAddr, offsets: &[i64]) -> io::Result<Vec<ErrorCode>> {
    let mut link = Link::connect(&reactor, broker).await?;
    let mut codes = Vec::new();
    for offset in offsets {
        let partition = DeleteRecordsPartition { partition_index: 0, offset: *offset };
        let topic = DeleteRecordsTopic { name: TOPIC, partitions: vec![partition].into() };
        let request = DeleteRecordsRequest { topics: vec![topic].into(), timeout_ms: 30_000 };
        let answer = link.call(ApiKey::DeleteRecords, 2, &request).await?;
        let answer: DeleteRecordsResponse<'_> = answer.decode();
        let topic = answer.topics.iter().next().expect("one topic was asked");
        codes.push(topic.partitions.iter().next().expect("one partition was asked").error_code);
    }
    Ok(codes)
}

#[test]
fn one_that_failed_is_no_answer_to_the_next() {
    let mut machine = Machine::new(SimWorld::new(1, SimConfig::default()), tight_store(2, 1, 1 << 20), &[]);
    machine.start(1);
    machine.wait_until_ready().expect("a healthy disk");
    let (reactor, broker) = (machine.world.reactor(1, 0), machine.address());
    let patience = Duration::from_secs(5);
    let filled = create_and_fill(reactor.clone(), broker);
    machine.world.block_on(&reactor, patience, filled).expect("a healthy network");
    let delete = |offsets| {
        let deleted = delete(reactor.clone(), broker, offsets);
        machine.world.block_on(&reactor, patience, deleted).expect("a healthy network")
    };
    assert_eq!(delete(&[2, 1]), [ErrorCode::NONE; 2]);
    machine.disk().inject(DiskFault::eio("synced-", DiskCall::Write).sticky());
    assert_eq!(delete(&[4, 3]), [ErrorCode::KAFKA_STORAGE_ERROR; 2]);
    assert_eq!(delete(&[2]), [ErrorCode::NONE]);
}
