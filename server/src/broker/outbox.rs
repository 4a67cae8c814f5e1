//! The sending end of a shard's mesh port, shared by everything on the shard.

use std::cell::Cell;
use std::rc::Rc;

use ringlog_core::shard::Mailbox;

use super::ShardMessage;

/// A mailbox that never fails: what waits in it is bounded by what connections may have in flight. Clones are the same one.
#[derive(Clone)]
pub struct Outbox {
    mailbox: Mailbox<ShardMessage>,
    is_stopping: Rc<Cell<bool>>,
}

impl Outbox {
    /// Sends by `mailbox`.
    pub fn new(mailbox: Mailbox<ShardMessage>) -> Self {
        Self { mailbox, is_stopping: Rc::default() }
    }

    /// Sends with the others of this turn.
    pub fn send(&self, shard: u16, message: ShardMessage) {
        if self.mailbox.send(shard, message).is_err() && !self.is_stopping.get() {
            tracing::error!(shard, "the shard is gone or takes no more messages");
        }
    }

    /// The broker stops: shards that have stopped before this one take no more messages, and need none.
    pub fn stopping(&self) {
        self.is_stopping.set(true);
    }
}
