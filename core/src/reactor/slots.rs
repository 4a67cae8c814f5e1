//! Where each operation in flight is followed: waiting, ready, streaming, or abandoned by its future.
//!
//! Invariant: a slot is free again only after the driver reported the operation's last completion, so the token of a
//! later operation can never receive what an earlier one left. Nothing is dropped while the slots are borrowed: what
//! must go is handed out, because dropping a socket or a file calls back.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::socket::Descriptor;
use super::{Completion, Handle, Op, Token};

/// Operations in flight at most; further ones fail with `EAGAIN` at once.
pub(super) const SLOTS_MAX: usize = 1 << 20;
/// Completions that a stream keeps for a slow consumer before it is paused (cancelled, and armed again when drained).
pub(super) const STREAM_QUEUE_MAX: usize = 16;

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Ready(Completion),
    Stream {
        queue: VecDeque<Completion>,
        waker: Option<Waker>,
        pausing: bool,
    },
    /// Nobody waits. An accepted connection that still arrives is closed.
    Abandoned {
        accepts: bool,
    },
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: State,
    /// Keeps the socket's descriptor open while the operation is in flight.
    keep: Option<Rc<Descriptor>>,
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    abandoned: usize,
    unseen_failures: u64,
}

/// What has to be done after the slots are no longer borrowed; dropping it does the rest.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) waker: Option<Waker>,
    pub(super) pause: Option<Token>,
    pub(super) close: Option<Handle>,
    _completion: Option<Completion>,
    _keep: Option<Rc<Descriptor>>,
}

impl Slots {
    /// A slot for one operation, or nothing when too many are in flight.
    pub(super) fn insert(&mut self, stream: bool, keep: Option<Rc<Descriptor>>) -> Option<Token> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < SLOTS_MAX => {
                self.slots.push(Slot { generation: 0, state: State::Free, keep: None });
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        let entry = &mut self.slots[slot as usize];
        entry.keep = keep;
        entry.state = match stream {
            false => State::Waiting(None),
            true => State::Stream { queue: VecDeque::new(), waker: None, pausing: false },
        };
        Some(Token { slot, generation: entry.generation })
    }

    /// Operations in flight or not yet taken.
    pub(super) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Operations in flight whose future is gone.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// Writes and syncs of files that failed and were not taken.
    pub(super) fn unseen_failures(&self) -> u64 {
        self.unseen_failures
    }

    fn note_unseen(&mut self, completion: &Completion) {
        let is_change = matches!(completion.op, Some(Op::Write { .. } | Op::Sync { .. }));
        self.unseen_failures += u64::from(is_change && completion.result.is_err());
    }

    fn get(&mut self, token: Token) -> &mut Slot {
        let slot = &mut self.slots[token.slot as usize];
        assert_eq!(slot.generation, token.generation, "a token outlived its operation");
        slot
    }

    fn release(&mut self, token: Token) -> State {
        let slot = self.get(token);
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, State::Free);
        self.free.push(token.slot);
        state
    }

    /// Takes in what the driver reported.
    pub(super) fn deliver(&mut self, completion: Completion) -> Delivered {
        let token = completion.token;
        assert_eq!(completion.op.is_none(), completion.more, "the last completion hands the operation back");
        let mut out = Delivered::default();
        let last = !completion.more;
        let slot = self.get(token);
        if last {
            out._keep = slot.keep.take();
        }
        if let (Some(Op::Send { .. }), Some(socket)) = (&completion.op, &out._keep) {
            socket.sending.set(false);
        }
        match &mut slot.state {
            State::Waiting(waker) => {
                assert!(last, "one completion was expected");
                out.waker = waker.take();
                slot.state = State::Ready(completion);
            }
            State::Stream { queue, waker, pausing } => {
                out.waker = waker.take();
                if queue.capacity() == 0 {
                    // Most streams, of very many, have one completion at a time.
                    queue.reserve_exact(1);
                }
                queue.push_back(completion);
                if !last && queue.len() >= STREAM_QUEUE_MAX && !*pausing {
                    *pausing = true;
                    out.pause = Some(token);
                }
            }
            State::Abandoned { accepts } => {
                if let (true, Ok(handle)) = (*accepts, &completion.result) {
                    out.close = Some(Handle(*handle as i32));
                }
                if last {
                    self.release(token);
                    self.abandoned -= 1;
                }
                self.note_unseen(&completion);
                out._completion = Some(completion);
            }
            State::Free | State::Ready(_) => panic!("completion of an operation that had ended: {completion:?}"),
        }
        out
    }

    /// The completion of a single operation.
    pub(super) fn poll(&mut self, token: Token, context: &Context<'_>) -> Poll<Completion> {
        let slot = self.get(token);
        if let State::Waiting(waker) = &mut slot.state {
            match waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.release(token) {
            State::Ready(completion) => Poll::Ready(completion),
            state => panic!("polled as a single operation: {state:?}"),
        }
    }

    /// The next completion of a stream. After the one that has `more` unset the token is void.
    pub(super) fn poll_stream(&mut self, token: Token, context: &Context<'_>) -> Poll<Completion> {
        let State::Stream { queue, waker, .. } = &mut self.get(token).state else { panic!("polled as a stream") };
        let Some(completion) = queue.pop_front() else {
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        if !completion.more {
            self.release(token);
        }
        Poll::Ready(completion)
    }

    /// Marks a stream as being stopped; false when it has ended or is being stopped already.
    pub(super) fn pause(&mut self, token: Token) -> bool {
        let State::Stream { queue, pausing, .. } = &mut self.get(token).state else { panic!("paused as a stream") };
        let ended = queue.back().is_some_and(|last| !last.more);
        !std::mem::replace(pausing, true) && !ended
    }

    /// The future is gone. Returns what was already there, to be dropped by the caller, and whether to cancel.
    pub(super) fn abandon(&mut self, token: Token, accepts: bool) -> (VecDeque<Completion>, bool) {
        let slot = self.get(token);
        match &mut slot.state {
            State::Waiting(_) => {
                slot.state = State::Abandoned { accepts };
                self.abandoned += 1;
                (VecDeque::new(), true)
            }
            State::Stream { queue, pausing, .. } => {
                let (queue, pausing) = (std::mem::take(queue), *pausing);
                if queue.back().is_some_and(|last| !last.more) {
                    self.release(token);
                    (queue, false)
                } else {
                    slot.state = State::Abandoned { accepts };
                    self.abandoned += 1;
                    (queue, !pausing)
                }
            }
            State::Ready(_) => match self.release(token) {
                State::Ready(completion) => {
                    self.note_unseen(&completion);
                    (VecDeque::from([completion]), false)
                }
                _ => unreachable!("matched above"),
            },
            State::Free | State::Abandoned { .. } => panic!("abandoned twice"),
        }
    }
}
