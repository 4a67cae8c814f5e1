//! Accepts connections and hands each to the function that deals them to shards.

use std::time::Duration;

use ringlog_core::reactor::{Listener, Reactor, Socket};

/// Wait after a failed accept (descriptors used up, most often) before the next.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Accepts until the reactor ends; `delay` says how long a connection, and with it those behind it, has to wait, `deal`
/// decides which shard serves it.
pub async fn accept_loop(
    reactor: Reactor,
    mut listener: Listener,
    delay: impl Fn() -> Duration,
    deal: impl Fn(Socket),
) {
    loop {
        match listener.accept().await {
            Ok(socket) => {
                let delay = delay();
                if !delay.is_zero() {
                    reactor.sleep(delay).await;
                }
                deal(socket);
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed, trying again in {RETRY_AFTER:?}");
                reactor.sleep(RETRY_AFTER).await;
            }
        }
    }
}
