//! The state machine without any I/O.

mod classic;
mod harness;
mod model;
mod offsets;
