//! The open connections of a shard, and the end of those on which nothing happens: after `connections.max.idle.ms`, or
//! much sooner where they hold memory that others wait for.
//!
//! Invariants:
//! - A connection is here from its start until it has ended; its descriptor is closed then, not later.
//! - There is a timer only while there are connections.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ringlog_core::reactor::{Instant, Reactor};
use slab::Slab;

use super::{Budget, Connection};

/// How long a peer may neither send the rest of a large frame nor take an answer, while others wait for the memory.
const STALLED_MAX: Duration = Duration::from_secs(5);

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
    /// None yet. `max_idle`: how long a connection may be silent; `budget`: what they share.
    pub fn new(reactor: Reactor, max_idle: Option<Duration>, budget: Budget) -> Self {
        let inner = Inner { reactor, max_idle, open: RefCell::default(), has_timer: Cell::new(false) };
        let connections = Self(Rc::new(inner));
        let watching = close_stalled(connections.0.reactor.clone(), Rc::downgrade(&connections.0), budget);
        connections.0.reactor.spawn(watching);
        connections
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

/// Whenever the shard is short of memory: ends connections that hold some and wait for a peer that does not move.
async fn close_stalled(clock: Reactor, connections: Weak<Inner>, budget: Budget) {
    loop {
        budget.short().await;
        clock.sleep(STALLED_MAX).await;
        let Some(connections) = connections.upgrade() else { return };
        if !budget.is_short() {
            continue;
        }
        for (_, connection) in &*connections.open.borrow() {
            if connection.waits_for_peer() && after(connection.last_active(), STALLED_MAX) <= clock.now() {
                tracing::warn!("out of memory for requests: closing a connection whose peer does not move");
                connection.close();
            }
        }
    }
}

/// Ends silent connections, until there are none at all.
async fn close_idle(clock: Reactor, connections: Weak<Inner>, max_idle: Duration) {
    let mut next = after(clock.now(), max_idle);
    loop {
        clock.sleep_until(next).await;
        let Some(connections) = connections.upgrade() else { return };
        let open = connections.open.borrow();
        if open.is_empty() {
            return connections.has_timer.set(false);
        }
        next = after(clock.now(), max_idle);
        for (_, connection) in &*open {
            match after(connection.last_active(), max_idle) {
                due if due <= clock.now() => {
                    tracing::debug!("closing a silent connection");
                    connection.close();
                }
                due => next = next.min(due),
            }
        }
    }
}

fn after(instant: Instant, duration: Duration) -> Instant {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Instant(instant.0.saturating_add(nanos))
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = self.connections.upgrade();
        // Dropped after the borrow has ended.
        let _ended = connections.and_then(|connections| connections.open.borrow_mut().try_remove(self.key));
    }
}
