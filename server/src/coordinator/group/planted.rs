//! Bugs planted on purpose, each one a rule of the coordinators that is broken: the simulation must find every one of them.

pub(crate) use ringlog_core::planting::is_planted;

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
