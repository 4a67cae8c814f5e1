//! The sending end of a shard's mesh port, shared by everything that runs on the shard.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::reactor::Reactor;
use crate::ring::{MeshOutbox, SendError};

/// Sends to other shards; what one turn sends leaves at its end, in one batch per peer. Clones are the same mailbox.
pub struct Mailbox<T>(Rc<Inner<T>>);

struct Inner<T> {
    reactor: Reactor,
    outbox: RefCell<MeshOutbox<T>>,
    flush_due: Cell<bool>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: 'static> Mailbox<T> {
    pub(super) fn new(reactor: Reactor, outbox: MeshOutbox<T>) -> Self {
        Self(Rc::new(Inner { reactor, outbox: RefCell::new(outbox), flush_due: Cell::new(false) }))
    }

    /// Sends a message to `shard` with the others of this turn. A refused message comes back: see [`SendError`].
    ///
    /// # Panics
    /// When `shard` is this one or not in the mesh.
    pub fn send(&self, shard: u16, message: T) -> Result<(), SendError<T>> {
        let result = self.0.outbox.borrow_mut().send(usize::from(shard), message);
        if !self.0.flush_due.replace(true) {
            let mailbox = self.clone();
            self.0.reactor.at_turn_end(move || {
                mailbox.flush();
            });
        }
        result
    }

    /// Moves what waits into the rings now. Returns how many messages wait on for room; they go by themselves when the
    /// peer has made it. Only a stopping shard, which turns no more, needs to call this.
    pub fn flush(&self) -> usize {
        self.0.flush_due.set(false);
        self.0.outbox.borrow_mut().flush()
    }

    /// Messages that wait for the end of the turn or for room.
    pub fn waiting_count(&self) -> usize {
        self.0.outbox.borrow().waiting_count()
    }

    pub(super) fn with_outbox<R>(&self, call: impl FnOnce(&mut MeshOutbox<T>) -> R) -> R {
        call(&mut self.0.outbox.borrow_mut())
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.0.outbox).finish()
    }
}
