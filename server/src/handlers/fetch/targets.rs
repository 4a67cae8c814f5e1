//! The partitions of a fetch: of one request alone, or kept by a fetch session.
//!
//! Invariants:
//! - A partition is there once, whatever the request repeats.
//! - Reading begins behind the partition that got records last, so that one with many does not starve the others.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use ringlog_core::protocol::messages::{FetchTopic, ForgottenTopic};
use ringlog_core::wire::Array;
use uuid::Uuid;

use crate::metadata::{MetadataView, TopicImage};
use crate::partition::{PartitionError, ReadOutcome, TopicPartition};

/// What a partition takes here, about.
const PARTITION_BYTES: usize = size_of::<(PartitionKey, Target)>() + 3 * size_of::<usize>();
/// What was not answered yet, or with an error.
const NOT_ANSWERED: i64 = -1;

/// A topic as its reader names it: by id from Fetch 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// By id.
    Id(Uuid),
    /// By name.
    Name(Arc<str>),
}

/// A partition as its reader names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// Its topic.
    pub topic: TopicKey,
    /// Its number.
    pub partition_index: i32,
}

/// One partition of a fetch: where it is, what is wanted, what was told of it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Owner and name; `None` if there is no such partition.
    pub place: Option<(u16, TopicPartition)>,
    /// First offset wanted (inclusive).
    pub offset: i64,
    /// Bound in bytes.
    pub max_bytes: usize,
    /// What the reader believes to be the leader epoch, -1 for nothing.
    pub current_leader_epoch: i32,
    high_watermark: i64,
    log_start_offset: i64,
}

/// Partitions in the order in which they are read.
#[derive(Debug)]
pub struct Targets {
    by_id: bool,
    partitions: IndexMap<PartitionKey, Target, ahash::RandomState>,
    /// Where reading begins.
    first: usize,
    /// Places are as in the metadata up to this offset.
    placed_at: i64,
    names_bytes: usize,
}

impl Targets {
    /// None yet; `by_id`: topics are named by id.
    pub fn new(by_id: bool) -> Self {
        Self { by_id, partitions: IndexMap::default(), first: 0, placed_at: -1, names_bytes: 0 }
    }

    /// Whether topics are named by id.
    pub fn by_id(&self) -> bool {
        self.by_id
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The memory that they take, about.
    pub fn size_bytes(&self) -> usize {
        self.partitions.capacity() * PARTITION_BYTES + self.names_bytes
    }

    /// The partition that is read after `at` others.
    pub fn get(&self, at: usize) -> (&PartitionKey, &Target) {
        self.partitions.get_index(self.index(at)).expect("below the count")
    }

    /// All of them in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = (&PartitionKey, &Target)> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The next reading begins behind the partition that was read after `at` others.
    pub fn begin_behind(&mut self, at: usize) {
        self.first = (self.index(at) + 1) % self.len();
    }

    /// Whether the answer differs from what the reader knows, as Kafka decides it: records, an error, another high
    /// watermark or log start. What is told now counts as known.
    pub fn tell(&mut self, at: usize, outcome: &Result<ReadOutcome, PartitionError>) -> bool {
        let index = self.index(at);
        let (_, target) = self.partitions.get_index_mut(index).expect("below the count");
        let Ok(read) = outcome else {
            target.high_watermark = NOT_ANSWERED;
            return true;
        };
        let told = (target.high_watermark, target.log_start_offset);
        (target.high_watermark, target.log_start_offset) = (read.high_watermark, read.log_start_offset);
        !read.records.is_empty() || told != (read.high_watermark, read.log_start_offset)
    }

    /// Takes partitions of a request, new ones and other offsets of those that are there, and finds where all are.
    pub fn set<'a>(&mut self, metadata: &MetadataView, topics: &Array<'a, FetchTopic<'a>>) {
        self.place(metadata);
        let image = metadata.image();
        for asked in topics {
            let topic = if self.by_id { image.topic(&asked.topic_id) } else { image.topic_by_name(asked.topic) };
            for partition in &asked.partitions {
                let partition_index = partition.partition;
                let topic_key = match (self.by_id, topic) {
                    (true, _) => TopicKey::Id(asked.topic_id),
                    (false, Some(topic)) => TopicKey::Name(Arc::clone(&topic.name)),
                    (false, None) => TopicKey::Name(asked.topic.into()),
                };
                let target = match self.partitions.entry(PartitionKey { topic: topic_key, partition_index }) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        self.names_bytes += new.key().name_bytes();
                        new.insert(Target::at(place(metadata, topic, partition_index)))
                    }
                };
                target.offset = partition.fetch_offset;
                target.max_bytes = usize::try_from(partition.partition_max_bytes).unwrap_or(0);
                target.current_leader_epoch = partition.current_leader_epoch;
            }
        }
    }

    /// Takes partitions out.
    pub fn forget<'a>(&mut self, topics: &Array<'a, ForgottenTopic<'a>>) {
        for forgotten in topics {
            let topic = match self.by_id {
                true => TopicKey::Id(forgotten.topic_id),
                false => TopicKey::Name(forgotten.topic.into()),
            };
            for partition_index in &forgotten.partitions {
                let key = PartitionKey { topic: topic.clone(), partition_index };
                if self.partitions.swap_remove(&key).is_some() {
                    self.names_bytes -= key.name_bytes();
                }
            }
        }
        if self.first >= self.len() {
            self.first = 0;
        }
    }

    /// Looks for all places again if the metadata has changed.
    fn place(&mut self, metadata: &MetadataView) {
        let image = metadata.image();
        if self.placed_at == image.end_offset() {
            return;
        }
        self.placed_at = image.end_offset();
        for (key, target) in &mut self.partitions {
            let topic = match &key.topic {
                TopicKey::Id(topic_id) => image.topic(topic_id),
                TopicKey::Name(name) => image.topic_by_name(name),
            };
            target.place = place(metadata, topic, key.partition_index);
        }
    }

    fn index(&self, at: usize) -> usize {
        let index = self.first + at;
        if index < self.len() { index } else { index - self.len() }
    }
}

fn place(
    metadata: &MetadataView,
    topic: Option<&Arc<TopicImage>>,
    partition_index: i32,
) -> Option<(u16, TopicPartition)> {
    let topic = topic?;
    let owner = metadata.owner(topic, partition_index)?;
    Some((owner, TopicPartition { topic_id: topic.topic_id, partition_index }))
}

impl Target {
    fn at(place: Option<(u16, TopicPartition)>) -> Self {
        let (high_watermark, log_start_offset) = (NOT_ANSWERED, NOT_ANSWERED);
        Self { place, offset: 0, max_bytes: 0, current_leader_epoch: -1, high_watermark, log_start_offset }
    }
}

impl PartitionKey {
    /// A name is shared with the metadata unless there is no such topic.
    fn name_bytes(&self) -> usize {
        match &self.topic {
            TopicKey::Id(_) => 0,
            TopicKey::Name(name) => name.len(),
        }
    }
}

#[cfg(test)]
impl Targets {
    /// Partitions of one topic, named by id.
    pub fn of(count: i32) -> Self {
        let mut targets = Self::new(true);
        for partition_index in 0..count {
            let key = PartitionKey { topic: TopicKey::Id(Uuid::from_u128(1)), partition_index };
            targets.partitions.insert(key, Target::at(None));
        }
        targets
    }
}
