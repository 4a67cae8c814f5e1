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
    /// Open loop, evenly from the first to the second over the whole run.
    Ramp(f64, f64),
    /// Closed loop: the next request leaves when an earlier one was answered.
    Max,
}

/// Why a rate was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write `max`, requests per second such as `500`, `2.5k/s` or `1m`, or a ramp `1k..10k`")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        if lower == "max" {
            return Ok(Self::Max);
        }
        match lower.split_once("..") {
            Some((from, to)) => Ok(Self::Ramp(per_second(from).ok_or_else(error)?, per_second(to).ok_or_else(error)?)),
            None => Ok(Self::PerSecond(per_second(&lower).ok_or_else(error)?)),
        }
    }
}

fn per_second(text: &str) -> Option<f64> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let (number, factor) = match number.as_bytes().last()? {
        b'k' => (&number[..number.len() - 1], 1e3),
        b'm' => (&number[..number.len() - 1], 1e6),
        _ => (number, 1.0),
    };
    number.parse::<f64>().ok().map(|rate| rate * factor).filter(|rate| rate.is_finite() && *rate > 0.0)
}

/// How the gaps between requests are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrival {
    /// All equal.
    Constant,
    /// Exponential, as of many independent clients.
    Poisson,
}

/// When all senders of a run send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Requests per second at the start.
    pub rate: f64,
    /// At the end.
    pub rate_at_end: f64,
    /// The length of the run.
    pub length: Duration,
    /// How the gaps are spread.
    pub arrival: Arrival,
    /// Requests of one sender that leave at the same instant; the rate stays.
    pub burst: usize,
    /// Of the gaps.
    pub seed: u64,
}

impl Schedule {
    /// The share of sender `index` of `count`, which are out of step.
    pub fn plan(self, index: usize, count: usize) -> Plan {
        let random = SmallRng::seed_from_u64(self.seed ^ index as u64);
        let mut plan = Plan { schedule: self, senders: count.max(1), next_ns: 0.0, left_of_burst: 0, random };
        plan.next_ns = plan.gap_ns() * index as f64 / count.max(1) as f64;
        plan
    }
}

/// The planned instants of one sender, as time since the start of the run; endless.
#[derive(Debug)]
pub struct Plan {
    schedule: Schedule,
    senders: usize,
    next_ns: f64,
    left_of_burst: usize,
    random: SmallRng,
}

impl Plan {
    /// The mean gap between bursts at this instant.
    fn gap_ns(&self) -> f64 {
        let Schedule { rate, rate_at_end, length, burst, .. } = self.schedule;
        let passed = (self.next_ns / length.as_nanos().max(1) as f64).min(1.0);
        1e9 * (self.senders * burst.max(1)) as f64 / (rate + (rate_at_end - rate) * passed)
    }
}

impl Iterator for Plan {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let planned = self.next_ns;
        self.left_of_burst = self.left_of_burst.checked_sub(1).unwrap_or(self.schedule.burst.max(1) - 1);
        if self.left_of_burst == 0 {
            self.next_ns += match self.schedule.arrival {
                Arrival::Constant => self.gap_ns(),
                Arrival::Poisson => exponential(&mut self.random) * self.gap_ns(),
            };
        }
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

    fn schedule(rate: f64, arrival: Arrival) -> Schedule {
        Schedule { rate, rate_at_end: rate, length: Duration::from_secs(10), arrival, burst: 1, seed: 7 }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("50k/s".parse(), Ok(Rate::PerSecond(50_000.0)));
        assert_eq!("2.5M".parse(), Ok(Rate::PerSecond(2_500_000.0)));
        assert_eq!("7".parse(), Ok(Rate::PerSecond(7.0)));
        assert_eq!("1k..2k/s".parse(), Ok(Rate::Ramp(1_000.0, 2_000.0)));
        for bad in ["", "k", "-1", "0", "NaN", "inf", "5x", "1..", "..5"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn senders_share_a_constant_rate_out_of_step() {
        let schedule = schedule(1_000.0, Arrival::Constant);
        let mut instants: Vec<Duration> = (0..4).flat_map(|index| schedule.plan(index, 4).take(5)).collect();
        instants.sort();
        let expected: Vec<Duration> = (0..20).map(Duration::from_millis).collect();
        assert_eq!(instants, expected);
    }

    #[test]
    fn poisson_keeps_the_rate_and_repeats_with_its_seed() {
        let plan = || schedule(1_000.0, Arrival::Poisson).plan(0, 1).take(20_000).collect::<Vec<_>>();
        let last = plan()[19_999].as_secs_f64();
        assert!((19.0..21.0).contains(&last), "{last}");
        assert_eq!(plan(), plan());
    }

    #[test]
    fn bursts_leave_together_and_keep_the_rate() {
        let schedule = Schedule { burst: 3, ..schedule(300.0, Arrival::Constant) };
        let instants: Vec<u128> = schedule.plan(0, 1).take(7).map(|instant| instant.as_millis()).collect();
        assert_eq!(instants, [0, 0, 0, 10, 10, 10, 20]);
    }

    #[test]
    fn a_ramp_goes_evenly_from_one_rate_to_the_other() {
        let schedule = Schedule { rate_at_end: 3_000.0, ..schedule(1_000.0, Arrival::Constant) };
        let instants: Vec<Duration> =
            schedule.plan(0, 1).take_while(|instant| *instant < Duration::from_secs(10)).collect();
        // A mean of 2,000/s over 10 s.
        assert!(instants.len().abs_diff(20_000) < 20, "{}", instants.len());
        let in_second = |second: u64| instants.iter().filter(|instant| instant.as_secs() == second).count();
        assert!(in_second(0).abs_diff(1_100) < 10 && in_second(9).abs_diff(2_900) < 10);
    }
}
