//! `ringlog topic`: lists, describes, creates, deletes and alters topics.

use std::io::{self, Write};

use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeConfigsRequest,
    DescribeConfigsResource, DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, IncrementalAlterableConfig,
};
use serde::Serialize;

use super::CommandError;
use super::client::{Cluster, PartitionInfo, check};
use super::output::{Column, print_json, print_rows};
use crate::config::{AlterOptions, ClusterOptions, CreateOptions, IsolationLevel, OutputFormat, TopicCommand};

/// Kafka's number of the resource type TOPIC.
const TOPIC: i8 = 2;
/// Numbers of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// The source of a value that is set for the topic.
const DYNAMIC_TOPIC: i8 = 1;
/// Topics by name.
const DELETE_TOPICS_VERSION_MAX: i16 = 5;
const TIMEOUT_MS: i32 = 30_000;

pub(super) fn run(command: &TopicCommand) -> Result<(), CommandError> {
    match command {
        TopicCommand::List { cluster, internal } => list(cluster, *internal),
        TopicCommand::Describe { cluster, topics } => describe(cluster, topics),
        TopicCommand::Create(options) => create(options),
        TopicCommand::Delete { cluster, topics } => delete(cluster, topics),
        TopicCommand::Alter(options) => alter(options),
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    partitions: usize,
    replicas: usize,
}

fn list(options: &ClusterOptions, internal: bool) -> Result<(), CommandError> {
    let topics = Cluster::enter(&options.bootstrap)?.topics()?;
    let shown = topics.into_iter().filter(|topic| internal || !topic.internal);
    let rows: Vec<Listed> = shown
        .map(|topic| Listed {
            replicas: topic.partitions.first().map_or(0, |partition| partition.replicas.len()),
            partitions: topic.partitions.len(),
            name: topic.name,
        })
        .collect();
    let columns = [Column::Text("NAME"), Column::Number("PARTITIONS"), Column::Number("REPLICAS")];
    let cells = |row: &Listed| vec![row.name.clone(), row.partitions.to_string(), row.replicas.to_string()];
    Ok(print_rows(options.format, &columns, &rows, cells)?)
}

#[derive(Debug, Serialize)]
struct Described {
    name: String,
    /// What is set for the topic.
    configs: Vec<Config>,
    partitions: Vec<DescribedPartition>,
}

#[derive(Debug, Serialize)]
struct Config {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct DescribedPartition {
    #[serde(flatten)]
    partition: PartitionInfo,
    start_offset: i64,
    end_offset: i64,
}

fn describe(options: &ClusterOptions, names: &[String]) -> Result<(), CommandError> {
    const END: i64 = -1;
    const START: i64 = -2;
    let mut cluster = Cluster::enter(&options.bootstrap)?;
    let mut described = Vec::new();
    for name in names {
        let topic = cluster.topic(name)?;
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let start_offset = cluster.offset(name, &partition, START, IsolationLevel::ReadUncommitted)?;
            let end_offset = cluster.offset(name, &partition, END, IsolationLevel::ReadUncommitted)?;
            partitions.push(DescribedPartition { partition, start_offset, end_offset });
        }
        described.push(Described { name: topic.name, configs: configs(&mut cluster, name)?, partitions });
    }
    match options.format {
        OutputFormat::Json => print_json(&described)?,
        OutputFormat::Text => described.iter().try_for_each(print_described)?,
    }
    Ok(())
}

fn configs(cluster: &mut Cluster, topic: &str) -> Result<Vec<Config>, CommandError> {
    let resource = DescribeConfigsResource { resource_type: TOPIC, resource_name: topic, configuration_keys: None };
    let request = DescribeConfigsRequest { resources: vec![resource].into(), ..Default::default() };
    let answer = cluster.ask(ApiKey::DescribeConfigs, i16::MAX, &request)?;
    let response: DescribeConfigsResponse<'_> = answer.decode()?;
    let mut configs = Vec::new();
    for result in &response.results {
        check(topic, result.error_code, result.error_message)?;
        let set = result.configs.iter().filter(|config| config.config_source == DYNAMIC_TOPIC);
        configs.extend(
            set.map(|config| Config {
                name: config.name.to_owned(),
                value: config.value.unwrap_or_default().to_owned(),
            }),
        );
    }
    Ok(configs)
}

fn print_described(topic: &Described) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", topic.name)?;
    for Config { name, value } in &topic.configs {
        writeln!(stdout, "  {name}={value}")?;
    }
    let columns = [
        Column::Number("PARTITION"),
        Column::Number("LEADER"),
        Column::Number("EPOCH"),
        Column::Text("REPLICAS"),
        Column::Text("ISR"),
        Column::Number("START"),
        Column::Number("END"),
    ];
    let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    print_rows(OutputFormat::Text, &columns, &topic.partitions, |row| {
        let PartitionInfo { partition, leader, leader_epoch, replicas, isr } = &row.partition;
        vec![
            partition.to_string(),
            leader.to_string(),
            leader_epoch.to_string(),
            ids(replicas),
            ids(isr),
            row.start_offset.to_string(),
            row.end_offset.to_string(),
        ]
    })
}

/// What was done to one topic.
#[derive(Debug, Serialize)]
struct Done {
    topic: String,
    done: &'static str,
}

fn print_done(format: OutputFormat, done: &'static str, topics: &[String]) -> io::Result<()> {
    let rows: Vec<Done> = topics.iter().map(|topic| Done { topic: topic.clone(), done }).collect();
    match format {
        OutputFormat::Json => print_json(&rows),
        OutputFormat::Text => rows.iter().try_for_each(|row| writeln!(io::stdout(), "{} {}", row.done, row.topic)),
    }
}

fn create(options: &CreateOptions) -> Result<(), CommandError> {
    let mut cluster = Cluster::enter(&options.cluster.bootstrap)?;
    let topics = options.topics.iter().map(|name| CreatableTopic {
        name,
        num_partitions: options.partitions,
        replication_factor: options.replicas,
        configs: options
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
            .collect(),
        ..Default::default()
    });
    let request = CreateTopicsRequest { topics: topics.collect(), timeout_ms: TIMEOUT_MS, ..Default::default() };
    let answer = cluster.ask(ApiKey::CreateTopics, i16::MAX, &request)?;
    let response: CreateTopicsResponse<'_> = answer.decode()?;
    for topic in &response.topics {
        check(topic.name, topic.error_code, topic.error_message)?;
    }
    options.topics.iter().try_for_each(|name| cluster.wait_for_topic(name))?;
    Ok(print_done(options.cluster.format, "created", &options.topics)?)
}

fn delete(options: &ClusterOptions, names: &[String]) -> Result<(), CommandError> {
    let mut cluster = Cluster::enter(&options.bootstrap)?;
    let topic_names = names.iter().map(String::as_str).collect();
    let request = DeleteTopicsRequest { topic_names, timeout_ms: TIMEOUT_MS, ..Default::default() };
    let answer = cluster.ask(ApiKey::DeleteTopics, DELETE_TOPICS_VERSION_MAX, &request)?;
    let response: DeleteTopicsResponse<'_> = answer.decode()?;
    for topic in &response.responses {
        check(topic.name.unwrap_or_default(), topic.error_code, topic.error_message)?;
    }
    Ok(print_done(options.format, "deleted", names)?)
}

fn alter(options: &AlterOptions) -> Result<(), CommandError> {
    let mut cluster = Cluster::enter(&options.cluster.bootstrap)?;
    let topic = options.topic.as_str();
    if let Some(count) = options.partitions {
        let topics = vec![CreatePartitionsTopic { name: topic, count, ..Default::default() }];
        let request = CreatePartitionsRequest { topics: topics.into(), timeout_ms: TIMEOUT_MS, ..Default::default() };
        let answer = cluster.ask(ApiKey::CreatePartitions, i16::MAX, &request)?;
        let response: CreatePartitionsResponse<'_> = answer.decode()?;
        for result in &response.results {
            check(result.name, result.error_code, result.error_message)?;
        }
    }
    let set = options.configs.iter().map(|(name, value)| IncrementalAlterableConfig {
        name,
        config_operation: SET,
        value: Some(value),
    });
    let unset =
        options.unset.iter().map(|name| IncrementalAlterableConfig { name, config_operation: DELETE, value: None });
    let changes: Vec<IncrementalAlterableConfig<'_>> = set.chain(unset).collect();
    if !changes.is_empty() {
        let resource =
            IncrementalAlterConfigsResource { resource_type: TOPIC, resource_name: topic, configs: changes.into() };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource].into(), ..Default::default() };
        let answer = cluster.ask(ApiKey::IncrementalAlterConfigs, i16::MAX, &request)?;
        let response: IncrementalAlterConfigsResponse<'_> = answer.decode()?;
        for result in &response.responses {
            check(topic, result.error_code, result.error_message)?;
        }
    }
    Ok(print_done(options.cluster.format, "altered", std::slice::from_ref(&options.topic))?)
}
