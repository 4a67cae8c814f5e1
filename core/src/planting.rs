//! Bugs planted on purpose: a module that has some says in an enum of its own which rules may be broken, and asks
//! [`is_planted`] where it keeps them. The tests and the simulation must find every one of them.
//!
//! Invariant: only tests can plant (the feature `planted-bugs`, which no release has). Without it [`is_planted`] is a
//! constant.

#[cfg(any(test, feature = "planted-bugs"))]
mod planted {
    use std::any::Any;
    use std::cell::RefCell;

    thread_local! {
        static PLANTED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    }

    /// A bug that is there, on this thread and as its only one, until this is dropped.
    #[derive(Debug)]
    #[must_use = "dropping it takes the bug away"]
    pub struct Planting(());

    impl Planting {
        /// Plants a bug; `None` plants nothing.
        pub fn new<Bug: Any>(bug: Option<Bug>) -> Self {
            PLANTED.set(bug.map(|bug| Box::new(bug) as Box<dyn Any>));
            Self(())
        }
    }

    impl Drop for Planting {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Whether `bug` was planted on this thread.
    pub fn is_planted<Bug: Any + PartialEq>(bug: Bug) -> bool {
        PLANTED.with_borrow(|planted| planted.as_ref().and_then(|planted| planted.downcast_ref()) == Some(&bug))
    }
}

#[cfg(any(test, feature = "planted-bugs"))]
pub use planted::{Planting, is_planted};

/// Nothing is planted here.
#[cfg(not(any(test, feature = "planted-bugs")))]
pub const fn is_planted<Bug: Copy>(_: Bug) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_there_until_its_planting_is_dropped_and_others_are_not() {
        let planting = Planting::new(Some(7_u8));
        assert!(is_planted(7_u8) && !is_planted(8_u8) && !is_planted(7_u16));
        drop(planting);
        assert!(!is_planted(7_u8));
    }
}
