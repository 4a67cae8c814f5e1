//! Bugs planted on purpose, each one a rule of the coordinators that is broken: the simulation must find every one of them.
//!
//! As in `ringlog_core::log`, only tests can plant (the feature `planted-bugs`, which no release has); elsewhere
//! [`is_planted`] is a constant.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// Who saw a change is answered before it is durable.
    AnsweredBeforeDurable,
    /// A commit of an earlier generation or epoch is taken, and of a member that is out.
    StaleCommitTaken,
    /// A partition is given to a member while another one has not confirmed that it gave it up.
    GivenBeforeRevoked,
    /// The assignment that a member was told is not in the log.
    AssignmentNotRecorded,
    /// A wake-up that is due before the one that is slept for is forgotten.
    WakeUpForgotten,
    /// Members that wait for the leader's assignment are not answered when it comes.
    FollowersForgotten,
}

#[cfg(any(test, feature = "planted-bugs"))]
mod planting {
    use std::cell::Cell;

    use super::PlantedBug;

    thread_local! {
        static PLANTED: Cell<Option<PlantedBug>> = const { Cell::new(None) };
    }

    /// A bug that is there, on this thread, until this is dropped.
    #[derive(Debug)]
    #[must_use = "dropping it takes the bug away"]
    pub struct Planting(());

    impl Planting {
        /// Plants a bug.
        pub fn new(bug: PlantedBug) -> Self {
            PLANTED.set(Some(bug));
            Self(())
        }
    }

    impl Drop for Planting {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Whether `bug` was planted on this thread.
    pub(crate) fn is_planted(bug: PlantedBug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(any(test, feature = "planted-bugs"))]
pub use planting::Planting;
#[cfg(any(test, feature = "planted-bugs"))]
pub(crate) use planting::is_planted;

/// Nothing is planted here.
#[cfg(not(any(test, feature = "planted-bugs")))]
pub(crate) const fn is_planted(_: PlantedBug) -> bool {
    false
}
