//! When to send: fixes the instant at which each request should leave, before the run and whatever happens in it.
//!
//! Invariant: planned instants never move. A late sender sends late and the latency still counts from the plan, so that
//! a stall of the target shows up in every request it delayed (no coordinated omission).

use std::str::FromStr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// Requests per second, or as fast as the answers come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Open loop.
    PerSecond(f64),
    /// Closed loop: the next request leaves when an earlier one was answered.
    Max,
}

/// Why a rate was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write `max`, or requests per second such as `500`, `2.5k/s` or `1m`")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        if lower == "max" {
            return Ok(Self::Max);
        }
        let number = lower.strip_suffix("/s").unwrap_or(&lower);
        let (number, factor) = match number.strip_suffix(['k', 'm']) {
            Some(digits) if number.ends_with('k') => (digits, 1e3),
            Some(digits) => (digits, 1e6),
            None => (number, 1.0),
        };
        let rate = number.parse::<f64>().map_err(|_| error())? * factor;
        if rate.is_finite() && rate > 0.0 { Ok(Self::PerSecond(rate)) } else { Err(error()) }
    }
}

/// How the gaps between requests are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrival {
    /// All equal.
    Constant,
    /// Exponential, as of many independent clients.
    Poisson,
}

/// The planned instants of one sender, as time since the start of the run; endless.
#[derive(Debug)]
pub struct Plan {
    arrival: Arrival,
    gap_ns: f64,
    next_ns: f64,
    random: SmallRng,
}

impl Plan {
    /// Sender `index` of `count`, which share `rate` requests per second evenly and out of step.
    pub fn new(rate: f64, arrival: Arrival, index: usize, count: usize, seed: u64) -> Self {
        let gap_ns = 1e9 * count as f64 / rate;
        let next_ns = gap_ns * index as f64 / count as f64;
        Self { arrival, gap_ns, next_ns, random: SmallRng::seed_from_u64(seed ^ index as u64) }
    }
}

impl Iterator for Plan {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let planned = self.next_ns;
        self.next_ns += match self.arrival {
            Arrival::Constant => self.gap_ns,
            Arrival::Poisson => exponential(&mut self.random) * self.gap_ns,
        };
        Some(Duration::from_nanos(planned as u64))
    }
}

/// Exponentially distributed with mean 1.
pub(crate) fn exponential(random: &mut impl Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("50k/s".parse(), Ok(Rate::PerSecond(50_000.0)));
        assert_eq!("2.5M".parse(), Ok(Rate::PerSecond(2_500_000.0)));
        assert_eq!("7".parse(), Ok(Rate::PerSecond(7.0)));
        for bad in ["", "k", "-1", "0", "NaN", "inf", "5x"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn senders_share_a_constant_rate_out_of_step() {
        let mut instants: Vec<Duration> =
            (0..4).flat_map(|index| Plan::new(1_000.0, Arrival::Constant, index, 4, 1).take(5)).collect();
        instants.sort();
        let expected: Vec<Duration> = (0..20).map(Duration::from_millis).collect();
        assert_eq!(instants, expected);
    }

    #[test]
    fn poisson_keeps_the_rate_and_repeats_with_its_seed() {
        let plan = || Plan::new(1_000.0, Arrival::Poisson, 0, 1, 7).take(20_000).collect::<Vec<_>>();
        let last = plan()[19_999].as_secs_f64();
        assert!((19.0..21.0).contains(&last), "{last}");
        assert_eq!(plan(), plan());
    }
}
