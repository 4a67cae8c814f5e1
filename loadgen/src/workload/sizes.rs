//! How large the values of records are: one size, several in turn, or a distribution.

use std::str::FromStr;

use rand::{Rng, RngExt};

use crate::plan::exponential;
use crate::units::parse_bytes;

/// The longest value that an exponential distribution gives, as a multiple of its mean.
const EXPONENTIAL_MAX: f64 = 16.0;

/// Sizes of record values, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sizes {
    /// These in turn; one of them is a fixed size.
    List(Vec<usize>),
    /// All in this range alike.
    Uniform(usize, usize),
    /// With this mean: many small ones and few large ones, at most 16 times the mean.
    Exponential(usize),
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |_| format!("`{text}` is no record size: write `100`, `100,1k,10k`, `uniform:50..2k` or `exponential:500`");
        if let Some(mean) = text.strip_prefix("exponential:") {
            return Ok(Self::Exponential(parse_bytes(mean).map_err(wrong)?));
        }
        if let Some(range) = text.strip_prefix("uniform:") {
            let (low, high) = range.split_once("..").ok_or(String::new()).map_err(wrong)?;
            let (low, high) = (parse_bytes(low).map_err(wrong)?, parse_bytes(high).map_err(wrong)?);
            return if low <= high { Ok(Self::Uniform(low, high)) } else { Err(wrong(String::new())) };
        }
        Ok(Self::List(text.split(',').map(parse_bytes).collect::<Result<_, _>>().map_err(wrong)?))
    }
}

impl Sizes {
    /// The mean, about.
    pub fn about(&self) -> usize {
        match self {
            Self::List(sizes) => sizes.iter().sum::<usize>() / sizes.len().max(1),
            Self::Uniform(low, high) => low.midpoint(*high),
            Self::Exponential(mean) => *mean,
        }
    }

    /// The size of record `number`.
    pub fn pick(&self, number: usize, random: &mut impl Rng) -> usize {
        match self {
            Self::List(sizes) => sizes[number % sizes.len()],
            Self::Uniform(low, high) => random.random_range(*low..=*high),
            Self::Exponential(mean) => {
                let factor = exponential(random).min(EXPONENTIAL_MAX);
                (*mean as f64 * factor) as usize
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn sizes_are_read_and_picked() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut pick = |text: &str, count: usize| -> Vec<usize> {
            let sizes: Sizes = text.parse().expect("well formed");
            (0..count).map(|number| sizes.pick(number, &mut random)).collect()
        };
        assert_eq!(pick("100", 3), [100, 100, 100]);
        assert_eq!(pick("100,1k", 3), [100, 1_024, 100]);
        assert!(pick("uniform:10..12", 1_000).iter().all(|size| (10..=12).contains(size)));
        let exponential = pick("exponential:1000", 20_000);
        let mean = exponential.iter().sum::<usize>() / exponential.len();
        assert!((950..1_050).contains(&mean), "{mean}");
        assert!(exponential.iter().all(|size| *size <= 16_000));
        for bad in ["", "x", "100,", "uniform:5", "uniform:9..3", "exponential:"] {
            assert!(bad.parse::<Sizes>().is_err(), "{bad}");
        }
    }
}
