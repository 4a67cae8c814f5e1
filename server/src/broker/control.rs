//! The way to the controller, from each shard; on shard 0 the controller's requests are carried out.
//!
//! Invariant: a request is answered when its records are durable in the metadata log and every shard has replayed them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use ringlog_core::reactor::Reactor;

use super::ShardMessage;
use super::outbox::Outbox;
use crate::config::Settings;
use crate::metadata::{
    ControlReply, ControlRequest, ControllerLink, DeleteTopicError, MetadataService, MetadataUnavailable, ReplyTo,
};

/// Requests that the controller carries out at one time; more are refused.
const REQUESTS_MAX: usize = 10_000;

/// The way to the controller from a shard other than 0.
#[derive(Clone)]
pub struct RemoteController(Rc<RemoteInner>);

struct RemoteInner {
    outbox: Outbox,
    waiting: RefCell<(u32, ahash::HashMap<u32, ReplyTo>)>,
}

impl RemoteController {
    /// Sends by `outbox`.
    pub fn new(outbox: Outbox) -> Self {
        Self(Rc::new(RemoteInner { outbox, waiting: RefCell::default() }))
    }

    /// Takes an answer.
    pub fn receive(&self, call: u32, reply: ControlReply) {
        let waiting = self.0.waiting.borrow_mut().1.remove(&call).expect("an answer to an open call");
        waiting(reply);
    }
}

impl ControllerLink for RemoteController {
    fn request(&self, request: ControlRequest, reply: ReplyTo) {
        let call = {
            let (next, waiting) = &mut *self.0.waiting.borrow_mut();
            *next = next.wrapping_add(1);
            waiting.insert(*next, reply);
            *next
        };
        self.0.outbox.send(0, ShardMessage::Control { call, request });
    }
}

/// The controller, on shard 0. Clones are the same one.
#[derive(Clone)]
pub struct Controller(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    service: MetadataService,
    settings: Arc<Settings>,
    progress: RefCell<Progress>,
}

#[derive(Default)]
struct Progress {
    /// End offset that each shard has replayed.
    replayed: Vec<i64>,
    waiting: Vec<Waker>,
    requests: usize,
}

impl Controller {
    /// For `shards_count` shards that have replayed nothing.
    pub fn new(reactor: Reactor, service: MetadataService, settings: Arc<Settings>, shards_count: usize) -> Self {
        let progress = Progress { replayed: vec![-1; shards_count], ..Progress::default() };
        Self(Rc::new(Inner { reactor, service, settings, progress: RefCell::new(progress) }))
    }

    /// A shard has replayed the records below `end_offset`.
    pub fn replayed(&self, shard: u16, end_offset: i64) {
        let wakers = {
            let mut progress = self.0.progress.borrow_mut();
            progress.replayed[usize::from(shard)] = end_offset;
            std::mem::take(&mut progress.waiting)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether every shard has replayed what is durable.
    pub fn is_replayed(&self) -> bool {
        self.is_replayed_to(self.0.service.durable_end_offset())
    }

    fn is_replayed_to(&self, end_offset: i64) -> bool {
        self.0.progress.borrow().replayed.iter().all(|replayed| *replayed >= end_offset)
    }

    async fn carry_out(&self, request: ControlRequest) -> Result<ControlReply, MetadataUnavailable> {
        let service = &self.0.service;
        let reply = match request {
            ControlRequest::CreateTopics { topics, validate_only } => {
                ControlReply::CreateTopics(service.create_topics(&topics, validate_only).await?)
            }
            ControlRequest::DeleteTopics(topic_ids) => {
                let deleted = service.delete_topics(&topic_ids).await?;
                let result = |deleted| if deleted { Ok(()) } else { Err(DeleteTopicError::Unknown) };
                ControlReply::DeleteTopics(deleted.into_iter().map(result).collect())
            }
            ControlRequest::CreatePartitions { topics, validate_only } => {
                ControlReply::CreatePartitions(service.create_partitions(&topics, validate_only).await?)
            }
            ControlRequest::AlterConfigs(request) => {
                ControlReply::AlterConfigs(service.alter_configs(&self.0.settings, &request).await?)
            }
            ControlRequest::AlterClientQuotas(request) => {
                ControlReply::AlterClientQuotas(service.alter_client_quotas(&request).await?)
            }
            ControlRequest::UpdateFeatures(request) => {
                ControlReply::UpdateFeatures(service.update_features(&request).await?)
            }
            ControlRequest::ProducerIds => ControlReply::ProducerIds(service.allocate_producer_ids().await?),
        };
        let end_offset = service.durable_end_offset();
        poll_fn(|context| {
            if self.is_replayed_to(end_offset) {
                return Poll::Ready(());
            }
            self.0.progress.borrow_mut().waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
        Ok(reply)
    }
}

impl ControllerLink for Controller {
    fn request(&self, request: ControlRequest, reply: ReplyTo) {
        {
            let mut progress = self.0.progress.borrow_mut();
            if progress.requests >= REQUESTS_MAX {
                drop(progress);
                return reply(ControlReply::Storage);
            }
            progress.requests += 1;
        }
        let controller = self.clone();
        self.0.reactor.spawn(async move {
            let answer = controller.carry_out(request).await.unwrap_or(ControlReply::Storage);
            controller.0.progress.borrow_mut().requests -= 1;
            reply(answer);
        });
    }
}

/// Sends durable records to the other shards and replays them on this one; see [`MetadataService::set_publish`].
pub fn publish(shard: &Rc<super::shard::Shard>) -> crate::metadata::Publish {
    let shard = Rc::downgrade(shard);
    Rc::new(move |base_offset, records| {
        let Some(shard) = shard.upgrade() else { return };
        for other in shard.others() {
            shard.outbox().send(other, ShardMessage::Replay { base_offset, records: Arc::clone(records) });
        }
        shard.replay(base_offset, records);
    })
}
