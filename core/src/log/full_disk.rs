//! A full disk says nothing when it has room again: who waits for room has it looked at after a pause.
//!
//! Invariant: there is a timer only while somebody waits.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::reactor::{Alarm, Instant, Reactor};

/// How long nothing is tried again that found no room.
pub(crate) const NO_SPACE_PAUSE: Duration = Duration::from_millis(250);

/// What the tails of one store have found.
pub(crate) struct FullDisk {
    reactor: Reactor,
    pause_end: Instant,
    alarm: Option<Alarm>,
}

impl fmt::Debug for FullDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FullDisk").field("pause_end", &self.pause_end).finish_non_exhaustive()
    }
}

impl FullDisk {
    /// There was room so far.
    pub fn new(reactor: Reactor) -> Self {
        Self { reactor, pause_end: Instant::default(), alarm: None }
    }

    /// What [`FullDisk::look_later`] calls.
    pub fn set_on_look(&mut self, call: Rc<dyn Fn()>) {
        self.alarm = Some(self.reactor.alarm(move || call()));
    }

    /// There was no room.
    pub fn note(&mut self) {
        self.pause_end = Instant(self.reactor.now().0 + NO_SPACE_PAUSE.as_nanos() as u64);
    }

    /// Whether there was no room a moment ago.
    pub fn is_pausing(&self) -> bool {
        self.reactor.now() < self.pause_end
    }

    /// Somebody waits: calls when the pause is over, if there is one.
    pub fn look_later(&self) {
        if self.is_pausing() {
            self.alarm.iter().for_each(|alarm| alarm.set(self.pause_end));
        }
    }
}
