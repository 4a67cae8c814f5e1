//! A Kafka client on io_uring: one connection is one task that sends and one that receives.

mod connection;
mod frames;
mod outgoing;
mod setup;
mod signal;

pub use connection::{Pace, Pipe, Shared, drive};
pub use frames::{FRAME_BYTES_MAX, Frames};
pub use outgoing::Outgoing;
pub use setup::{CLIENT_ID, Partition, SetupError, Target, TopicSpec, Versions, greet, prepare};
pub use signal::Signal;
