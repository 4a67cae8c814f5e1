//! How many connections an address may have: `max.connections.per.ip` and its overrides.
//!
//! Invariant: an address is counted as long as it has connections, and only where it has a limit.

use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;

/// The open connections of all shards by address. Clones are the same count.
#[derive(Debug, Clone)]
pub struct PerAddress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: Option<u32>,
    overrides: AHashMap<IpAddr, u32>,
    counts: Mutex<AHashMap<IpAddr, u32>>,
}

/// A connection in the count of its address, until it is dropped.
#[derive(Debug, Default)]
pub struct OfAddress(Option<(PerAddress, IpAddr)>);

impl PerAddress {
    /// `max` for those without an override; `None` is any number.
    pub fn new(max: Option<u32>, overrides: AHashMap<IpAddr, u32>) -> Self {
        Self(Arc::new(Inner { max, overrides, counts: Mutex::default() }))
    }

    /// Whether any address has a limit.
    pub fn has_limits(&self) -> bool {
        self.0.max.is_some() || !self.0.overrides.is_empty()
    }

    /// Counts a connection of `address`; the error is the limit that it would exceed.
    pub fn admit(&self, address: IpAddr) -> Result<OfAddress, u32> {
        let address = address.to_canonical();
        let Some(max) = self.0.overrides.get(&address).copied().or(self.0.max) else { return Ok(OfAddress(None)) };
        let mut counts = self.counts();
        let count = counts.get(&address).copied().unwrap_or_default();
        if count >= max {
            return Err(max);
        }
        counts.insert(address, count + 1);
        Ok(OfAddress(Some((self.clone(), address))))
    }

    fn counts(&self) -> MutexGuard<'_, AHashMap<IpAddr, u32>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let Some((all, address)) = self.0.take() else { return };
        if let Entry::Occupied(mut count) = all.counts().entry(address) {
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

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_no_more_than_its_limit_and_gets_it_back() {
        let overrides = [(address("10.0.0.9"), 0), (address("10.0.0.8"), 2)].into_iter().collect();
        let all = PerAddress::new(Some(1), overrides);
        let first = all.admit(address("10.0.0.1")).expect("the first");
        assert_eq!(all.admit(address("::ffff:10.0.0.1")).expect_err("the same address"), 1);
        assert!(all.admit(address("10.0.0.2")).is_ok());
        assert_eq!(all.admit(address("10.0.0.9")).expect_err("none at all"), 0);
        let two = [all.admit(address("10.0.0.8")), all.admit(address("10.0.0.8"))];
        assert!(two.iter().all(Result::is_ok) && all.admit(address("10.0.0.8")).is_err());
        drop((first, two));
        assert!(all.admit(address("10.0.0.1")).is_ok());
        assert!(all.counts().is_empty(), "what has no connections is not kept");
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let overrides = [(address("10.0.0.8"), 1)].into_iter().collect();
        let all = PerAddress::new(None, overrides);
        let _kept: Vec<_> = (0..9).map(|_| all.admit(address("10.0.0.1"))).collect();
        assert!(all.counts().is_empty());
        let _one = all.admit(address("10.0.0.8")).expect("the first");
        assert!(all.admit(address("10.0.0.8")).is_err());
    }
}
