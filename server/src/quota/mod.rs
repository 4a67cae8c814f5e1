//! Client quotas at work: which one counts for a client, how much it has used, how long it has to wait.
//!
//! Quotas are of the broker, not of a shard: a client's connections on all shards share its [`Rate`]. Delays are Kafka's
//! (KIP-219): the answer leaves at once and tells the delay, then the connection is not read from that long.
//!
//! Invariants:
//! - Without a quota of a kind, a request costs the look at one flag.
//! - The lock on the shared rates is taken when a client is met for the first time, never for a request of a known one.
//! - Known clients and rates are bounded.

mod limits;
mod rate;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ahash::AHashMap;

pub use limits::{ClientLimits, QuotaKind};
pub use rate::{QuotaWindows, Rate};

/// Rates that are kept at least while somebody uses them; then the unused ones go.
const RATES_MAX: usize = 10_000;

/// Who shares a rate: the kind, and the user and client id that its quota tells apart; an address in place of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RateKey {
    kind: QuotaKind,
    user: Option<String>,
    client_id: Option<String>,
}

/// The rates of all shards.
#[derive(Debug)]
pub struct SharedRates {
    windows: QuotaWindows,
    rates: Mutex<AHashMap<RateKey, Weak<Rate>>>,
}

impl SharedRates {
    /// None yet.
    pub fn new(windows: QuotaWindows) -> Self {
        Self { windows, rates: Mutex::default() }
    }

    fn rate(&self, key: RateKey) -> Arc<Rate> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rate) = rates.get(&key).and_then(Weak::upgrade) {
            return rate;
        }
        if rates.len() >= RATES_MAX {
            rates.retain(|_, rate| rate.strong_count() > 0);
        }
        let rate = Arc::new(Rate::new(self.windows));
        rates.insert(key, Arc::downgrade(&rate));
        rate
    }
}
