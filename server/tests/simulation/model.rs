//! The truth that a run is compared with: what was sent, what was acked, what was seen, and what may be lost.
//!
//! Rules:
//! - A record that was acked or fetched is *known* at its offset. Another record there, ever, is a failure.
//! - Class sync: known is for ever. Class page-cache: a power cut, or an injected sync error, takes back what was not
//!   *firm*; firm is what a clean stop has synced. Where the class is altered, firm is what was sent after the answer that
//!   it is sync, and all that lies below.
//! - A log starts at 0, or where somebody asked it to, at least where that was acked; with retention it may start anywhere.
//! - A record of an idempotent producer has one offset, and its producer's records come in the order they were sent.
//! - A topic that was created is there until somebody asks to delete it; one that was deleted never comes back.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::records::RecordId;

/// Durability class of a topic; what it is created with is a function of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Sync,
    PageCache,
}

/// What is known of a topic's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Live,
    /// Somebody asked to delete it: anything may happen to it.
    Deleting,
    Deleted,
}

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub topic_id: Uuid,
    pub partition: i32,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    target: Target,
    producer: usize,
    idempotent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: RecordId,
    firm: bool,
}

/// One partition.
#[derive(Debug, Default)]
pub struct PartitionModel {
    known: BTreeMap<i64, Known>,
    places: BTreeMap<RecordId, i64>,
    /// Highest end that a reader was told of; its records were readable, so they stay.
    seen_end: i64,
    /// Start of the log that somebody asked for, and that was acked.
    start_asked: i64,
    start_acked: i64,
}

impl PartitionModel {
    /// End of what must be there.
    pub fn end(&self) -> i64 {
        self.known.last_key_value().map_or(0, |(offset, _)| offset + 1).max(self.seen_end)
    }

    /// Where the log starts at least.
    pub fn start_acked(&self) -> i64 {
        self.start_acked
    }
}

/// One incarnation of a topic's name.
#[derive(Debug)]
pub struct TopicModel {
    pub name: String,
    pub stage: Stage,
    /// A batch that was first sent at this virtual time, or later, is of class sync for certain.
    sync_since: Option<u64>,
    /// It never was, nor was asked to be, of another class.
    is_always_sync: bool,
    /// Somebody asked for retention.
    has_retention: bool,
    pub partitions: Vec<PartitionModel>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Model {
    pub topics: BTreeMap<Uuid, TopicModel>,
    sent: Vec<Sent>,
    /// How often class page-cache lost what was not firm.
    losses: u64,
    /// A sync failed: the page cache may show for ever what the device never got.
    has_sync_failed: bool,
    pub acked_records: u64,
    pub fetched_records: u64,
}

impl Model {
    /// A topic exists.
    pub fn created(&mut self, topic_id: Uuid, name: &str, class: Class, partitions: usize) {
        if let Some(topic) = self.topics.get(&topic_id) {
            assert_eq!(topic.name, name, "a topic id names one topic");
            assert_eq!(topic.stage, Stage::Live, "topic {name} came back");
            return;
        }
        let partitions = (0..partitions).map(|_| PartitionModel::default()).collect();
        let is_always_sync = class == Class::Sync;
        let topic = TopicModel {
            name: name.to_owned(),
            stage: Stage::Live,
            sync_since: is_always_sync.then_some(0),
            is_always_sync,
            has_retention: false,
            partitions,
        };
        self.topics.insert(topic_id, topic);
    }

    /// Ids for `count` records that are about to be sent.
    pub fn new_records(&mut self, target: Target, producer: usize, idempotent: bool, count: u64) -> RecordId {
        let first = self.sent.len() as u64;
        self.sent.extend((0..count).map(|_| Sent { target, producer, idempotent }));
        first
    }

    /// Whether the topic should be there.
    pub fn is_live(&self, topic_id: Uuid) -> bool {
        self.topics.get(&topic_id).is_some_and(|topic| topic.stage == Stage::Live)
    }

    /// Somebody asks for a class, and then is answered at `answered`.
    pub fn alters_class(&mut self, topic_id: Uuid, class: Class, answered: Option<u64>) {
        let topic = self.topics.get_mut(&topic_id).expect("a known topic");
        topic.is_always_sync &= class == Class::Sync;
        topic.sync_since = match (class, answered) {
            (Class::PageCache, _) => None,
            (Class::Sync, answered) => topic.sync_since.or(answered),
        };
    }

    /// Somebody asks for retention.
    pub fn alters_retention(&mut self, topic_id: Uuid) {
        self.topics.get_mut(&topic_id).expect("a known topic").has_retention = true;
    }

    /// Somebody asks to delete what is below `offset`, and then is answered that the log starts at `acked`.
    pub fn deletes_records(&mut self, target: Target, offset: i64, acked: Option<i64>) {
        let partition = self.partition_mut(target);
        partition.start_asked = partition.start_asked.max(offset);
        partition.start_acked = partition.start_acked.max(acked.unwrap_or(0));
    }

    /// Whether an answer may say that the log starts there; `acked`: where it started at least before it was asked.
    pub fn may_start(&self, target: Target, start: i64, acked: i64) -> bool {
        let has_retention = self.topics[&target.topic_id].has_retention;
        // Of class page-cache a power cut may leave later segments without the first.
        self.may_have_lost(target) || start >= acked && (has_retention || start <= self.partition(target).start_asked)
    }

    /// Whether the log may not start at 0.
    pub fn may_be_cut(&self, target: Target) -> bool {
        self.topics[&target.topic_id].has_retention || self.partition(target).start_asked > 0
    }

    /// All partitions that should be there.
    pub fn live_targets(&self) -> Vec<Target> {
        let live = self.topics.iter().filter(|(_, topic)| topic.stage == Stage::Live);
        live.flat_map(|(&topic_id, topic)| {
            (0..topic.partitions.len()).map(move |index| Target { topic_id, partition: index as i32 })
        })
        .collect()
    }

    /// A partition.
    pub fn partition(&self, target: Target) -> &PartitionModel {
        &self.topics[&target.topic_id].partitions[target.partition as usize]
    }

    fn partition_mut(&mut self, target: Target) -> &mut PartitionModel {
        let topic = self.topics.get_mut(&target.topic_id).expect("a known topic");
        &mut topic.partitions[target.partition as usize]
    }

    /// What an answer that is still on its way says of class page-cache holds only until the next loss: to be asked
    /// before a connection is opened, and handed in with what comes over it.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Whether records of it may be gone.
    pub fn may_have_lost(&self, target: Target) -> bool {
        self.losses > 0 && !self.topics[&target.topic_id].is_always_sync
    }

    fn is_outdated(&self, target: Target, losses: u64) -> bool {
        losses != self.losses && !self.topics[&target.topic_id].is_always_sync
    }

    /// A batch, first sent at `first_sent`, was acked at `base_offset`.
    pub fn acked(
        &mut self,
        target: Target,
        base_offset: i64,
        ids: impl Iterator<Item = RecordId>,
        first_sent: u64,
        losses: u64,
    ) {
        let is_firm = self.topics[&target.topic_id].sync_since.is_some_and(|since| since <= first_sent);
        if self.is_outdated(target, losses) && !is_firm {
            return;
        }
        for (at, id) in ids.enumerate() {
            self.learn(target, base_offset + at as i64, id, is_firm, "acked");
            self.acked_records += 1;
        }
    }

    /// A record was fetched.
    pub fn fetched(&mut self, target: Target, offset: i64, id: RecordId, losses: u64) {
        if self.is_outdated(target, losses) {
            return;
        }
        let is_firm = self.topics[&target.topic_id].is_always_sync;
        self.learn(target, offset, id, is_firm, "fetched");
        self.fetched_records += 1;
    }

    /// A reader was told that everything below `end` may be read.
    pub fn seen(&mut self, target: Target, end: i64) {
        if self.topics[&target.topic_id].is_always_sync {
            let partition = self.partition_mut(target);
            partition.seen_end = partition.seen_end.max(end);
        }
    }

    fn learn(&mut self, target: Target, offset: i64, id: RecordId, is_firm: bool, how: &str) {
        let name = &self.topics[&target.topic_id].name;
        let place = format!("{name}-{} offset {offset}", target.partition);
        let Some(sent) = self.sent.get(id as usize).copied() else { panic!("{place}: record {id} was never sent") };
        assert_eq!(sent.target, target, "{place}: record {id} belongs elsewhere");
        let partition = self.partition_mut(target);
        let known = *partition.known.entry(offset).or_insert(Known { id, firm: false });
        if is_firm {
            // What is not firm below was synced when the class changed.
            let below = partition.known.range_mut(..=offset).rev().map(|(_, known)| known);
            below.take_while(|known| !known.firm).for_each(|known| known.firm = true);
        }
        assert_eq!(known.id, id, "{place} {how}: record {id}, but record {} was there before", known.id);
        if sent.idempotent {
            let first = *partition.places.entry(id).or_insert(offset);
            assert_eq!(first, offset, "{place} {how}: record {id} of an idempotent producer is at {first} too");
        }
    }

    /// What a whole partition holds, read from its start to its end: nothing known is missing, all is in order.
    pub fn verify(&mut self, target: Target, start: i64, read: &[(i64, RecordId)]) {
        let topic = &self.topics[&target.topic_id];
        let place = format!("{}-{}", topic.name, target.partition);
        for (at, (offset, _)) in read.iter().enumerate() {
            assert_eq!(*offset, start + at as i64, "{place}: offsets are dense from {start}");
        }
        let end = start + read.len() as i64;
        let partition = self.partition(target);
        let kept_from = if topic.has_retention { start } else { partition.start_asked.min(start) };
        let missing = partition.known.range(kept_from..start).next();
        assert!(missing.is_none(), "{place} starts at {start}: {missing:?} is lost");
        assert!(end >= partition.end(), "{place} ends at {end}: records up to {} are lost", partition.end());
        let mut last_of: BTreeMap<usize, RecordId> = BTreeMap::new();
        for &(offset, id) in read {
            let sent = self.sent[id as usize];
            if sent.idempotent
                && let Some(last) = last_of.insert(sent.producer, id)
            {
                assert!(last < id, "{place} offset {offset}: record {id} of an idempotent producer comes after {last}");
            }
        }
    }

    /// The power went, or a sync failed: what class page-cache had not synced may be gone.
    pub fn lose_page_cache(&mut self) {
        self.losses += 1;
        let lossy = self.topics.values_mut().filter(|topic| !topic.is_always_sync);
        for partition in lossy.flat_map(|topic| &mut topic.partitions) {
            let lost: Vec<i64> =
                partition.known.iter().filter(|(_, known)| !known.firm).map(|(&offset, _)| offset).collect();
            for offset in lost {
                let known = partition.known.remove(&offset).expect("listed above");
                partition.places.remove(&known.id);
            }
        }
    }

    /// Syncs may fail from now on.
    pub fn sync_fails(&mut self) {
        self.has_sync_failed = true;
        self.lose_page_cache();
    }

    /// A clean stop has synced everything.
    pub fn all_firm(&mut self) {
        if self.has_sync_failed {
            return;
        }
        let partitions = self.topics.values_mut().flat_map(|topic| &mut topic.partitions);
        partitions.flat_map(|partition| partition.known.values_mut()).for_each(|known| known.firm = true);
    }
}
