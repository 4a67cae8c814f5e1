//! The sending end of a shard's mesh port, shared by everything on the shard; flushed once per turn.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ringlog_core::reactor::Reactor;
use ringlog_core::ring::MeshOutbox;

use super::ShardMessage;

/// Clones are the same outbox.
#[derive(Clone)]
pub struct Outbox(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    lanes: RefCell<MeshOutbox<ShardMessage>>,
    flush_due: Cell<bool>,
}

impl Outbox {
    /// Nothing sent yet.
    pub fn new(reactor: Reactor, lanes: MeshOutbox<ShardMessage>) -> Self {
        Self(Rc::new(Inner { reactor, lanes: RefCell::new(lanes), flush_due: Cell::new(false) }))
    }

    /// Sends with the others of this turn.
    pub fn send(&self, shard: u16, message: ShardMessage) {
        if self.0.lanes.borrow_mut().send(usize::from(shard), message).is_err() {
            tracing::error!(shard, "the shard is gone or takes no more messages");
        }
        if !self.0.flush_due.replace(true) {
            let outbox = self.clone();
            self.0.reactor.at_turn_end(move || {
                outbox.0.flush_due.set(false);
                outbox.0.lanes.borrow_mut().flush();
            });
        }
    }

    /// The lanes themselves, for the loop.
    pub fn with_lanes<T>(&self, call: impl FnOnce(&mut MeshOutbox<ShardMessage>) -> T) -> T {
        call(&mut self.0.lanes.borrow_mut())
    }
}
