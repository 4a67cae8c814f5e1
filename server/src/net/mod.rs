//! Sockets and frames: accepts connections, cuts frames out of what arrives, answers in request order.
//!
//! It never knows what an API does: each frame goes to the function that `broker` passed in, and the answer comes back
//! through a [`Responder`].

mod budget;
mod connection;
mod connections;
mod frame_pool;
mod framing;
mod listener;
mod per_address;

pub use budget::{Budget, Held};
pub use connection::{Connection, ConnectionLimits, FrameHandler, Responder};
pub use connections::{Connections, Place};
pub use frame_pool::FramePool;
pub use framing::{FrameError, Framing};
pub use listener::accept_loop;
pub use per_address::{OfAddress, PerAddress};
