//! The topics of a Metadata answer, written in slices: of very many partitions, others have their turn in between.
//!
//! Invariant: one call of [`TopicsWriter::write_some`] writes about [`PARTITIONS_PER_TURN`] partitions and topics at most.

use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{MetadataResponsePartition, MetadataResponseTopic};
use ringlog_core::wire::{Array, ArrayBuilder, BuiltArray, EncodeError, Scope};
use uuid::Uuid;

use crate::metadata::TopicImage;

/// Partitions, and topics, that are written in one loop turn.
const PARTITIONS_PER_TURN: usize = 2_000;

/// Bytes of a partition with one replica, and of a topic beside its name and its partitions.
const PARTITION_BYTES: usize = 48;
const TOPIC_BYTES: usize = 48;

/// What was found of one topic that is asked for.
pub(super) enum FoundTopic {
    Known(Arc<TopicImage>),
    Missing { error_code: ErrorCode, name: Option<String>, topic_id: Uuid },
}

/// Topics on their way into an answer.
pub(super) struct TopicsWriter {
    scope: Scope,
    left: std::vec::IntoIter<FoundTopic>,
    /// A topic with more partitions than one loop turn may take.
    begun: Option<BegunTopic>,
    written: ArrayBuilder,
}

/// A topic of which some partitions are written.
struct BegunTopic {
    topic: Arc<TopicImage>,
    partitions: ArrayBuilder,
}

impl TopicsWriter {
    /// For an answer of this scope; nothing is written yet.
    pub(super) fn new(topics: Vec<FoundTopic>, scope: Scope) -> Self {
        Self { scope, left: topics.into_iter(), begun: None, written: ArrayBuilder::new(scope) }
    }

    /// Writes as much as one loop turn may take. Whether that was the last.
    pub(super) fn write_some(&mut self) -> Result<bool, EncodeError> {
        let mut room = PARTITIONS_PER_TURN;
        while room > 0 {
            if let Some(begun) = self.begun.take() {
                room -= self.go_on(begun, room)?;
                continue;
            }
            match self.left.next() {
                None => break,
                Some(FoundTopic::Known(topic)) if topic.partitions.len() >= room => {
                    self.begun = Some(BegunTopic { topic, partitions: ArrayBuilder::new(self.scope) });
                }
                Some(FoundTopic::Known(topic)) => {
                    let partition = |index| known_partition(&topic, index);
                    let partitions = Array::from_fn(topic.partitions.len(), &partition);
                    self.written.push(&known_topic(&topic, partitions));
                    room -= topic.partitions.len() + 1;
                }
                Some(FoundTopic::Missing { error_code, name, topic_id }) => {
                    let name = name.as_deref();
                    self.written.push(&MetadataResponseTopic { error_code, name, topic_id, ..Default::default() });
                    room -= 1;
                }
            }
        }
        Ok(self.begun.is_none() && self.left.as_slice().is_empty())
    }

    /// Writes the next partitions of a topic, with room for at least one. Told how much room they took.
    fn go_on(&mut self, begun: BegunTopic, room: usize) -> Result<usize, EncodeError> {
        let BegunTopic { topic, mut partitions } = begun;
        let from = partitions.count();
        let to = topic.partitions.len().min(from + room);
        (from..to).for_each(|index| partitions.push(&known_partition(&topic, index)));
        if to < topic.partitions.len() {
            self.begun = Some(BegunTopic { topic, partitions });
            return Ok(to - from);
        }
        self.written.push(&known_topic(&topic, partitions.finish()?.as_array()));
        Ok((to - from + 1).min(room))
    }

    /// At least the bytes of what is not written yet.
    pub(super) fn size_bytes_max(&self) -> usize {
        let of_topic = |topic: &TopicImage| topic.name.len() + TOPIC_BYTES + topic.partitions.len() * PARTITION_BYTES;
        let of_found = |found: &FoundTopic| match found {
            FoundTopic::Known(topic) => of_topic(topic),
            FoundTopic::Missing { name, .. } => name.as_ref().map_or(0, String::len) + TOPIC_BYTES,
        };
        let begun = self.begun.as_ref().map_or(0, |begun| of_topic(&begun.topic));
        begun + self.left.as_slice().iter().map(of_found).sum::<usize>()
    }

    /// All of it, once [`TopicsWriter::write_some`] has said that this is all.
    pub(super) fn finish(self) -> Result<BuiltArray, EncodeError> {
        assert!(self.begun.is_none() && self.left.as_slice().is_empty(), "all topics are written");
        self.written.finish()
    }
}

fn known_topic<'a>(
    topic: &'a TopicImage,
    partitions: Array<'a, MetadataResponsePartition<'a>>,
) -> MetadataResponseTopic<'a> {
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.topic_id,
        is_internal: topic.is_internal(),
        partitions,
        ..Default::default()
    }
}

fn known_partition(topic: &TopicImage, index: usize) -> MetadataResponsePartition<'_> {
    let partition = &topic.partitions[index];
    MetadataResponsePartition {
        partition_index: index as i32,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: (&partition.placement.replicas[..]).into(),
        isr_nodes: (&partition.placement.isr[..]).into(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::protocol::messages::MetadataResponse;
    use ringlog_core::wire::{Message, Reader, Writer};
    use smallvec::smallvec;

    use super::*;
    use crate::metadata::{PartitionImage, Placement};

    fn topic(name: &str, partitions: usize) -> FoundTopic {
        let placement = Placement { replicas: smallvec![1], isr: smallvec![1], ..Placement::default() };
        let placement = Arc::new(placement);
        let partition = |index| PartitionImage {
            placement: Arc::clone(&placement),
            leader: 1,
            leader_epoch: index as i32,
            ..PartitionImage::default()
        };
        let partitions = (0..partitions).map(partition).collect();
        let name = Arc::from(name);
        FoundTopic::Known(Arc::new(TopicImage { topic_id: Uuid::from_u128(1), name, partitions, configs: [].into() }))
    }

    fn missing(name: &str) -> FoundTopic {
        let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        FoundTopic::Missing { error_code, name: Some(name.to_owned()), topic_id: Uuid::nil() }
    }

    /// Partitions and topics that are not written.
    fn left(topics: &TopicsWriter) -> usize {
        let of_found = |found: &FoundTopic| match found {
            FoundTopic::Known(topic) => topic.partitions.len() + 1,
            FoundTopic::Missing { .. } => 1,
        };
        let begun =
            topics.begun.as_ref().map_or(0, |begun| begun.topic.partitions.len() - begun.partitions.count() + 1);
        begun + topics.left.as_slice().iter().map(of_found).sum::<usize>()
    }

    #[test]
    fn however_many_partitions_a_turn_writes_a_slice_and_all_turns_write_the_answer() {
        for version in MetadataResponse::VERSIONS {
            let scope = MetadataResponse::scope(version);
            let sizes = [1, 10_000, 0, 1_999, 2_000, 2_001, 3, 500, 500, 500, 500, 500];
            let mut found: Vec<FoundTopic> = sizes.iter().map(|size| topic(&format!("t{size}"), *size)).collect();
            found.extend((0..5_000).map(|index| missing(&index.to_string())));
            let mut topics = TopicsWriter::new(found, scope);
            loop {
                let before = left(&topics);
                let are_all_written = topics.write_some().expect("short names");
                let written = before - left(&topics);
                assert!(0 < written && written <= PARTITIONS_PER_TURN + 1, "{written} in one turn");
                if are_all_written {
                    break;
                }
            }
            let topics = topics.finish().expect("short names");
            let response = MetadataResponse { topics: topics.as_array(), ..Default::default() };
            let mut writer = Writer::new();
            response.encode(&mut writer, version);
            let bytes = writer.finish().expect("an answer").bytes;
            let response = MetadataResponse::decode(&mut Reader::new(&bytes), version).expect("an answer");
            let found: Vec<usize> = response.topics.iter().take(sizes.len()).map(|t| t.partitions.len()).collect();
            assert_eq!((response.topics.len(), &found[..]), (sizes.len() + 5_000, &sizes[..]));
            let large = response.topics.iter().nth(1).expect("the large one");
            let are_in_order = large.partitions.iter().enumerate().all(|(at, p)| p.partition_index == at as i32);
            assert!(are_in_order && large.name == Some("t10000"));
            assert_eq!(response.topics.iter().last().and_then(|topic| topic.name), Some("4999"));
        }
    }
}
