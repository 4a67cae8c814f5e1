//! The state machine without any I/O.

mod assignment_interval;
mod classic;
mod consumer;
mod consumer_model;
mod foreign;
pub(super) mod harness;
mod migration;
mod migration_model;
mod model;
mod offsets;
mod random;
