//! Reaches the coordinator of a group wherever it is: a call on this shard, a message to its owner on another.

use std::cell::RefCell;
use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;

use super::topic::{OFFSETS_TOPIC, partition_of};
use super::{GroupCoordinators, GroupMessage, GroupReply, GroupRequest, ReplyTo};
use crate::metadata::MetadataView;
use crate::partition::Calls;

/// Sends a message to another shard. Never fails: what the ring does not take at once waits, bounded by the callers.
pub type SendToShard = Box<dyn Fn(u16, GroupMessage)>;

/// Clones are the same router.
#[derive(Clone)]
pub struct GroupRouter(Rc<Inner>);

struct Inner {
    shard_id: u16,
    view: Rc<MetadataView>,
    coordinators: GroupCoordinators,
    send: SendToShard,
    calls: RefCell<Calls<ReplyTo>>,
}

impl GroupRouter {
    /// A router of one shard.
    pub fn new(shard_id: u16, view: Rc<MetadataView>, coordinators: GroupCoordinators, send: SendToShard) -> Self {
        Self(Rc::new(Inner { shard_id, view, coordinators, send, calls: RefCell::default() }))
    }

    /// Asks the coordinator of `group_id`; `reply` may be called before this returns.
    pub fn request(&self, group_id: &str, request: GroupRequest, reply: ReplyTo) {
        match self.partitions_count() {
            Some(count) => self.request_partition(partition_of(group_id, count), request, reply),
            None => reply(GroupReply::Unavailable(ErrorCode::NOT_COORDINATOR)),
        }
    }

    /// Asks the coordinator of one partition of `__consumer_offsets`.
    pub fn request_partition(&self, partition_index: i32, request: GroupRequest, reply: ReplyTo) {
        let owner = {
            let image = self.0.view.image();
            image.topic_by_name(OFFSETS_TOPIC).and_then(|topic| self.0.view.owner(topic, partition_index))
        };
        match owner {
            None => reply(GroupReply::Unavailable(ErrorCode::NOT_COORDINATOR)),
            Some(owner) if owner == self.0.shard_id => self.0.coordinators.request(partition_index, request, reply),
            Some(owner) => {
                let call = self.0.calls.borrow_mut().open(reply);
                (self.0.send)(owner, GroupMessage::Request { call, partition_index, request });
            }
        }
    }

    /// Partitions of `__consumer_offsets`; `None` while there is no such topic.
    pub fn partitions_count(&self) -> Option<usize> {
        self.0.view.image().topic_by_name(OFFSETS_TOPIC).map(|topic| topic.partitions.len())
    }

    /// Takes a message that `from` sent to this shard.
    pub fn receive(&self, from: u16, message: GroupMessage) {
        match message {
            GroupMessage::Request { call, partition_index, request } => {
                let router = self.clone();
                let reply = Box::new(move |reply| (router.0.send)(from, GroupMessage::Reply { call, reply }));
                self.0.coordinators.request(partition_index, request, reply);
            }
            GroupMessage::Reply { call, reply } => {
                let waiting = self.0.calls.borrow_mut().close(call);
                waiting(reply);
            }
        }
    }
}
