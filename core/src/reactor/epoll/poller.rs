//! What a turn sleeps on: sockets, the doorbell and a timer, all behind one epoll descriptor.
//!
//! Everything is registered edge-triggered, so the eventfd and the timer never have to be read, and a socket costs one
//! `epoll_ctl` in its life.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::reactor::machine::Machine;
use crate::reactor::wake::EventWaker;
use crate::reactor::{Handle, Instant, Wait, tcp};

/// Data of the poller's own events. A socket's is its descriptor, a small number.
const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// What a socket is watched for, all its life.
const SOCKET: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// When the timer is set to fire.
    timer_at: Option<Instant>,
    waker: Arc<EventWaker>,
    events: Vec<Event>,
}

/// What a wait brought.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Sockets, and what they are ready for.
    pub(super) sockets: Vec<(Handle, EventFlags)>,
    /// The doorbell was rung.
    pub(super) by_thread: bool,
}

impl Poller {
    pub(super) fn new(waker: Arc<EventWaker>, events_max: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, waker.eventfd(), EventData::new_u64(WAKE), edge)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), edge)?;
        Ok(Self { epoll, timer, timer_at: None, waker, events: Vec::with_capacity(events_max) })
    }

    /// Watches a socket from now on. What it is ready for already comes with the next wait.
    pub(super) fn add(&self, socket: Handle) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, tcp::borrow(socket), data(socket), SOCKET)?)
    }

    /// Asks again what a watched socket is ready for.
    pub(super) fn ask_again(&self, socket: Handle) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, tcp::borrow(socket), data(socket), SOCKET)?)
    }

    /// Watches a socket no more, which stays open.
    pub(super) fn remove(&self, socket: Handle) {
        let removed = epoll::delete(&self.epoll, tcp::borrow(socket));
        debug_assert!(removed.is_ok(), "it was watched");
    }

    /// One system call, and one more when another timer is due first than before.
    pub(super) fn wait(&mut self, wait: Wait, machine: &Machine, woken: &mut Woken) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = match wait {
            Wait::No => Some(&now),
            Wait::Until(when) => {
                self.set_timer(Some(when), machine)?;
                None
            }
            Wait::Forever => {
                self.set_timer(None, machine)?;
                None
            }
        };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout) {
            // A signal came: the turn is over.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            match event.data.u64() {
                WAKE => {
                    self.waker.seen();
                    woken.by_thread = true;
                }
                TIMER => self.timer_at = None,
                socket => woken.sockets.push((Handle(socket as i32), event.flags)),
            }
        }
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Instant>, machine: &Machine) -> io::Result<()> {
        if self.timer_at == at {
            return Ok(());
        }
        self.timer_at = at;
        // Zero switches it off, so one that is due now gets a nanosecond.
        let left = at.map_or(0, |when| machine.until(when).as_nanos().max(1));
        let left = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: left };
        timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

fn data(socket: Handle) -> EventData {
    EventData::new_u64(socket.0 as u64)
}
