//! The arithmetic of a comparison: medians, and an interval for the ratio of two interleaved medians.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 10_000;
/// The interval's two ends as quantiles of the resampled ratios: 95 %.
const ENDS: [f64; 2] = [0.025, 0.975];
/// The same input gives the same interval.
const SEED: u64 = 0x5eed;
/// With fewer rounds the interval is not worth its name.
const ROUNDS_MIN: usize = 3;

/// How much of something a subject needs or gives, against a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Median of the subject over median of the baseline.
    pub ratio: f64,
    /// The 95 % interval, where there were rounds enough.
    pub interval: Option<[f64; 2]>,
    /// Rounds in which both have a value.
    pub rounds: usize,
}

/// The middle of the values; the mean of the two middle ones when their number is even.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Linear between the two nearest values.
pub fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let position = at * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64))
}

/// The ratio of medians over rounds, each of which gave one value of both. The rounds are resampled as pairs, so what
/// disturbed a round disturbs both sides of it.
pub fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let pairs: Vec<(f64, f64)> =
        pairs.iter().copied().filter(|(subject, base)| subject.is_finite() && *base > 0.0).collect();
    let ratio = ratio_of_medians(&pairs)?;
    let interval = (pairs.len() >= ROUNDS_MIN).then(|| {
        let mut random = SmallRng::seed_from_u64(SEED);
        let mut drawn = pairs.clone();
        let ratios: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                drawn.iter_mut().for_each(|pair| *pair = pairs[random.random_range(0..pairs.len())]);
                ratio_of_medians(&drawn)
            })
            .collect();
        ENDS.map(|end| quantile(&ratios, end).unwrap_or(ratio))
    });
    Some(Ratio { ratio, interval, rounds: pairs.len() })
}

/// The same for two sets of values that were not measured in turns: each is resampled by itself.
pub fn ratio_of_sets(subject: &[f64], base: &[f64]) -> Option<Ratio> {
    let ratio_of = |subject: &[f64], base: &[f64]| {
        let base = median(base).filter(|base| *base > 0.0)?;
        Some(median(subject)? / base)
    };
    let ratio = ratio_of(subject, base)?;
    let rounds = subject.len().min(base.len());
    let interval = (rounds >= ROUNDS_MIN).then(|| {
        let mut random = SmallRng::seed_from_u64(SEED);
        let mut draw =
            |from: &[f64]| -> Vec<f64> { (0..from.len()).map(|_| from[random.random_range(0..from.len())]).collect() };
        let ratios: Vec<f64> = (0..RESAMPLES).filter_map(|_| ratio_of(&draw(subject), &draw(base))).collect();
        ENDS.map(|end| quantile(&ratios, end).unwrap_or(ratio))
    });
    Some(Ratio { ratio, interval, rounds })
}

fn ratio_of_medians(pairs: &[(f64, f64)]) -> Option<f64> {
    let (subject, base): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(median(&subject)? / median(&base)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN, 5.0]), Some(5.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
    }

    #[test]
    fn the_interval_holds_the_true_ratio_and_shrinks_with_rounds() {
        let pairs = |count: usize| -> Vec<(f64, f64)> {
            let mut random = SmallRng::seed_from_u64(7);
            let mut noise = || random.random_range(0.9..1.1);
            (0..count).map(|_| (2.0 * noise(), 10.0 * noise())).collect()
        };
        let width = |count: usize| {
            let ratio = ratio(&pairs(count)).unwrap();
            let [low, high] = ratio.interval.unwrap();
            assert!(low <= 0.2 && 0.2 <= high && low <= ratio.ratio && ratio.ratio <= high, "{ratio:?}");
            high - low
        };
        assert!(width(100) < width(10));
    }

    #[test]
    fn what_disturbs_both_sides_of_a_round_does_not_widen_the_interval() {
        let pairs: Vec<(f64, f64)> = [1.0, 3.0, 1.1, 2.7, 0.9].iter().map(|slow| (2.0 * slow, 4.0 * slow)).collect();
        assert_eq!(ratio(&pairs).unwrap().interval, Some([0.5, 0.5]));
    }

    #[test]
    fn sets_are_resampled_by_themselves() {
        let same = ratio_of_sets(&[2.0, 2.2, 1.8, 2.1], &[4.0, 4.4, 3.6]).unwrap();
        let [low, high] = same.interval.unwrap();
        assert!(low < same.ratio && same.ratio < high && low > 0.4 && high < 0.65, "{same:?}");
        assert_eq!(ratio_of_sets(&[1.0], &[]), None);
    }

    #[test]
    fn too_few_rounds_have_no_interval_and_zero_is_no_base() {
        let few = ratio(&[(1.0, 2.0), (1.0, 2.0)]).unwrap();
        assert_eq!((few.ratio, few.interval, few.rounds), (0.5, None, 2));
        assert_eq!(ratio(&[(1.0, 0.0)]), None);
        assert_eq!(ratio(&[]), None);
    }
}
