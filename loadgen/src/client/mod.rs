//! A Kafka client on io_uring: one connection is one task that sends and one that receives.

mod asker;
mod drive;
mod frames;
mod member;
mod outgoing;
mod pipe;
mod route;
mod setup;
mod signal;
mod versions;

pub use asker::{Asker, CLIENT_ID, check, resolve_text};
pub use drive::drive;
pub use frames::{FRAME_BYTES_MAX, Frames};
pub use member::{Joined, SESSION, is_rebalance};
pub use outgoing::Outgoing;
pub use pipe::{Pace, Pipe, Shared};
pub use route::{Route, RouteEnd};
pub use setup::{Partition, SetupError, Target, TopicSpec, greet, offsets, prepare};
pub use signal::Signal;
pub use versions::Versions;
