//! Limits that a run must keep, such as `p99<5ms` or `mb/s>100`.

use std::str::FromStr;

use crate::measured::Measured;
use crate::units::parse_duration;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    /// Latency from the plan at this quantile, in nanoseconds.
    Latency(f64),
    RequestsPerSecond,
    MegabytesPerSecond,
}

/// One limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    below: bool,
    bound: f64,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no threshold: write `p99<5ms`, `max<1s`, `requests/s>10000` or `mb/s>100`");
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (name, value) = (text[..at].trim().to_ascii_lowercase(), text[at + 1..].trim());
        let metric = match name.as_str() {
            "requests/s" => Metric::RequestsPerSecond,
            "mb/s" => Metric::MegabytesPerSecond,
            "max" => Metric::Latency(1.0),
            _ => {
                let percent: f64 = name.strip_prefix('p').and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
                (0.0..=100.0).contains(&percent).then_some(Metric::Latency(percent / 100.0)).ok_or_else(wrong)?
            }
        };
        let bound = match metric {
            Metric::Latency(_) => parse_duration(value)?.as_nanos() as f64,
            _ => value.parse().map_err(|_| wrong())?,
        };
        Ok(Self { text: text.to_owned(), metric, below: text[at..].starts_with('<'), bound })
    }
}

impl Threshold {
    /// Nothing when the run kept it, else a sentence. A run without an answer keeps no limit.
    pub fn broken_by(&self, measured: &Measured) -> Option<String> {
        let value = match self.metric {
            Metric::Latency(quantile) => measured.recorder.latency.value_at_quantile(quantile) as f64,
            Metric::RequestsPerSecond => measured.per_second(measured.recorder.requests),
            Metric::MegabytesPerSecond => measured.megabytes_per_second(),
        };
        let kept = measured.recorder.requests > 0 && if self.below { value < self.bound } else { value > self.bound };
        (!kept).then(|| match self.metric {
            Metric::Latency(_) => format!("{}: it was {}", self.text, crate::units::format_nanos(value as u64)),
            _ => format!("{}: it was {value:.1}", self.text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read() {
        let read = |text: &str| text.parse::<Threshold>();
        let p99 = read("p75<5ms").expect("well formed");
        assert_eq!((p99.metric, p99.below, p99.bound), (Metric::Latency(0.75), true, 5e6));
        assert_eq!(read("MB/s > 100").map(|limit| limit.bound), Ok(100.0));
        for bad in ["", "p99", "p101<1ms", "p99<5", "x<1ms", "requests/s>a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
