//! Decides the creation of topics: `(state, request) -> (results, records)`, without I/O.
//!
//! Invariant: a topic id is random and new. All records of one topic are in one batch.

use ahash::AHashSet;
use ringlog_core::protocol::metadata::{ConfigRecord, PartitionRecord, TopicRecord};
use uuid::Uuid;

use super::controller::records_for;
use super::ids::random_id;
use super::image::MetadataImage;
use super::node::{Identity, NodeConfig};
use super::records::{Records, resource_type};
use crate::config::check_topic_config;

/// Partitions that one request may create, as in Kafka.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;
const TOPIC_NAME_LEN_MAX: usize = 249;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// -1 for the default.
    pub num_partitions: i32,
    /// -1 for the default.
    pub replication_factor: i16,
    /// Partition index and its replicas, instead of the two numbers.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Keys and values of its configuration.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was created (or could have been, with `validate_only`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Its partitions.
    pub num_partitions: i32,
    /// Replicas of each.
    pub replication_factor: i16,
}

/// Why a topic is not created. The texts are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// INVALID_TOPIC_EXCEPTION.
    #[error("{0}")]
    InvalidName(String),
    /// TOPIC_ALREADY_EXISTS.
    #[error("Topic '{0}' already exists.")]
    AlreadyExists(String),
    /// INVALID_REQUEST: the request names it twice.
    #[error("Duplicate topic name.")]
    DuplicateInRequest,
    /// INVALID_PARTITIONS.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    InvalidPartitions,
    /// POLICY_VIOLATION.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// INVALID_REPLICATION_FACTOR.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    InvalidAssignment(String),
    /// INVALID_REQUEST: both an assignment and numbers.
    #[error("A manual partition assignment was specified, but {0} was not set to -1.")]
    AssignmentAndNumbers(&'static str),
    /// INVALID_CONFIG.
    #[error("{0}")]
    InvalidConfig(String),
}

/// The results in the order of the requests, and the records of the topics that are created.
pub type CreatedTopics = (Vec<Result<CreatedTopic, CreateTopicError>>, Records);

/// Creates topics on this one node. With `validate_only` there are no records.
pub fn create_topics(
    image: &MetadataImage,
    node: &NodeConfig,
    identity: &Identity,
    topics: &[NewTopic],
    validate_only: bool,
    mut random: impl FnMut() -> u64,
) -> CreatedTopics {
    let (mut seen, mut twice) = (AHashSet::new(), AHashSet::new());
    for topic in topics {
        if !seen.insert(topic.name.as_str()) {
            twice.insert(topic.name.as_str());
        }
    }
    let (mut records, mut partitions_left) = (records_for(image), PARTITIONS_PER_REQUEST_MAX);
    let mut collisions: AHashSet<String> = AHashSet::new();
    let mut create = |topic: &NewTopic| {
        if twice.contains(topic.name.as_str()) {
            return Err(CreateTopicError::DuplicateInRequest);
        }
        check_name(image, &topic.name)?;
        let folded = fold_name(&topic.name);
        if has_collision_chars(&topic.name) && collisions.contains(&folded) {
            let text = format!("Topic '{}' collides with another topic of this request", topic.name);
            return Err(CreateTopicError::InvalidName(text));
        }
        let (num_partitions, replication_factor) = numbers(node, topic)?;
        for (key, value) in &topic.configs {
            check_topic_config(key, value.as_deref()).map_err(CreateTopicError::InvalidConfig)?;
        }
        partitions_left =
            partitions_left.checked_sub(num_partitions as usize).ok_or(CreateTopicError::TooManyPartitions)?;
        collisions.insert(folded);
        let topic_id = loop {
            let id = random_id(&mut random);
            if image.topic(&id).is_none() {
                break id;
            }
        };
        if !validate_only {
            push_topic_records(&mut records, topic, topic_id, num_partitions, node.node_id, identity.directory_id);
        }
        Ok(CreatedTopic { topic_id, num_partitions, replication_factor })
    };
    let results = topics.iter().map(&mut create).collect();
    (results, records)
}

fn push_topic_records(
    records: &mut Records,
    topic: &NewTopic,
    topic_id: Uuid,
    num_partitions: i32,
    node_id: i32,
    directory_id: Uuid,
) {
    records.push(TopicRecord { name: &topic.name, topic_id });
    records.extend(topic.configs.iter().map(|(name, value)| ConfigRecord {
        resource_type: resource_type::TOPIC,
        resource_name: &topic.name,
        name,
        value: value.as_deref().map(str::trim),
    }));
    records.extend((0..num_partitions).map(|id| new_partition(topic_id, id, node_id, directory_id)));
}

/// A partition that this node alone has and leads.
pub(super) fn new_partition(
    topic_id: Uuid,
    partition_id: i32,
    node_id: i32,
    directory_id: Uuid,
) -> PartitionRecord<'static> {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![node_id].into(),
        isr: vec![node_id].into(),
        leader: node_id,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![directory_id].into(),
        ..PartitionRecord::default()
    }
}

/// Whether a topic may have this name, whatever topics there are.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("Topic name is invalid: the empty string is not allowed".to_owned()),
        "." | ".." => Err(format!("Topic name is invalid: '{name}' is not allowed")),
        "__cluster_metadata" => Err(format!("Topic name is invalid: '{name}' is the metadata's own")),
        _ if name.len() > TOPIC_NAME_LEN_MAX => {
            Err(format!("Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"))
        }
        _ if !name.chars().all(is_legal) => Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )),
        _ => Ok(()),
    }
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), CreateTopicError> {
    check_topic_name(name).map_err(CreateTopicError::InvalidName)?;
    if image.topic_by_name(name).is_some() {
        return Err(CreateTopicError::AlreadyExists(name.to_owned()));
    }
    if has_collision_chars(name) {
        let folded = fold_name(name);
        if let Some(other) = image.topics().find(|topic| fold_name(&topic.name) == folded) {
            let text = format!("Topic '{name}' collides with existing topic: {}", other.name);
            return Err(CreateTopicError::InvalidName(text));
        }
    }
    Ok(())
}

/// Metric names cannot tell a dot from an underscore.
fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

fn fold_name(name: &str) -> String {
    name.replace('.', "_")
}

fn numbers(node: &NodeConfig, topic: &NewTopic) -> Result<(i32, i16), CreateTopicError> {
    if !topic.assignments.is_empty() {
        return assigned_numbers(node, topic);
    }
    let num_partitions = match topic.num_partitions {
        -1 => node.num_partitions,
        count if count <= 0 => return Err(CreateTopicError::InvalidPartitions),
        count => count,
    };
    let replication_factor = match topic.replication_factor {
        -1 => node.default_replication_factor,
        factor => factor,
    };
    match replication_factor {
        1 => Ok((num_partitions, 1)),
        factor if factor <= 0 => Err(CreateTopicError::InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        )),
        factor => Err(CreateTopicError::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        ))),
    }
}

fn assigned_numbers(node: &NodeConfig, topic: &NewTopic) -> Result<(i32, i16), CreateTopicError> {
    if topic.replication_factor != -1 {
        return Err(CreateTopicError::AssignmentAndNumbers("replication factor"));
    }
    if topic.num_partitions != -1 {
        return Err(CreateTopicError::AssignmentAndNumbers("number of partitions"));
    }
    let invalid = |text: &str| Err(CreateTopicError::InvalidAssignment(text.to_owned()));
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|(index, _)| *index).collect();
    indexes.sort_unstable();
    if !indexes.iter().copied().eq(0..indexes.len() as i32) {
        return invalid("Partitions must be a consecutive 0-based integer sequence.");
    }
    for (_, replicas) in &topic.assignments {
        check_replicas(node, replicas).map_err(CreateTopicError::InvalidAssignment)?;
    }
    Ok((indexes.len() as i32, 1))
}

/// Whether a client may choose these replicas for a partition; the text is for the client.
pub(super) fn check_replicas(node: &NodeConfig, replicas: &[i32]) -> Result<(), String> {
    const BEGIN: &str = "The manual partition assignment includes";
    if replicas.is_empty() {
        return Err(format!("{BEGIN} an empty replica list."));
    }
    if let Some(other) = replicas.iter().find(|replica| **replica != node.node_id) {
        return Err(format!("{BEGIN} broker {other}, but no such broker is registered."));
    }
    match replicas {
        [_] => Ok(()),
        _ => Err(format!("{BEGIN} the broker {} more than once.", node.node_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::controller::tests::{create, identity, new_topic, node, random, started};
    use super::*;

    #[test]
    fn defaults_configs_and_records_of_a_topic() {
        let mut image = started();
        let mut topic = new_topic("t");
        topic.configs = vec![("ringlog.durability".to_owned(), Some("page-cache".to_owned()))];
        let created = create(&mut image, topic).unwrap();
        assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
        let topic = image.topic(&created.topic_id).unwrap();
        assert_eq!(topic.configs["ringlog.durability"], "page-cache");
        assert_eq!(topic.partitions.len(), 3);
        assert_eq!((topic.partitions[2].leader, topic.partitions[2].leader_epoch), (1, 0));
    }

    #[test]
    fn refused_topics() {
        let mut image = started();
        create(&mut image, new_topic("a.b")).unwrap();
        let mut check = |change: &dyn Fn(&mut NewTopic), expected: &str| {
            let mut topic = new_topic("t");
            change(&mut topic);
            let error = create(&mut image, topic).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&|topic| topic.name = "a.b".to_owned(), "already exists");
        check(&|topic| topic.name = "a_b".to_owned(), "collides with existing topic: a.b");
        check(&|topic| topic.name = String::new(), "empty string");
        check(&|topic| topic.name = "..".to_owned(), "not allowed");
        check(&|topic| topic.name = "a/b".to_owned(), "characters other");
        check(&|topic| topic.name = "x".repeat(250), "249");
        check(&|topic| topic.num_partitions = 0, "non-positive");
        check(&|topic| topic.num_partitions = i32::MAX, "Excessively large");
        check(&|topic| topic.replication_factor = 0, "larger than 0");
        check(&|topic| topic.replication_factor = 2, "only 1 broker(s)");
        check(&|topic| topic.configs = vec![("x".to_owned(), None)], "Unknown topic config");
        check(&|topic| topic.assignments = vec![(0, vec![2])], "includes broker 2, but no such broker");
        check(&|topic| topic.assignments = vec![(1, vec![1])], "consecutive");
        check(
            &|topic| (topic.assignments, topic.num_partitions) = (vec![(0, vec![1])], 1),
            "number of partitions was not set to -1",
        );
    }

    #[test]
    fn twice_in_a_request_is_refused_both_times_and_validating_writes_nothing() {
        let image = started();
        let topics = [new_topic("a"), new_topic("b"), new_topic("a")];
        let (results, records) = create_topics(&image, &node(), &identity(), &topics, true, random(2));
        assert_eq!(results[0], Err(CreateTopicError::DuplicateInRequest));
        assert!(results[1].is_ok());
        assert_eq!(results[2], Err(CreateTopicError::DuplicateInRequest));
        assert!(records.is_empty());
    }
}
