//! Accepts connections and hands each to the function that deals them to shards.

use std::time::Duration;

use ringlog_core::reactor::{Listener, Reactor, Socket};

/// Wait after a failed accept (descriptors used up, most often) before the next.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Accepts until the reactor ends; `deal` decides which shard serves a connection.
pub async fn accept_loop(reactor: Reactor, mut listener: Listener, deal: impl Fn(Socket)) {
    loop {
        match listener.accept().await {
            Ok(socket) => deal(socket),
            Err(error) => {
                tracing::warn!(%error, "accept failed, trying again in {RETRY_AFTER:?}");
                reactor.sleep(RETRY_AFTER).await;
            }
        }
    }
}
