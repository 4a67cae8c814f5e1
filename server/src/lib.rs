//! The broker as a library, so that tests and the simulator run the same code as the program `ringlog`.
//!
//! Who may import whom is a table in `docs/ARCHITECTURE.md`; a module uses only those above it there.
#![forbid(unsafe_code)]

pub mod broker;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod handlers;
pub mod http;
pub mod metadata;
pub mod meters;
pub mod net;
pub mod partition;
pub mod quota;
