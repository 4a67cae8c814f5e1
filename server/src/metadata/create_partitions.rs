//! Decides the growth of topics: `(state, request) -> (results, records)`, without I/O.

use uuid::Uuid;

use super::controller::records_for;
use super::create_topics::{PARTITIONS_PER_REQUEST_MAX, check_replicas, new_partition};
use super::image::MetadataImage;
use super::node::{Identity, NodeConfig};
use super::records::Records;

/// What a topic is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// Its name.
    pub topic_name: String,
    /// Partitions that it has afterwards.
    pub count: i32,
    /// Replicas of each new partition, if the client chose them.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Why a topic does not grow. The texts are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// INVALID_REQUEST.
    #[error("Duplicate topic name.")]
    DuplicateInRequest,
    /// INVALID_PARTITIONS.
    #[error("{0}")]
    InvalidPartitions(String),
    /// INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    InvalidAssignment(String),
    /// POLICY_VIOLATION.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
}

use CreatePartitionsError::{
    DuplicateInRequest, InvalidAssignment, InvalidPartitions, TooManyPartitions, UnknownTopic,
};

/// Adds partitions. With `validate_only` there are no records.
pub fn create_partitions(
    image: &MetadataImage,
    node: &NodeConfig,
    identity: &Identity,
    topics: &[NewPartitions],
    validate_only: bool,
) -> (Vec<Result<(), CreatePartitionsError>>, Records) {
    let (mut records, mut partitions_left) = (records_for(image), PARTITIONS_PER_REQUEST_MAX);
    let mut create = |wanted: &NewPartitions| {
        if topics.iter().filter(|other| other.topic_name == wanted.topic_name).count() > 1 {
            return Err(DuplicateInRequest);
        }
        let (topic_id, new) = check(image, node, wanted)?;
        partitions_left = partitions_left.checked_sub(new.len()).ok_or(TooManyPartitions)?;
        if !validate_only {
            records.extend(new.map(|index| new_partition(topic_id, index, node.node_id, identity.directory_id)));
        }
        Ok(())
    };
    let results = topics.iter().map(&mut create).collect();
    (results, records)
}

/// Topic and indexes of the new partitions.
fn check(
    image: &MetadataImage,
    node: &NodeConfig,
    wanted: &NewPartitions,
) -> Result<(Uuid, std::ops::Range<i32>), CreatePartitionsError> {
    let topic = image.topic_by_name(&wanted.topic_name).ok_or(UnknownTopic)?;
    let current = topic.partitions.len() as i32;
    if wanted.count == current {
        return Err(InvalidPartitions(format!("Topic already has {current} partition(s).")));
    }
    if wanted.count < current {
        return Err(InvalidPartitions(format!(
            "The topic {} currently has {current} partition(s); {} would not be an increase.",
            topic.name, wanted.count
        )));
    }
    if let Some(assignments) = &wanted.assignments {
        let new = (wanted.count - current) as usize;
        if assignments.len() != new {
            return Err(InvalidAssignment(format!(
                "Attempted to add {new} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            )));
        }
        for replicas in assignments {
            check_replicas(node, replicas).map_err(InvalidAssignment)?;
        }
    }
    Ok((topic.topic_id, current..wanted.count))
}

#[cfg(test)]
mod tests {
    use ringlog_core::protocol::metadata::TopicRecord;

    use super::super::controller::tests::{identity, node};
    use super::*;

    fn create(image: &MetadataImage, wanted: NewPartitions) -> (Result<(), CreatePartitionsError>, Records) {
        let (mut results, records) = create_partitions(image, &node(), &identity(), &[wanted], false);
        (results.remove(0), records)
    }

    #[test]
    fn a_topic_grows_and_never_shrinks() {
        let mut image = MetadataImage::default();
        let (topic_id, topic_name) = (Uuid::from_u128(1), "t".to_owned());
        let mut records = Records::default();
        records.push(TopicRecord { name: "t", topic_id });
        records.push(new_partition(topic_id, 0, 1, identity().directory_id));
        image.replay_all(0, &records).unwrap();
        let wanted = |count, assignments| NewPartitions { topic_name: topic_name.clone(), count, assignments };
        let (result, records) = create(&image, wanted(3, None));
        result.unwrap();
        image.replay_all(image.end_offset(), &records).unwrap();
        assert_eq!(image.topic(&topic_id).unwrap().partitions.len(), 3);
        let refused = |wanted| create(&image, wanted).0.unwrap_err();
        assert!(matches!(refused(wanted(3, None)), InvalidPartitions(text) if text.contains("already has 3")));
        assert!(matches!(refused(wanted(2, None)), InvalidPartitions(text) if text.contains("not be an increase")));
        assert!(matches!(refused(wanted(5, Some(vec![vec![1]]))), InvalidAssignment(_)));
        assert!(matches!(refused(wanted(4, Some(vec![vec![2]]))), InvalidAssignment(_)));
        assert_eq!(refused(wanted(i32::MAX, None)), TooManyPartitions);
        assert_eq!(refused(NewPartitions { topic_name: "u".to_owned(), ..wanted(4, None) }), UnknownTopic);
        assert!(create(&image, wanted(4, Some(vec![vec![1]]))).0.is_ok());
        let twice = [wanted(4, None), wanted(5, None)];
        let (results, records) = create_partitions(&image, &node(), &identity(), &twice, false);
        assert!(records.is_empty() && results == [Err(DuplicateInRequest), Err(DuplicateInRequest)]);
    }
}
