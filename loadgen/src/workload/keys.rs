//! Keys, and the partitions that they belong to by Kafka's default partitioner.
//!
//! A producer that partitions by key fills the batches of its partitions as fast as their keys come. So the partition of
//! each batch is drawn by the weight of its keys, and its records carry keys of that partition only.

use std::str::FromStr;

use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use ringlog_core::record::partition_of;

/// Different keys at most.
const KEYS_MAX: usize = 1_000_000;

/// How keys are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeySpec {
    /// No keys: partitions take turns.
    None,
    /// So many, one after the other.
    RoundRobin(usize),
    /// So many, all alike.
    Uniform(usize),
    /// So many; the nth is drawn in proportion to 1/n to this power.
    Zipf(usize, f64),
}

impl FromStr for KeySpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` are no keys: write `none`, `round-robin:1000`, `uniform:1000` or `zipf:1000:0.99`, with at \
                 most {KEYS_MAX} keys"
            )
        };
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        if kind == "none" {
            return Ok(Self::None);
        }
        let count: usize = parts.next().and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
        let exponent = parts.next().map(|exponent| exponent.parse::<f64>().map_err(|_| wrong())).transpose()?;
        if count == 0 || count > KEYS_MAX || parts.next().is_some() {
            return Err(wrong());
        }
        match (kind, exponent) {
            ("round-robin", None) => Ok(Self::RoundRobin(count)),
            ("uniform", None) => Ok(Self::Uniform(count)),
            ("zipf", exponent) if exponent.is_none_or(|exponent| exponent > 0.0 && exponent.is_finite()) => {
                Ok(Self::Zipf(count, exponent.unwrap_or(0.99)))
            }
            _ => Err(wrong()),
        }
    }
}

/// The keys of one partition.
#[derive(Debug)]
pub struct PartitionKeys {
    keys: Vec<u32>,
    /// Drawn from; without, they take turns.
    weights: Option<WeightedIndex<f64>>,
    /// All keys together.
    pub weight: f64,
    next: usize,
}

impl KeySpec {
    /// The keys of each of `partitions_count` partitions. `None` has none.
    pub fn by_partition(self, partitions_count: usize) -> Vec<PartitionKeys> {
        let (count, exponent) = match self {
            Self::None => return Vec::new(),
            Self::RoundRobin(count) | Self::Uniform(count) => (count, None),
            Self::Zipf(count, exponent) => (count, Some(exponent)),
        };
        let mut keys = vec![Vec::new(); partitions_count];
        for key in 0..count as u32 {
            keys[partition_of(&key_bytes(key), partitions_count)].push(key);
        }
        let weight = |key: &u32| exponent.map_or(1.0, |exponent| f64::from(*key + 1).powf(-exponent));
        let partition = |keys: Vec<u32>| PartitionKeys {
            weight: keys.iter().map(weight).sum(),
            weights: match self {
                Self::RoundRobin(_) => None,
                _ => WeightedIndex::new(keys.iter().map(weight)).ok(),
            },
            keys,
            next: 0,
        };
        keys.into_iter().map(partition).collect()
    }
}

impl PartitionKeys {
    /// The key of the next record. There has to be one.
    pub fn pick(&mut self, random: &mut impl Rng) -> Vec<u8> {
        let index = match &self.weights {
            Some(weights) => weights.sample(random),
            None => self.next,
        };
        self.next = (self.next + 1) % self.keys.len();
        key_bytes(self.keys[index])
    }
}

/// Ten bytes, so that all keys are of one length.
fn key_bytes(key: u32) -> Vec<u8> {
    format!("key-{key:06}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn keys_are_read() {
        assert_eq!("none".parse(), Ok(KeySpec::None));
        assert_eq!("round-robin:7".parse(), Ok(KeySpec::RoundRobin(7)));
        assert_eq!("zipf:10:1.5".parse(), Ok(KeySpec::Zipf(10, 1.5)));
        for bad in ["", "uniform", "uniform:0", "uniform:5:1", "zipf:10:x", "zipf:10:-1", "uniform:2000000", "x:5"] {
            assert!(bad.parse::<KeySpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_go_to_their_partitions_in_proportion() {
        let mut random = SmallRng::seed_from_u64(3);
        let mut partitions = KeySpec::Zipf(1_000, 1.0).by_partition(4);
        let harmonic: f64 = (1..=1_000).map(|n| 1.0 / f64::from(n)).sum();
        assert!((partitions.iter().map(|keys| keys.weight).sum::<f64>() - harmonic).abs() < 1e-9);
        let first = partition_of(b"key-000000", 4);
        let mut hits = 0;
        for _ in 0..10_000 {
            let key = partitions[first].pick(&mut random);
            assert_eq!(partition_of(&key, 4), first);
            hits += u32::from(key == b"key-000000");
        }
        let expected = 10_000.0 / partitions[first].weight;
        assert!((f64::from(hits) - expected).abs() < expected / 10.0, "{hits}, expected {expected}");
    }

    #[test]
    fn round_robin_leaves_none_out() {
        let mut random = SmallRng::seed_from_u64(3);
        let keys = &mut KeySpec::RoundRobin(50).by_partition(1)[0];
        let mut seen: Vec<Vec<u8>> = (0..50).map(|_| keys.pick(&mut random)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 50);
    }
}
