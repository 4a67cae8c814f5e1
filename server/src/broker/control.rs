//! The way to the controller, and the controller itself on shard 0.
//!
//! Invariants: requests are decided one after the other; a request is answered when its records are durable in the
//! metadata log and every shard has replayed them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use ringlog_core::reactor::Reactor;

use super::ShardMessage;
use super::outbox::Outbox;
use super::shard::Shard;
use crate::metadata::{
    ControlReply, ControlRequest, ControllerLink, DeleteTopicError, Identity, MetadataLog, MetadataView, NodeConfig,
    Record, ReplyTo, controller,
};

/// Requests that wait for the controller at most; more are refused.
const QUEUE_MAX: usize = 10_000;

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
    node: NodeConfig,
    identity: Identity,
    view: Rc<MetadataView>,
    log: RefCell<MetadataLog>,
    queue: RefCell<Queue>,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<(ControlRequest, ReplyTo)>,
    /// A task works on the queue.
    running: bool,
    /// Shards that have not replayed the last records.
    replaying: usize,
    replayed: Option<std::task::Waker>,
}

impl Controller {
    /// A controller on a log that it leads.
    pub fn new(
        reactor: Reactor,
        node: NodeConfig,
        identity: Identity,
        view: Rc<MetadataView>,
        log: MetadataLog,
    ) -> Self {
        Self(Rc::new(Inner { reactor, node, identity, view, log: RefCell::new(log), queue: RefCell::default() }))
    }

    /// Takes a request; answers later.
    pub fn request(&self, shard: &Rc<Shard>, request: ControlRequest, reply: ReplyTo) {
        let mut queue = self.0.queue.borrow_mut();
        if queue.requests.len() >= QUEUE_MAX {
            drop(queue);
            return reply(ControlReply::Storage);
        }
        queue.requests.push_back((request, reply));
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            let (controller, shard) = (self.clone(), Rc::clone(shard));
            self.0.reactor.spawn(async move { controller.work(&shard).await });
        }
    }

    /// This many shards are to say that they have replayed what is sent now.
    pub fn expect_replays(&self, count: usize) {
        self.0.queue.borrow_mut().replaying = count;
    }

    /// Whether all have.
    pub fn is_replayed(&self) -> bool {
        self.0.queue.borrow().replaying == 0
    }

    /// One shard more has replayed what was sent last.
    pub fn replayed(&self) {
        let mut queue = self.0.queue.borrow_mut();
        queue.replaying -= 1;
        if queue.replaying == 0
            && let Some(waker) = queue.replayed.take()
        {
            waker.wake();
        }
    }

    /// Writes the records of a clean stop, synced. Nothing may follow.
    pub fn stop(&self) -> Result<i64, crate::metadata::MetadataLogError> {
        let image = self.0.view.image();
        let broker_epoch = image.broker(self.0.node.node_id).map_or(-1, |broker| broker.broker_epoch);
        let batches = controller::stop(&image, self.0.node.node_id);
        let mut log = self.0.log.borrow_mut();
        log.append(batches.iter().map(Vec::as_slice), self.0.reactor.wall_clock_ms())?;
        log.sync()?;
        Ok(broker_epoch)
    }

    async fn work(&self, shard: &Rc<Shard>) {
        loop {
            let next = {
                let mut queue = self.0.queue.borrow_mut();
                let next = queue.requests.pop_front();
                queue.running = next.is_some();
                next
            };
            let Some((request, reply)) = next else { return };
            let (answer, records) = self.decide(request);
            let answer = if records.is_empty() { answer } else { self.commit(shard, records, answer).await };
            reply(answer);
        }
    }

    fn decide(&self, request: ControlRequest) -> (ControlReply, Vec<Record>) {
        let Inner { reactor, node, identity, view, .. } = &*self.0;
        let image = view.image();
        match request {
            ControlRequest::CreateTopics { topics, validate_only } => {
                let random = || reactor.random_u64();
                let (results, records) =
                    controller::create_topics(&image, node, identity, &topics, validate_only, random);
                (ControlReply::CreateTopics(results), records)
            }
            ControlRequest::DeleteTopics(ids) => {
                let mut records: Vec<Record> = Vec::new();
                let delete = |topic_id| {
                    let record = controller::delete_topic(&image, topic_id).ok_or(DeleteTopicError::Unknown)?;
                    if records.contains(&record) {
                        return Err(DeleteTopicError::Unknown);
                    }
                    records.push(record);
                    Ok(())
                };
                let results = ids.into_iter().map(delete).collect();
                (ControlReply::DeleteTopics(results), records)
            }
            ControlRequest::ProducerIds => match controller::allocate_producer_ids(&image, node.node_id) {
                Ok((block, record)) => (ControlReply::ProducerIds(Ok(block)), vec![record]),
                Err(error) => (ControlReply::ProducerIds(Err(error)), Vec::new()),
            },
        }
    }

    /// Makes the records durable and waits until every shard has replayed them.
    async fn commit(&self, shard: &Rc<Shard>, records: Vec<Record>, answer: ControlReply) -> ControlReply {
        let now_ms = self.0.reactor.wall_clock_ms();
        let appended = self.0.log.borrow_mut().append([records.as_slice()], now_ms);
        let file = self.0.log.borrow().file().clone();
        let base_offset = match appended {
            Ok(appended) => appended.base_offset,
            Err(error) => {
                tracing::error!(%error, "the metadata log takes no more records");
                return ControlReply::Storage;
            }
        };
        if let Err(error) = self.0.reactor.sync(&file).await {
            tracing::error!(%error, "the metadata log cannot be synced");
            self.0.log.borrow_mut().fail();
            return ControlReply::Storage;
        }
        let records: Arc<[Record]> = records.into();
        self.expect_replays(shard.others().count());
        for other in shard.others() {
            shard.outbox().send(other, ShardMessage::Replay { base_offset, records: Arc::clone(&records) });
        }
        shard.replay(base_offset, &records);
        std::future::poll_fn(|context| {
            let mut queue = self.0.queue.borrow_mut();
            if queue.replaying == 0 {
                return std::task::Poll::Ready(());
            }
            queue.replayed = Some(context.waker().clone());
            std::task::Poll::Pending
        })
        .await;
        answer
    }
}
