//! The open connections of a shard, and the end of those on which nothing happens (`connections.max.idle.ms`).
//!
//! Invariants:
//! - A connection is here from its start until it has ended; its descriptor is closed then, not later.
//! - There is a timer only while there are connections.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ringlog_core::reactor::{Instant, Reactor};
use slab::Slab;

use super::Connection;

/// Clones are the same collection.
#[derive(Clone)]
pub struct Connections(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    max_idle: Option<Duration>,
    open: RefCell<Slab<Connection>>,
    has_timer: Cell<bool>,
}

/// A connection's place; dropped when the connection has ended.
pub struct Place {
    connections: Weak<Inner>,
    key: usize,
}

impl Connections {
    /// None yet. `max_idle`: how long a connection may be silent.
    pub fn new(reactor: Reactor, max_idle: Option<Duration>) -> Self {
        Self(Rc::new(Inner { reactor, max_idle, open: RefCell::default(), has_timer: Cell::new(false) }))
    }

    /// Keeps the connection that `start` makes. `start` gets its place, to be dropped when the connection ends.
    pub fn add(&self, start: impl FnOnce(Place) -> Connection) {
        let key = self.0.open.borrow().vacant_key();
        let connection = start(Place { connections: Rc::downgrade(&self.0), key });
        let inserted = self.0.open.borrow_mut().insert(connection);
        assert_eq!(inserted, key, "starting a connection runs nothing of it");
        if let Some(max_idle) = self.0.max_idle
            && !self.0.has_timer.replace(true)
        {
            self.0.reactor.spawn(close_idle(self.0.reactor.clone(), Rc::downgrade(&self.0), max_idle));
        }
    }

    /// Ends all of them now.
    pub fn close_all(&self) {
        self.0.open.borrow().iter().for_each(|(_, connection)| connection.close());
    }
}

/// Ends silent connections, until there are none at all.
async fn close_idle(clock: Reactor, connections: Weak<Inner>, max_idle: Duration) {
    let silent_until = |since: Instant| {
        let nanos = u64::try_from(max_idle.as_nanos()).unwrap_or(u64::MAX);
        Instant(since.0.saturating_add(nanos))
    };
    let mut next = silent_until(clock.now());
    loop {
        clock.sleep_until(next).await;
        let Some(connections) = connections.upgrade() else { return };
        let open = connections.open.borrow();
        if open.is_empty() {
            return connections.has_timer.set(false);
        }
        next = silent_until(clock.now());
        for (_, connection) in &*open {
            match silent_until(connection.last_active()) {
                due if due <= clock.now() => {
                    tracing::debug!("closing a silent connection");
                    connection.close();
                }
                due => next = next.min(due),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = self.connections.upgrade();
        // Dropped after the borrow has ended.
        let _ended = connections.and_then(|connections| connections.open.borrow_mut().try_remove(self.key));
    }
}
