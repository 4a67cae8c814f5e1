//! What the simulated administrator does to topics that are in use: deletes records, alters retention and the durability
//! class. Each request may be lost, or its answer.

use std::io;

use ringlog_core::protocol::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterConfigsResponse,
    IncrementalAlterableConfig,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use super::bench::Client;
use super::model::{Class, Target};
use super::wire::Link;

/// Configuration of a broker whose retention never rests.
pub const SETTINGS: &[(&str, &str)] =
    &[("log.retention.check.interval.ms", "15"), ("log.segment.delete.delay.ms", "10")];

const TOPIC: i8 = 2;
const SET: i8 = 0;

/// Changes a topic over a connection that was opened in `life`.
pub async fn change(client: &Client, link: &mut Link, topic_id: Uuid, life: u64) -> io::Result<()> {
    match client.below(5) {
        0..2 => delete_records(client, link, topic_id, life).await,
        2 => alter_retention(client, link, topic_id, life).await,
        _ => alter_class(client, link, topic_id, life).await,
    }
}

async fn delete_records(client: &Client, link: &mut Link, topic_id: Uuid, life: u64) -> io::Result<()> {
    let (name, target, offset) = {
        let mut model = client.bench.model.borrow_mut();
        let topic = &model.topics[&topic_id];
        let (name, count) = (topic.name.clone(), topic.partitions.len() as u64);
        let target = Target { topic_id, partition: client.below(count) as i32 };
        let end = model.partition(target).end() as u64;
        // Often all of them: some are not written to their segment yet.
        let offset = if client.below(2) == 0 { end } else { client.below(end + 1) } as i64;
        model.deletes_records(target, offset, None);
        (name, target, offset)
    };
    let partition = DeleteRecordsPartition { partition_index: target.partition, offset };
    let topic = DeleteRecordsTopic { name: &name, partitions: vec![partition].into() };
    let request = DeleteRecordsRequest { topics: vec![topic].into(), timeout_ms: 30_000 };
    let answer = link.call(ApiKey::DeleteRecords, 2, &request).await?;
    let answer: DeleteRecordsResponse<'_> = answer.decode();
    let topic = answer.topics.iter().next().expect("one topic was asked");
    let result = topic.partitions.iter().next().expect("one partition was asked");
    client.note(|| format!("delete records of {name}-{} below {offset}: {}", target.partition, result.error_code));
    let mut model = client.bench.model.borrow_mut();
    match result.error_code {
        ErrorCode::NONE => {
            assert!(result.low_watermark >= offset, "the log starts at {}", result.low_watermark);
            model.deletes_records(target, offset, Some(offset));
        }
        ErrorCode::KAFKA_STORAGE_ERROR if client.bench.tolerates_errors(life) => {}
        // The end is not what it was.
        ErrorCode::OFFSET_OUT_OF_RANGE if model.may_have_lost(target) => {}
        code => panic!("delete records of {name}-{} below {offset}: {code}", target.partition),
    }
    Ok(())
}

async fn alter_retention(client: &Client, link: &mut Link, topic_id: Uuid, life: u64) -> io::Result<()> {
    let name = {
        let mut model = client.bench.model.borrow_mut();
        model.alters_retention(topic_id);
        model.topics[&topic_id].name.clone()
    };
    let config = client.pick(&[
        ("retention.bytes", "9000"),
        ("retention.bytes", "-1"),
        ("retention.ms", "30"),
        ("retention.ms", "-1"),
        ("segment.ms", "20"),
    ]);
    alter(client, link, &name, config, life).await.map(drop)
}

async fn alter_class(client: &Client, link: &mut Link, topic_id: Uuid, life: u64) -> io::Result<()> {
    let (value, class) = client.pick(&[("sync", Class::Sync), ("page-cache", Class::PageCache)]);
    let name = {
        let mut model = client.bench.model.borrow_mut();
        model.alters_class(topic_id, class, None);
        model.topics[&topic_id].name.clone()
    };
    if alter(client, link, &name, ("ringlog.durability", value), life).await? {
        let answered = client.reactor.now().0;
        client.bench.model.borrow_mut().alters_class(topic_id, class, Some(answered));
    }
    Ok(())
}

/// Sets a config of a topic. Whether it is set; if not, it may be later.
pub async fn alter(
    client: &Client,
    link: &mut Link,
    topic: &str,
    (name, value): (&str, &str),
    life: u64,
) -> io::Result<bool> {
    let result = set_config(link, topic, (name, value)).await?;
    client.note(|| format!("{topic}: {name} = {value}: {result}"));
    match result {
        ErrorCode::NONE => Ok(true),
        // One that is not created yet; the metadata log has failed.
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Ok(false),
        ErrorCode::KAFKA_STORAGE_ERROR if client.bench.tolerates_errors(life) => Ok(false),
        code => panic!("{topic}: {name} = {value}: {code}"),
    }
}

/// Asks for a config of a topic.
pub async fn set_config(link: &mut Link, topic: &str, (name, value): (&str, &str)) -> io::Result<ErrorCode> {
    let config = IncrementalAlterableConfig { name, config_operation: SET, value: Some(value) };
    let resource =
        IncrementalAlterConfigsResource { resource_type: TOPIC, resource_name: topic, configs: vec![config].into() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource].into(), validate_only: false };
    let answer = link.call(ApiKey::IncrementalAlterConfigs, 1, &request).await?;
    let answer: IncrementalAlterConfigsResponse<'_> = answer.decode();
    Ok(answer.responses.iter().next().expect("one resource was asked").error_code)
}
