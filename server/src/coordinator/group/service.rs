//! The coordinators of one shard: loading, appending, answering, and time.
//!
//! Invariants:
//! - The records of one loop turn and partition are one batch (more only above `BATCH_BYTES_MAX`), appended at the end
//!   of the turn: commits share their append and their sync without any timer.
//! - An answer waits for the appends that were under way when the state machine gave it, in order.
//! - Behind an append that failed none is made: the log never lacks a record that comes before one that it has.
//! - A log is loaded when no append to it is under way: what is acked later would not be in the state.
//! - Logs are loaded one after another: to open one may take milliseconds, and what clients ask meanwhile waits for one at
//!   most.
//! - Where an append failed that may be there after a restart, no coordinator is hosted until then: it would not know what
//!   the next one knows.
//! - Each reply is called exactly once, never while anything here is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::reactor::{Alarm, Instant, Reactor};
use uuid::Uuid;

use super::active::{Active, Due, ReplyTo};
use super::loader::load;
use super::planted::{PlantedBug, is_planted};
use super::{Coordinator, GroupReply, GroupRequest, Now, Output, Scene};
use crate::config::GroupSettings;
use crate::metadata::{MetadataImage, MetadataView};
use crate::meters::CommittedSnapshot;
use crate::partition::{PartitionError, PartitionReply, PartitionRequest, Partitions, TopicPartition};

/// For so long an append may wait for room in its log: Kafka's default of `offsets.commit.timeout.ms`.
const APPEND_TIMEOUT_MS: i32 = 5_000;
/// Wait before a log that cannot be loaded or written is tried again.
const RELOAD_AFTER: Duration = Duration::from_secs(1);
const NANOS_PER_MS: u64 = 1_000_000;

/// Clones are the same coordinators.
#[derive(Clone)]
pub struct GroupCoordinators(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    partitions: Partitions,
    view: Rc<MetadataView>,
    settings: Arc<GroupSettings>,
    /// By partition of `__consumer_offsets`.
    hosted: RefCell<BTreeMap<i32, Hosted>>,
    /// Partitions that are to be loaded, each with its incarnation.
    to_load: RefCell<VecDeque<(TopicPartition, u64)>>,
    is_loading: Cell<bool>,
    /// Partitions with records that the end of this turn appends.
    dirty: RefCell<Vec<i32>>,
    /// Set to when a coordinator has something to do next.
    alarm: Alarm,
    incarnations: Cell<u64>,
}

struct Hosted {
    name: TopicPartition,
    /// Tells what was begun for an earlier life of this coordinator.
    incarnation: u64,
    /// Appends without an answer, those of earlier lives too.
    under_way: usize,
    /// `None` while the log is loaded.
    active: Option<Active>,
}

impl GroupCoordinators {
    /// Of a shard, none yet.
    pub fn new(reactor: Reactor, partitions: Partitions, view: Rc<MetadataView>, settings: Arc<GroupSettings>) -> Self {
        Self(Rc::new_cyclic(|inner: &Weak<Inner>| {
            let inner = Weak::clone(inner);
            let on_time = move || inner.upgrade().into_iter().for_each(|inner| Self(inner).on_time());
            Inner {
                alarm: reactor.alarm(on_time),
                reactor,
                partitions,
                view,
                settings,
                hosted: RefCell::default(),
                to_load: RefCell::default(),
                is_loading: Cell::new(false),
                dirty: RefCell::default(),
                incarnations: Cell::new(0),
            }
        }))
    }

    /// This shard owns a partition of `__consumer_offsets` from now on: loads it.
    pub fn host(&self, name: TopicPartition) {
        let incarnation = self.0.incarnations.replace(self.0.incarnations.get() + 1);
        let earlier_life = |hosted: &&Hosted| hosted.name == name;
        let earlier =
            self.0.hosted.borrow().get(&name.partition_index).filter(earlier_life).map(|hosted| hosted.under_way);
        let under_way = earlier.unwrap_or(0);
        let hosted = Hosted { name, incarnation, under_way, active: None };
        self.replace(name.partition_index, Some(hosted));
        match under_way {
            0 => self.load(name, incarnation),
            // The last of them asks for it.
            _ => self.0.partitions.refuse_queued(name),
        }
    }

    /// A partition is gone; if it is not one of `__consumer_offsets`, nothing happens.
    pub fn unhost(&self, name: TopicPartition) {
        let is_hosted = |hosted: &Hosted| hosted.name == name;
        if self.0.hosted.borrow().get(&name.partition_index).is_some_and(is_hosted) {
            self.replace(name.partition_index, None);
        }
    }

    /// Topics are gone: so are the offsets that groups have committed for them.
    pub fn forget_topics(&self, topics: &[(String, Uuid)]) {
        self.step_all(|coordinator, at, output| coordinator.forget_topics(topics, at, output));
    }

    /// The committed offsets of all groups here, in no order.
    pub fn committed(&self) -> Vec<CommittedSnapshot> {
        let hosted = self.0.hosted.borrow();
        let active = hosted.values().filter_map(|hosted| hosted.active.as_ref());
        active.flat_map(|active| active.coordinator.committed()).collect()
    }

    /// The shard stops: nobody is answered any more.
    pub fn close(&self) {
        let hosted = self.0.hosted.take();
        drop(hosted);
    }

    /// Asks one coordinator; `reply` may be called before this returns.
    pub fn request(&self, partition_index: i32, request: GroupRequest, reply: ReplyTo) {
        let refused = {
            let mut hosted = self.0.hosted.borrow_mut();
            match hosted.get_mut(&partition_index) {
                None => ErrorCode::NOT_COORDINATOR,
                Some(Hosted { active: None, .. }) => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                Some(Hosted { active: Some(active), .. }) if active.is_full() => ErrorCode::COORDINATOR_NOT_AVAILABLE,
                Some(Hosted { active: Some(active), .. }) => {
                    let (token, now, mut output) = (active.open(reply), self.now(), Output::default());
                    let image = self.0.view.image();
                    active.coordinator.handle(request, token, self.scene(now, &image), &mut output);
                    drop(image);
                    let due = active.take_output(output, now.wall_ms);
                    drop(hosted);
                    return self.after_step(partition_index, due);
                }
            }
        };
        reply(GroupReply::Unavailable(refused));
    }

    fn now(&self) -> Now {
        let monotonic_ms = (self.0.reactor.now().0 / NANOS_PER_MS) as i64;
        Now { monotonic_ms, wall_ms: self.0.reactor.wall_clock_ms() }
    }

    fn scene<'a>(&self, now: Now, image: &'a MetadataImage) -> Scene<'a> {
        let assignment_interval_ms = self.0.view.consumer_assignment_interval_ms();
        Scene { now, topics: image, configs: image.group_configs(), assignment_interval_ms }
    }

    /// Lets answers go, sees to it that records are appended, and that the next wake-up is not missed.
    fn after_step(&self, partition_index: i32, due: Due) {
        let (has_records, wake_at_ms) = match self.0.hosted.borrow().get(&partition_index) {
            Some(Hosted { active: Some(active), .. }) => (active.has_records(), active.coordinator.wake_at_ms()),
            _ => (false, None),
        };
        if has_records {
            self.schedule_append(partition_index);
        }
        if let Some(at_ms) = wake_at_ms
            && !is_planted(PlantedBug::WakeUpForgotten)
        {
            self.0.alarm.set(Instant(at_ms.max(0) as u64 * NANOS_PER_MS));
        }
        for (reply_to, reply) in due {
            reply_to(reply);
        }
    }

    fn schedule_append(&self, partition_index: i32) {
        let mut dirty = self.0.dirty.borrow_mut();
        if dirty.contains(&partition_index) {
            return;
        }
        dirty.push(partition_index);
        if dirty.len() == 1 {
            let coordinators = self.clone();
            self.0.reactor.at_turn_end(move || coordinators.append_all());
        }
    }

    fn append_all(&self) {
        for partition_index in self.0.dirty.take() {
            while let Some((name, incarnation, append, batch)) = self.begin_append(partition_index) {
                let coordinators = self.clone();
                let reply = Box::new(move |reply| {
                    let PartitionReply::Append(appended) = reply else {
                        unreachable!("an append is answered by an append")
                    };
                    coordinators.on_append_answered(name, incarnation, append, appended.map(drop));
                });
                let append = PartitionRequest::Append { batch, timeout_ms: APPEND_TIMEOUT_MS };
                self.0.partitions.request(name, append, reply);
            }
        }
    }

    fn begin_append(&self, partition_index: i32) -> Option<(TopicPartition, u64, u64, Bytes)> {
        let mut all = self.0.hosted.borrow_mut();
        let hosted = all.get_mut(&partition_index)?;
        let (append, batch) = hosted.active.as_mut()?.begin_append()?;
        hosted.under_way += 1;
        Some((hosted.name, hosted.incarnation, append, batch))
    }

    fn on_append_answered(
        &self,
        name: TopicPartition,
        incarnation: u64,
        append: u64,
        appended: Result<(), PartitionError>,
    ) {
        let is_current = match self.0.hosted.borrow_mut().get_mut(&name.partition_index) {
            Some(hosted) if hosted.name == name => {
                hosted.under_way -= 1;
                hosted.incarnation == incarnation
            }
            _ => return,
        };
        if let Err(error) = &appended {
            tracing::error!(partition = name.partition_index, %error, "group records cannot be appended");
        }
        match appended {
            Ok(()) if is_current => self.on_appended(name.partition_index, incarnation, append),
            Err(error) if error.is_until_restart() => self.unhost(name),
            // The state holds what the log does not: it is thrown away and the log loaded anew.
            Err(_) if is_current => self.host(name),
            Ok(()) | Err(_) => self.load_if_quiet(name),
        }
    }

    fn on_appended(&self, partition_index: i32, incarnation: u64, append: u64) {
        let mut due = Due::new();
        if let Some(hosted) = self.0.hosted.borrow_mut().get_mut(&partition_index)
            && hosted.incarnation == incarnation
            && let Some(active) = &mut hosted.active
        {
            due = active.take_acked(append);
        }
        for (reply_to, reply) in due {
            reply_to(reply);
        }
    }

    /// Puts another coordinator in the place; those who wait for the earlier one are told to look again.
    fn replace(&self, partition_index: i32, hosted: Option<Hosted>) {
        let earlier = match hosted {
            Some(hosted) => self.0.hosted.borrow_mut().insert(partition_index, hosted),
            None => self.0.hosted.borrow_mut().remove(&partition_index),
        };
        let Some(active) = earlier.and_then(|hosted| hosted.active) else { return };
        for reply_to in active.into_unanswered() {
            reply_to(GroupReply::Unavailable(ErrorCode::NOT_COORDINATOR));
        }
    }

    /// Loads the log of a partition that is to be loaded, unless appends are under way: then the last of them will ask.
    fn load_if_quiet(&self, name: TopicPartition) {
        let incarnation = match self.0.hosted.borrow().get(&name.partition_index) {
            Some(Hosted { incarnation, under_way: 0, active: None, .. }) => *incarnation,
            _ => return,
        };
        self.load(name, incarnation);
    }

    fn load(&self, name: TopicPartition, incarnation: u64) {
        self.0.to_load.borrow_mut().push_back((name, incarnation));
        if !self.0.is_loading.replace(true) {
            self.0.reactor.spawn(self.clone().load_all());
        }
    }

    /// Loads what is to be loaded, one after another.
    async fn load_all(self) {
        loop {
            let next = self.0.to_load.borrow_mut().pop_front();
            let Some((name, incarnation)) = next else { break };
            let is_current = |hosted: &Hosted| hosted.incarnation == incarnation;
            if !self.0.hosted.borrow().get(&name.partition_index).is_some_and(is_current) {
                continue;
            }
            match load(&self.0.reactor, &self.0.partitions, name, Arc::clone(&self.0.settings)).await {
                Ok(coordinator) => self.on_loaded(name.partition_index, incarnation, coordinator),
                Err(error) => {
                    tracing::error!(partition = name.partition_index, %error, "groups cannot be loaded");
                    self.load_later(name, incarnation);
                }
            }
            self.0.reactor.yield_now().await;
        }
        self.0.is_loading.set(false);
    }

    fn load_later(&self, name: TopicPartition, incarnation: u64) {
        let coordinators = self.clone();
        self.0.reactor.spawn(async move {
            coordinators.0.reactor.sleep(RELOAD_AFTER).await;
            coordinators.load(name, incarnation);
        });
    }

    fn on_loaded(&self, partition_index: i32, incarnation: u64, mut coordinator: Coordinator) {
        let (now, mut output) = (self.now(), Output::default());
        let image = self.0.view.image();
        coordinator.on_loaded(self.scene(now, &image), &mut output);
        drop(image);
        let due = {
            let mut hosted = self.0.hosted.borrow_mut();
            let Some(hosted) = hosted.get_mut(&partition_index).filter(|hosted| hosted.incarnation == incarnation)
            else {
                return;
            };
            hosted.active.insert(Active::new(coordinator)).take_output(output, now.wall_ms)
        };
        self.after_step(partition_index, due);
    }

    fn on_time(&self) {
        self.step_all(Coordinator::on_time);
    }

    /// One step of every coordinator that is loaded.
    fn step_all(&self, step: impl Fn(&mut Coordinator, Scene<'_>, &mut Output)) {
        let now = self.now();
        let all: Vec<i32> = self.0.hosted.borrow().keys().copied().collect();
        for partition_index in all {
            let due = match self.0.hosted.borrow_mut().get_mut(&partition_index) {
                Some(Hosted { active: Some(active), .. }) => {
                    let mut output = Output::default();
                    let image = self.0.view.image();
                    step(&mut active.coordinator, self.scene(now, &image), &mut output);
                    active.take_output(output, now.wall_ms)
                }
                _ => continue,
            };
            self.after_step(partition_index, due);
        }
    }
}
