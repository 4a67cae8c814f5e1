//! [`Shard`]: the loop of one thread, between its reactor and its port of the mesh.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::reactor::Reactor;
use crate::ring::{MeshInbox, MeshPort};

use super::Mailbox;

/// One shard. It lives on its thread.
pub struct Shard<T> {
    reactor: Reactor,
    mailbox: Mailbox<T>,
    inbox: Rc<RefCell<MeshInbox<T>>>,
    stopping: Rc<Cell<bool>>,
}

impl<T: 'static> Shard<T> {
    /// A shard on the calling thread; from now on its peers can wake it.
    pub fn new(reactor: Reactor, port: MeshPort<T>) -> Self {
        let (outbox, inbox) = port.split();
        let waker = reactor.waker();
        inbox.set_wake(Arc::new(move || waker.wake()));
        let mailbox = Mailbox::new(reactor.clone(), outbox);
        Self { reactor, mailbox, inbox: Rc::new(RefCell::new(inbox)), stopping: Rc::default() }
    }

    /// The shard's executor.
    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    /// Sends to the other shards.
    pub fn mailbox(&self) -> &Mailbox<T> {
        &self.mailbox
    }

    /// Whether the port of `shard` was dropped; what it sent may still arrive. Not to be asked
    /// from within `on_message`, which has the inbox.
    pub fn is_gone(&self, shard: u16) -> bool {
        self.inbox.borrow().is_peer_gone(usize::from(shard))
    }

    /// Ends [`run`](Self::run) after the turn it is called in.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Turns until [`stop`](Self::stop) was called. `on_message` gets the sender's shard and the message, and may send.
    pub fn run(&self, mut on_message: impl FnMut(u16, T)) -> io::Result<()> {
        while !self.stopping.get() {
            self.turn(&mut on_message)?;
        }
        Ok(())
    }

    /// One turn: hands over what has arrived, runs ready tasks, flushes, submits, and sleeps if nothing is ready.
    pub fn turn(&self, mut on_message: impl FnMut(u16, T)) -> io::Result<()> {
        let arrived = self.inbox.borrow_mut().drain(|from, message| on_message(shard_id(from), message));
        if self.mailbox.waiting_count() > 0 {
            self.mailbox.flush();
        }
        if arrived > 0 || self.stopping.get() {
            return self.reactor.turn(false);
        }
        self.schedule_second_look();
        let result = self.reactor.turn(true);
        self.inbox.borrow().awake();
        result
    }

    /// Declares the shard asleep only when the turn's tasks have run, so that a busy shard is not woken in vain. Whatever
    /// arrived by then keeps this turn from sleeping.
    fn schedule_second_look(&self) {
        let (inbox, mailbox, reactor) = (Rc::clone(&self.inbox), self.mailbox.clone(), self.reactor.clone());
        let stopping = Rc::clone(&self.stopping);
        self.reactor.at_turn_end(move || {
            // What this turn sent so far goes first; what is sent after this has its own flush.
            mailbox.flush();
            let may_sleep = mailbox.with_outbox(|outbox| inbox.borrow_mut().may_sleep(outbox));
            if !may_sleep || stopping.get() {
                // A turn in which somebody yielded does not sleep; nobody is there to be woken.
                let _ = pin!(reactor.yield_now()).poll(&mut Context::from_waker(Waker::noop()));
            }
        });
    }
}

impl<T> fmt::Debug for Shard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("reactor", &self.reactor).field("stopping", &self.stopping.get()).finish()
    }
}

fn shard_id(port: usize) -> u16 {
    u16::try_from(port).expect("a mesh has fewer than 65,536 ports")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{IoConfig, IoDriver};
    use crate::ring::Mesh;
    use std::thread;
    use std::time::Duration;

    fn shard(io: IoDriver, port: MeshPort<u64>) -> Shard<u64> {
        let driver = io.start(IoConfig::default()).expect("io_uring is allowed where tests run");
        Shard::new(Reactor::new(driver), port)
    }

    #[test]
    fn sleeping_shards_answer_each_other() {
        IoDriver::ALL.into_iter().for_each(sleeping_shards_answer_each_other_on);
    }

    fn sleeping_shards_answer_each_other_on(io: IoDriver) {
        let mut ports = Mesh::new(2, 4);
        let (second, first) = (ports.pop().unwrap(), ports.pop().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || {
                let shard = shard(io, second);
                let run = shard.run(|from, message| {
                    if message == 0 {
                        return shard.stop();
                    }
                    // From a task, so that the reply leaves in a turn that has already looked at the rings.
                    let mailbox = shard.mailbox().clone();
                    shard.reactor().spawn(async move { mailbox.send(from, message).expect("bounded by the test") });
                });
                run.unwrap();
            });
            let shard = shard(io, first);
            shard.mailbox().send(1, 300).unwrap();
            let run = shard.run(|from, message| {
                assert_eq!(from, 1);
                shard.mailbox().send(1, message - 1).unwrap();
                if message == 1 {
                    shard.stop();
                }
            });
            run.unwrap();
            assert_eq!(shard.mailbox().flush(), 0);
        });
    }

    #[test]
    fn a_burst_larger_than_the_ring_arrives_in_order() {
        IoDriver::ALL.into_iter().for_each(a_burst_larger_than_the_ring_arrives_in_order_on);
    }

    fn a_burst_larger_than_the_ring_arrives_in_order_on(io: IoDriver) {
        const BURST: u64 = 5_000;
        let mut ports = Mesh::new(2, 2);
        let (second, first) = (ports.pop().unwrap(), ports.pop().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || {
                let shard = shard(io, second);
                let mut next = 0;
                let run = shard.run(|_, message| {
                    assert_eq!(message, next);
                    next += 1;
                    if next == BURST {
                        shard.mailbox().send(0, next).unwrap();
                        shard.stop();
                    }
                });
                run.unwrap();
                shard.mailbox().flush();
            });
            let shard = shard(io, first);
            let mailbox = shard.mailbox().clone();
            shard.reactor().spawn(async move { (0..BURST).for_each(|message| mailbox.send(1, message).unwrap()) });
            shard.run(|_, _| shard.stop()).unwrap();
            assert_eq!(shard.mailbox().waiting_count(), 0);
        });
    }

    #[test]
    fn an_idle_shard_takes_no_turns() {
        IoDriver::ALL.into_iter().for_each(an_idle_shard_takes_no_turns_on);
    }

    fn an_idle_shard_takes_no_turns_on(io: IoDriver) {
        let mut ports = Mesh::new(2, 2);
        let shard = shard(io, ports.remove(0));
        let reactor = shard.reactor().clone();
        let (timer, stopping) = (reactor.sleep(Duration::from_millis(100)), Rc::clone(&shard.stopping));
        reactor.spawn(async move {
            timer.await;
            stopping.set(true);
        });
        let before = reactor.turns();
        shard.run(|_, _| unreachable!("nobody sends")).unwrap();
        assert!(reactor.turns() - before < 8, "{} turns", reactor.turns() - before);
    }
}
