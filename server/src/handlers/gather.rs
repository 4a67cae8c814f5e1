//! Collects the answers of many partitions into one place, whichever shard they come from.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Answers to a fixed number of questions; clones are the same collection.
pub struct Gather<T>(Rc<RefCell<State<T>>>);

struct State<T> {
    answers: Vec<Option<T>>,
    missing: usize,
    waker: Option<Waker>,
}

impl<T> Clone for Gather<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Gather<T> {
    /// `count` questions, none answered.
    pub fn new(count: usize) -> Self {
        let answers = std::iter::repeat_with(|| None).take(count).collect();
        Self(Rc::new(RefCell::new(State { answers, missing: count, waker: None })))
    }

    /// Notes the answer to question `at`. Each is answered once.
    pub fn put(&self, at: usize, answer: T) {
        let waker = {
            let mut state = self.0.borrow_mut();
            assert!(state.answers[at].is_none(), "a question is answered once");
            state.answers[at] = Some(answer);
            state.missing -= 1;
            if state.missing == 0 { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// All answers in the order of the questions, once they are there.
    pub async fn all(self) -> Vec<T> {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if state.missing > 0 {
                state.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(std::mem::take(&mut state.answers).into_iter().flatten().collect())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let gather = Gather::new(2);
        let mut all = pin!(gather.clone().all());
        let mut context = Context::from_waker(Waker::noop());
        gather.put(1, 'b');
        assert_eq!(all.as_mut().poll(&mut context), Poll::Pending);
        gather.put(0, 'a');
        assert_eq!(all.as_mut().poll(&mut context), Poll::Ready(vec!['a', 'b']));
    }
}
