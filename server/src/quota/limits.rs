//! The quotas of one shard's clients: found once per client, in Kafka's order of precedence, then kept until a quota is
//! altered.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use ringlog_core::reactor::Instant;

use super::{Rate, RateKey, SharedRates};
use crate::metadata::{ClientQuotas, QuotaEntity, entity_type, quota_key};

/// The principal of every client, while there is no authentication.
const USER: &str = "ANONYMOUS";
/// Clients whose quotas are kept; one more, and all are found again.
const CLIENTS_MAX: usize = 10_000;
/// Nanoseconds of a shard per second and percent.
const NANOS_PER_PERCENT: f64 = 1e7;

/// What a quota limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// Bytes that are produced.
    Produce,
    /// Bytes that are fetched.
    Fetch,
    /// The time of shards, in nanoseconds.
    Request,
    /// Connections that are made.
    Connection,
    /// Partitions that are created and deleted.
    Mutation,
}

const KINDS: [QuotaKind; 5] =
    [QuotaKind::Produce, QuotaKind::Fetch, QuotaKind::Request, QuotaKind::Connection, QuotaKind::Mutation];

/// The quotas as one shard applies them.
#[derive(Debug)]
pub struct ClientLimits {
    shared: Arc<SharedRates>,
    quotas: RefCell<ClientQuotas>,
    /// Whether there is any quota of a kind.
    has: [Cell<bool>; KINDS.len()],
    /// By client id, or address.
    clients: RefCell<AHashMap<String, Rc<Limits>>>,
}

/// Of one client, by kind.
type Limits = [Option<Limit>; KINDS.len()];

#[derive(Debug)]
struct Limit {
    per_second: f64,
    rate: Arc<Rate>,
}

impl QuotaKind {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => quota_key::PRODUCER_BYTE_RATE,
            Self::Fetch => quota_key::CONSUMER_BYTE_RATE,
            Self::Request => quota_key::REQUEST_PERCENTAGE,
            Self::Connection => quota_key::CONNECTION_CREATION_RATE,
            Self::Mutation => quota_key::CONTROLLER_MUTATION_RATE,
        }
    }
}

impl ClientLimits {
    /// No quotas.
    pub fn new(shared: Arc<SharedRates>) -> Self {
        Self { shared, quotas: RefCell::default(), has: Default::default(), clients: RefCell::default() }
    }

    /// Other quotas from now on. What known clients have used still counts.
    pub fn set(&self, quotas: &ClientQuotas) {
        self.quotas.replace(quotas.clone());
        for kind in KINDS {
            self.has[kind as usize].set(quotas.values().any(|values| values.contains_key(kind.key())));
        }
        // The old ones hold the rates while the new ones are found.
        let known = self.clients.take();
        self.clients.replace(known.keys().map(|name| (name.clone(), Rc::new(self.find(name)))).collect());
    }

    /// Whether there is a quota of this kind, for anybody.
    pub fn has(&self, kind: QuotaKind) -> bool {
        self.has[kind as usize].get()
    }

    /// Records what a client uses; how long it has to wait now.
    pub fn record(&self, kind: QuotaKind, client: &str, now: Instant, amount: u64) -> Duration {
        let limits = self.limits(client);
        let Some(Limit { per_second, rate }) = &limits[kind as usize] else { return Duration::ZERO };
        rate.record(now, amount);
        rate.delay(now, rate.total(now), *per_second)
    }

    /// Records what a client would use, unless it is too much: then it is not used, and comes later. Whoever used nothing
    /// lately may use any amount, so that it comes at all.
    pub fn try_record(&self, kind: QuotaKind, client: &str, now: Instant, amount: u64) -> Result<(), Duration> {
        let limits = self.limits(client);
        let Some(Limit { per_second, rate }) = &limits[kind as usize] else { return Ok(()) };
        let total = rate.total(now);
        let delay = rate.delay(now, total.saturating_add(amount), *per_second);
        if delay > Duration::ZERO && total > 0 {
            return Err(delay);
        }
        rate.record(now, amount);
        Ok(())
    }

    /// Records what a client uses, any amount, unless it has used too much before: then how long it has to wait.
    pub fn record_unless_exceeded(
        &self,
        kind: QuotaKind,
        client: &str,
        now: Instant,
        amount: u64,
    ) -> Result<(), Duration> {
        let limits = self.limits(client);
        let Some(Limit { per_second, rate }) = &limits[kind as usize] else { return Ok(()) };
        let delay = rate.delay(now, rate.total(now), *per_second);
        if delay > Duration::ZERO {
            return Err(delay);
        }
        rate.record(now, amount);
        Ok(())
    }

    /// How long a client has to wait for what it has used, one window at most.
    pub fn bounded_delay(&self, kind: QuotaKind, client: &str, now: Instant) -> Duration {
        let limits = self.limits(client);
        let Some(Limit { per_second, rate }) = &limits[kind as usize] else { return Duration::ZERO };
        rate.delay(now, rate.total(now), *per_second).min(self.shared.windows.size)
    }

    /// The largest amount that a client may use at once; `None` is any.
    pub fn amount_max(&self, kind: QuotaKind, client: &str) -> Option<usize> {
        let limits = self.limits(client);
        let limit = limits[kind as usize].as_ref()?;
        Some(self.shared.windows.amount(limit.per_second) as usize)
    }

    fn limits(&self, client: &str) -> Rc<Limits> {
        if let Some(limits) = self.clients.borrow().get(client) {
            return Rc::clone(limits);
        }
        let limits = Rc::new(self.find(client));
        let mut clients = self.clients.borrow_mut();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(client.to_owned(), Rc::clone(&limits));
        limits
    }

    fn find(&self, client: &str) -> Limits {
        let quotas = self.quotas.borrow();
        KINDS.map(|kind| {
            let (value, user, client_id) = match kind {
                QuotaKind::Connection => find_for_address(&quotas, client)?,
                QuotaKind::Produce | QuotaKind::Fetch | QuotaKind::Request | QuotaKind::Mutation => {
                    find_for_client(&quotas, kind.key(), USER, client)?
                }
            };
            let per_second = if kind == QuotaKind::Request { value * NANOS_PER_PERCENT } else { value };
            Some(Limit { per_second, rate: self.shared.rate(RateKey { kind, user, client_id }) })
        })
    }
}

/// The value, and the user and client id that it is for.
type Found = (f64, Option<String>, Option<String>);

/// The first of: user and client, user and any client, user; any user and client, any user and any client, any user;
/// client, any client.
fn find_for_client(quotas: &ClientQuotas, key: &str, user: &str, client_id: &str) -> Option<Found> {
    use entity_type::{CLIENT_ID as CLIENT, USER};
    let (this_user, this_client) = (Some(user), Some(client_id));
    let levels: [&[(&str, Option<&str>)]; 8] = [
        &[(USER, this_user), (CLIENT, this_client)],
        &[(USER, this_user), (CLIENT, None)],
        &[(USER, this_user)],
        &[(USER, None), (CLIENT, this_client)],
        &[(USER, None), (CLIENT, None)],
        &[(USER, None)],
        &[(CLIENT, this_client)],
        &[(CLIENT, None)],
    ];
    levels.into_iter().find_map(|level| {
        let value = quotas.get(&QuotaEntity::new(level))?.get(key)?;
        let named = |wanted: &str, name: &str| level.iter().any(|(kind, _)| *kind == wanted).then(|| name.to_owned());
        Some((value.0, named(USER, user), named(CLIENT, client_id)))
    })
}

/// Of the address, or of any.
fn find_for_address(quotas: &ClientQuotas, address: &str) -> Option<Found> {
    let address: IpAddr = address.parse().ok()?;
    let name = address.to_string();
    [Some(name.as_str()), None].into_iter().find_map(|level| {
        let value = quotas.get(&QuotaEntity::new(&[(entity_type::IP, level)]))?.get(QuotaKind::Connection.key())?;
        Some((value.0, Some(name.clone()), None))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::metadata::QuotaValue;
    use crate::quota::QuotaWindows;

    const WINDOWS: QuotaWindows = QuotaWindows { count: 11, size: Duration::from_secs(1) };
    const NOW: Instant = Instant(20_000_000_000);

    type Names<'a> = &'a [(&'a str, Option<&'a str>)];

    fn quotas(all: &[(Names<'_>, f64)]) -> ClientQuotas {
        let values = |value| BTreeMap::from([(quota_key::PRODUCER_BYTE_RATE.to_owned(), QuotaValue(value))]);
        all.iter().map(|(entity, value)| (QuotaEntity::new(entity), values(*value))).collect()
    }

    #[test]
    fn the_most_particular_quota_counts() {
        const U: &str = entity_type::USER;
        const C: &str = entity_type::CLIENT_ID;
        let levels: [Names<'_>; 8] = [
            &[(U, Some("u")), (C, Some("c"))],
            &[(U, Some("u")), (C, None)],
            &[(U, Some("u"))],
            &[(U, None), (C, Some("c"))],
            &[(U, None), (C, None)],
            &[(U, None)],
            &[(C, Some("c"))],
            &[(C, None)],
        ];
        let find = |quotas: &ClientQuotas, user, client| {
            find_for_client(quotas, quota_key::PRODUCER_BYTE_RATE, user, client).map(|found| found.0)
        };
        for first in 0..levels.len() {
            let set: Vec<_> = (first..levels.len()).map(|at| (levels[at], at as f64)).collect();
            assert_eq!(find(&quotas(&set), "u", "c"), Some(first as f64));
        }
        let all: Vec<_> = (0..levels.len()).map(|at| (levels[at], at as f64)).collect();
        assert_eq!(find(&quotas(&all), "u", "x"), Some(1.0));
        assert_eq!(find(&quotas(&all), "x", "c"), Some(3.0));
        assert_eq!(find(&quotas(&all), "x", "x"), Some(4.0));
        assert_eq!(find(&quotas(&all[..3]), "x", "c"), None);
        let shared = find_for_client(&quotas(&all[5..6]), quota_key::PRODUCER_BYTE_RATE, "u", "c").unwrap();
        assert_eq!((shared.1.as_deref(), shared.2), (Some("u"), None), "all clients of a user share its quota");
    }

    #[test]
    fn shards_share_what_a_client_has_used() {
        let shared = Arc::new(SharedRates::new(WINDOWS));
        let shards = [ClientLimits::new(Arc::clone(&shared)), ClientLimits::new(shared)];
        let record = |shard: usize, client, amount| shards[shard].record(QuotaKind::Produce, client, NOW, amount);
        assert!(!shards[0].has(QuotaKind::Produce));
        assert_eq!(record(0, "a", 1 << 30), Duration::ZERO);
        let default = quotas(&[(&[(entity_type::CLIENT_ID, None)], 100.0)]);
        shards.iter().for_each(|shard| shard.set(&default));
        assert!(shards[0].has(QuotaKind::Produce) && !shards[0].has(QuotaKind::Fetch));
        assert_eq!(record(0, "a", 900), Duration::ZERO);
        assert_eq!(record(1, "a", 300), Duration::from_secs(2));
        assert_eq!(record(0, "b", 300), Duration::ZERO, "each has its own");
        // A client with twice the quota and the same past.
        let more =
            quotas(&[(&[(entity_type::CLIENT_ID, Some("a"))], 200.0), (&[(entity_type::CLIENT_ID, None)], 100.0)]);
        shards.iter().for_each(|shard| shard.set(&more));
        assert_eq!(record(0, "a", 1200), Duration::from_secs(2));
        shards.iter().for_each(|shard| shard.set(&ClientQuotas::new()));
        assert_eq!(record(0, "a", 1 << 30), Duration::ZERO);
    }

    #[test]
    fn what_is_too_much_is_not_recorded_but_the_first_is() {
        let limits = ClientLimits::new(Arc::new(SharedRates::new(WINDOWS)));
        limits.set(&quotas(&[(&[(entity_type::CLIENT_ID, None)], 100.0)]));
        assert_eq!(limits.amount_max(QuotaKind::Produce, "a"), Some(1000));
        assert_eq!(limits.amount_max(QuotaKind::Fetch, "a"), None);
        let try_record = |amount| limits.try_record(QuotaKind::Produce, "a", NOW, amount);
        assert_eq!(try_record(800), Ok(()));
        assert_eq!(try_record(300), Err(Duration::from_secs(1)));
        assert_eq!(try_record(200), Ok(()));
        assert_eq!(limits.try_record(QuotaKind::Produce, "b", NOW, 5000), Ok(()));
    }
}
