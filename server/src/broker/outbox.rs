//! The sending end of a shard's mesh port, shared by everything on the shard.

use ringlog_core::shard::Mailbox;

use super::ShardMessage;

/// A mailbox that never fails: what waits in it is bounded by what connections may have in flight. Clones are the same one.
#[derive(Clone)]
pub struct Outbox(Mailbox<ShardMessage>);

impl Outbox {
    /// Sends by `mailbox`.
    pub fn new(mailbox: Mailbox<ShardMessage>) -> Self {
        Self(mailbox)
    }

    /// Sends with the others of this turn.
    pub fn send(&self, shard: u16, message: ShardMessage) {
        if self.0.send(shard, message).is_err() {
            tracing::error!(shard, "the shard is gone or takes no more messages");
        }
    }
}
