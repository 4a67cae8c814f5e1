//! What a state machine is given for one request, and what it gives back: no I/O, no clock of its own.

use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;

use uuid::Uuid;

use super::{GroupReply, Scene};
use crate::config::{ConsumerTimes, DynamicConfigs, GroupSettings};
use crate::metadata::MetadataImage;

/// The time of a request. Sessions run on the monotonic clock, so that a jump of the wall clock ends none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since an origin of the reactor's choice; never jumps.
    pub monotonic_ms: i64,
    /// Milliseconds since 1970 UTC, for records.
    pub wall_ms: i64,
}

/// The topics of the cluster, as far as groups need them.
pub trait Topics {
    /// Changes whenever something about topics may have changed.
    fn version(&self) -> i64;
    /// The id of a topic.
    fn id(&self, name: &str) -> Option<Uuid>;
    /// The name of a topic.
    fn name(&self, topic_id: Uuid) -> Option<String>;
    /// How many partitions a topic has.
    fn partitions_count(&self, topic_id: Uuid) -> Option<i32>;
    /// Calls with the name and the id of every topic, and whether it belongs to the broker itself.
    fn for_each(&self, call: &mut dyn FnMut(&str, Uuid, bool));
}

impl Topics for MetadataImage {
    fn version(&self) -> i64 {
        self.end_offset()
    }

    fn id(&self, name: &str) -> Option<Uuid> {
        self.topic_by_name(name).map(|topic| topic.topic_id)
    }

    fn name(&self, topic_id: Uuid) -> Option<String> {
        self.topic(&topic_id).map(|topic| topic.name.to_string())
    }

    fn partitions_count(&self, topic_id: Uuid) -> Option<i32> {
        self.topic(&topic_id).map(|topic| topic.partitions.len() as i32)
    }

    fn for_each(&self, call: &mut dyn FnMut(&str, Uuid, bool)) {
        for topic in self.topics() {
            call(&topic.name, topic.topic_id, topic.is_internal());
        }
    }
}

/// Names a request that is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// A record to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroupRecord {
    /// Its type and fields.
    pub key: Vec<u8>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What comes out of the state machine.
#[derive(Debug, Default)]
pub struct Output {
    /// To be appended, in order. The state already contains them.
    pub records: Vec<NewGroupRecord>,
    /// Answers; each must wait until all records of this output and of those before it are durable.
    pub replies: Vec<(Token, GroupReply)>,
}

/// One step of the state machine.
pub struct Turn<'a> {
    /// When it happens.
    pub now: Now,
    /// The topics that there are.
    pub topics: &'a dyn Topics,
    /// The broker's rules for groups.
    pub settings: &'a GroupSettings,
    /// The times of the consumer protocol in this group.
    pub consumer_times: ConsumerTimes,
    /// How old the target assignment of the group must be before another is computed.
    pub assignment_interval_ms: i32,
    /// What it leads to.
    pub output: &'a mut Output,
    /// The group wants to be looked at no later than this monotonic time.
    pub wake_at_ms: Option<i64>,
}

impl<'a> Turn<'a> {
    /// Nothing has come out yet. `configs`: what is set for the group.
    pub fn new(
        Scene { now, topics, assignment_interval_ms, .. }: Scene<'a>,
        configs: Option<&DynamicConfigs>,
        settings: &'a GroupSettings,
        output: &'a mut Output,
    ) -> Self {
        let consumer_times = settings.consumer_times(configs);
        let assignment_interval_ms = settings.consumer_assignment_interval_ms(configs, assignment_interval_ms);
        Self { now, topics, settings, consumer_times, assignment_interval_ms, output, wake_at_ms: None }
    }

    /// Answers a request.
    pub fn reply(&mut self, token: Token, reply: GroupReply) {
        self.output.replies.push((token, reply));
    }

    /// Appends a record.
    pub fn record(&mut self, record: &CoordinatorRecord<'_>) {
        let (key, value) = record.encode().expect("strings came from messages or are short, so they fit into records");
        self.output.records.push(NewGroupRecord { key, value });
    }

    /// The monotonic time after `timeout_ms`, at which the group will be looked at.
    pub fn wake_after(&mut self, timeout_ms: i32) -> i64 {
        let at = self.now.monotonic_ms + i64::from(timeout_ms.max(0));
        self.wake_at_ms = Some(self.wake_at_ms.map_or(at, |other| other.min(at)));
        at
    }
}
