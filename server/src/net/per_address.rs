//! How many connections each address has, for `max.connections.per.ip` and its overrides.
//!
//! Invariant: an address is counted as long as it has connections.

use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;

/// The open connections of all shards by address. Clones are the same count.
#[derive(Debug, Clone, Default)]
pub struct PerAddress(Arc<Mutex<AHashMap<IpAddr, u32>>>);

/// A connection in the count of its address, until it is dropped.
#[derive(Debug)]
pub struct OfAddress(PerAddress, IpAddr);

impl PerAddress {
    /// Counts a connection of `address` if it has less than `max`.
    pub fn admit(&self, address: IpAddr, max: u32) -> Option<OfAddress> {
        let address = address.to_canonical();
        let mut counts = self.counts();
        let count = counts.get(&address).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(address, count + 1);
        Some(OfAddress(self.clone(), address))
    }

    fn counts(&self) -> MutexGuard<'_, AHashMap<IpAddr, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.0.counts().entry(self.1) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_more_than_its_limit_and_gets_it_back() {
        let [a, a_mapped, b] =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|text| text.parse().expect("an address"));
        let all = PerAddress::default();
        let first = all.admit(a, 1).expect("the first");
        assert!(all.admit(a_mapped, 1).is_none(), "the same address");
        assert!(all.admit(b, 0).is_none(), "none at all");
        let more = [all.admit(b, 2), all.admit(b, 2), all.admit(a, 2)];
        assert!(more.iter().all(Option::is_some) && all.admit(b, 2).is_none());
        drop((first, more));
        assert!(all.admit(a, 1).is_some());
        assert!(all.counts().is_empty(), "what has no connections is not kept");
    }
}
