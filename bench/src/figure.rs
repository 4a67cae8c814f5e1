//! The figures that a run gives and a table can show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values of one run by key of [`FIGURES`].
pub type Values = BTreeMap<String, f64>;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Costs and waits.
    Lower,
    /// Work done.
    Higher,
}

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Names it in scenarios and results.
    pub key: &'static str,
    /// Names it in tables.
    pub label: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
}

const fn lower(key: &'static str, label: &'static str, unit: &'static str) -> Figure {
    Figure { key, label, unit, better: Better::Lower }
}

const fn higher(key: &'static str, label: &'static str, unit: &'static str) -> Figure {
    Figure { key, label, unit, better: Better::Higher }
}

/// All of them.
pub const FIGURES: &[Figure] = &[
    lower("broker_s_per_gb", "broker CPU", "s/GB"),
    lower("broker_us_per_request", "broker CPU", "us/request"),
    lower("kernel_s_per_gb", "kernel writers' CPU", "s/GB"),
    lower("kernel_us_per_request", "kernel writers' CPU", "us/request"),
    lower("all_in_s_per_gb", "broker + kernel writers' CPU", "s/GB"),
    lower("all_in_us_per_request", "broker + kernel writers' CPU", "us/request"),
    lower("writeback_s_per_gb", "CPU to write back what was left dirty", "s/GB"),
    higher("mb_per_s", "throughput", "MB/s"),
    higher("requests_per_s", "throughput", "requests/s"),
    lower("cleaning_s", "time to clean", "s"),
    lower("p50_us", "latency p50", "us"),
    lower("p90_us", "latency p90", "us"),
    lower("p99_us", "latency p99", "us"),
    lower("p999_us", "latency p99.9", "us"),
    lower("max_us", "latency max", "us"),
    lower("control_p50_us", "control echo p50", "us"),
    lower("control_p99_us", "control echo p99", "us"),
    lower("lateness_p99_us", "sender late p99", "us"),
    lower("broker_user_s", "broker CPU, user", "s"),
    lower("broker_system_s", "broker CPU, system", "s"),
    lower("broker_percent", "broker CPU", "% of a core"),
    lower("loadgen_percent", "load generator's CPU", "% of its core"),
    lower("rss_mib", "broker RSS", "MiB"),
    lower("pss_mib", "broker PSS", "MiB"),
    lower("bytes_per_idle_connection", "growth of RSS", "bytes/idle connection"),
    lower("written_per_byte", "bytes written by the broker", "per byte of batches"),
    lower("switches_per_request", "context switches", "per request"),
    lower("idle_brokers_percent", "CPU of the idle brokers", "% of a core"),
    lower("steal_percent", "steal", "% of the machine"),
    lower("foreign_percent", "CPU of foreign processes", "% of the machine"),
    higher("mem_free_mib", "free memory before the run", "MiB"),
];

/// The figure of this key.
pub fn find(key: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.key == key)
}

impl Figure {
    /// How much of what is physically possible a value is, in percent. A cost of nothing is one that was too small for
    /// its clock.
    pub fn percent_of_limit(&self, value: f64, limit: f64) -> Option<f64> {
        let percent = match self.better {
            Better::Lower => 100.0 * limit / value,
            Better::Higher => 100.0 * value / limit,
        };
        percent.is_finite().then_some(percent)
    }

    /// How many times better than the base a subject with this ratio to it is.
    pub fn times_better(&self, ratio: f64) -> f64 {
        match self.better {
            Better::Lower => 1.0 / ratio,
            Better::Higher => ratio,
        }
    }
}

/// Three digits, and thousands told apart.
pub fn format(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "-".to_owned(),
        _ if size >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default()).collect();
            format!("{sign}{}", groups.join(","))
        }
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_own_keys() {
        for (index, figure) in FIGURES.iter().enumerate() {
            assert!(FIGURES[..index].iter().all(|other| other.key != figure.key), "{}", figure.key);
            assert_eq!(find(figure.key), Some(figure));
        }
    }

    #[test]
    fn a_limit_is_a_hundred_percent_either_way() {
        let (cost, work) = (find("broker_s_per_gb").unwrap(), find("mb_per_s").unwrap());
        assert_eq!((cost.percent_of_limit(2.0, 1.0), work.percent_of_limit(50.0, 100.0)), (Some(50.0), Some(50.0)));
        assert_eq!(cost.percent_of_limit(0.0, 1.0), None);
        assert_eq!((cost.times_better(0.25), work.times_better(4.0)), (4.0, 4.0));
    }

    #[test]
    fn numbers_are_short() {
        let short = [1234567.8, -1234.0, 999.4, 123.4, 12.34, 1.234, 0.01234, 0.0, f64::NAN].map(format);
        assert_eq!(short, ["1,234,568", "-1,234", "999", "123", "12.3", "1.23", "0.0123", "0.00", "-"]);
    }
}
