//! What a run of a scenario leaves: `summary.json`, from which tables and the report are made again at any time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::environment::Group;
use crate::figure::Values;
use crate::limits::Limits;
use crate::load::Instant;
use crate::measure::{Point, ThreadShare};
use crate::scenario::{Class, Scenario};

/// Of `summary.json`; another one is refused.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was run, settings of the command line included.
    pub scenario: Scenario,
    /// When it began, in UTC.
    pub started: String,
    /// How long it took.
    pub took_s: f64,
    /// The kind of machine.
    pub host: String,
    /// The command line of the harness.
    pub command: String,
    /// Cores of each broker.
    pub broker_cores: String,
    /// Cores of the load generator.
    pub loadgen_cores: String,
    /// The machine.
    pub environment: Vec<Group>,
    /// What the machine can do.
    pub limits: Limits,
    /// The brokers.
    pub lives: Vec<Life>,
    /// Targets without a figure, and why.
    pub missing: BTreeMap<String, String>,
    /// Latencies of the runs that count, merged.
    pub curves: Vec<Curve>,
    /// Every run, also those that do not count.
    pub runs: Vec<Run>,
}

/// One broker from its start on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Life {
    /// Its name.
    pub target: String,
    /// The class of this process; nothing where the target has only one process.
    pub class: Option<Class>,
    /// As shown.
    pub title: String,
    /// How it was started.
    pub command: String,
    /// Its settings.
    pub config: String,
    /// From the start of the process to its first answer, formatted directory for Kafka, empty one for Ringlog.
    pub ready_ms: Option<f64>,
    /// Resident memory after the start.
    pub idle_rss_mib: Option<f64>,
    /// CPU with nothing to do, in percent of one core.
    pub idle_cpu_percent: Option<f64>,
    /// Resident memory at the end.
    pub loaded_rss_mib: Option<f64>,
    /// The same with shared pages shared out.
    pub loaded_pss_mib: Option<f64>,
    /// From the start to the first answer, killed (SIGKILL) behind the load. Absent in results before there was such a figure.
    #[serde(default)]
    pub ready_after_kill_ms: Option<f64>,
    /// The same, stopped cleanly.
    #[serde(default)]
    pub ready_after_stop_ms: Option<f64>,
    /// Bytes of files in its data directory at these starts.
    #[serde(default)]
    pub data_mib: Option<f64>,
    /// What of the page cache these files held behind the load. Absent where it was not measured.
    #[serde(default)]
    pub page_cache_mib: Option<f64>,
    /// Its warm-up, piece by piece.
    pub warmup: Vec<Warmup>,
    /// As a whole. Absent where there was none, and in results from before it lasted until the broker was stable.
    #[serde(default)]
    pub warm_up: Option<WarmUp>,
}

/// A broker's warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// How long it took.
    pub took_s: f64,
    /// Whether the last passes were alike.
    pub is_stable: bool,
    /// How far they lay from one another.
    pub spread_percent: Option<f64>,
}

impl WarmUp {
    /// In words.
    pub fn told(&self) -> String {
        let stable = if self.is_stable { "stable" } else { "not stable" };
        let spread = self.spread_percent.map_or_else(String::new, |percent| format!(" ({percent:.0} %)"));
        format!("{stable}{spread} after {:.0} s", self.took_s)
    }
}

/// One piece of a broker's warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warmup {
    /// Seconds since the first one began, at its end.
    pub at_s: f64,
    /// What was run.
    pub cell: String,
    /// The broker's CPU per request, in microseconds; nothing for an address.
    pub us_per_request: Option<f64>,
    /// Its throughput. Absent in results before there was such a figure.
    #[serde(default)]
    pub requests_per_s: Option<f64>,
}

/// How long requests took, over all rounds: histograms are merged, percentiles never averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The cell's name.
    pub cell: String,
    /// The class.
    pub class: Class,
    /// The target's name.
    pub target: String,
    /// Requests in it.
    pub samples: u64,
    /// Share of the requests, and the microseconds that they took at most; ascending.
    pub points: Vec<(f64, f64)>,
}

/// One run of the load generator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The cell's name.
    pub cell: String,
    /// The class.
    pub class: Class,
    /// The target's name.
    pub target: String,
    /// From 0.
    pub round: u32,
    /// From 0; above when something disturbed the ones before.
    pub attempt: u32,
    /// The command.
    pub command: String,
    /// Figures.
    pub values: Values,
    /// All latencies; in a result's folder they are in `raw/`.
    #[serde(skip)]
    pub latency: Option<Histogram<u64>>,
    /// The window over time.
    pub over_time: Vec<Instant>,
    /// The broker over time.
    pub points: Vec<Point>,
    /// The broker's threads.
    pub threads: Vec<ThreadShare>,
    /// What disturbed it.
    pub disturbed: Option<String>,
    /// Why it gave no figure.
    pub failed: Option<String>,
}

/// The shares that a curve shows, closer and closer to all.
const SHARES: [f64; 25] = [
    0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.994, 0.997, 0.998, 0.999,
    0.9995, 0.9998, 0.9999, 0.99995, 0.99999, 0.999_999,
];
/// A share beyond which fewer samples than this lie is chance.
const SAMPLES_BEYOND_MIN: f64 = 5.0;

impl Results {
    /// Makes the curves from the histograms that the runs still hold.
    pub fn merge_curves(&mut self) {
        let mut curves = Vec::new();
        for cell in &self.scenario.cells {
            let targets = self.targets();
            for (class, target) in cell.classes.iter().flat_map(|class| targets.iter().map(move |name| (*class, *name)))
            {
                let mut histograms = self.counted(&cell.name, class, target).filter_map(|run| run.latency.as_ref());
                let Some(mut all) = histograms.next().cloned() else { continue };
                // All come from one load generator, so their bounds are the same.
                histograms.for_each(|histogram| all.add(histogram).unwrap_or_default());
                curves.push(Curve {
                    cell: cell.name.clone(),
                    class,
                    target: target.to_owned(),
                    samples: all.len(),
                    points: points(&all),
                });
            }
        }
        self.curves = curves;
    }

    /// Reads a result's folder, or its `summary.json`.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let file = if path.is_dir() { path.join("summary.json") } else { path.to_owned() };
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let value: serde_json::Value = serde_json::from_str(&text)?;
        let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
        anyhow::ensure!(
            version == Some(SCHEMA_VERSION.into()),
            "{}: schema {version:?}, this program reads {SCHEMA_VERSION}",
            file.display()
        );
        Ok(serde_json::from_value(value)?)
    }

    /// The runs that count: per round the first that nothing disturbed, else the last.
    pub fn counted<'a>(&'a self, cell: &'a str, class: Class, target: &'a str) -> impl Iterator<Item = &'a Run> {
        let same = move |run: &&Run| run.cell == cell && run.class == class && run.target == target;
        (0..self.scenario.rounds).filter_map(move |round| {
            let mut attempts = self.runs.iter().filter(same).filter(|run| run.round == round && run.failed.is_none());
            let clean = attempts.clone().find(|run| run.disturbed.is_none());
            clean.or_else(|| attempts.next_back())
        })
    }

    /// A figure in each round that has it.
    pub fn values(&self, cell: &str, class: Class, target: &str, figure: &str) -> BTreeMap<u32, f64> {
        self.counted(cell, class, target).filter_map(|run| Some((run.round, *run.values.get(figure)?))).collect()
    }

    /// Why a target has no figure in this cell.
    pub fn reason(&self, cell: &str, class: Class, target: &str) -> Option<&str> {
        let failed = self
            .runs
            .iter()
            .rfind(|run| run.cell == cell && run.class == class && run.target == target && run.failed.is_some());
        failed.and_then(|run| run.failed.as_deref()).or_else(|| self.missing.get(target).map(String::as_str))
    }

    /// Names of the targets that lived, each once, in the order of their start.
    pub fn targets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for life in &self.lives {
            if !names.contains(&life.target.as_str()) {
                names.push(&life.target);
            }
        }
        names
    }

    /// Counted runs that something disturbed, and all counted ones.
    pub fn disturbed_count(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for cell in &self.scenario.cells {
            for class in &cell.classes {
                for target in self.targets() {
                    for run in self.counted(&cell.name, *class, target) {
                        counts.0 += usize::from(run.disturbed.is_some());
                        counts.1 += 1;
                    }
                }
            }
        }
        counts
    }
}

fn points(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let told = |share: &f64| (1.0 - share) * latency.len() as f64 >= SAMPLES_BEYOND_MIN;
    SHARES.into_iter().filter(told).map(|share| (share, latency.value_at_quantile(share) as f64 / 1e3)).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn latencies(count: u64) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=count).for_each(|micros| histogram.record(micros * 1_000).unwrap());
        histogram
    }

    #[test]
    fn curves_are_merged_and_end_where_chance_begins() {
        let mut results = sample();
        results.merge_curves();
        let ringlog = &results.curves[0];
        assert_eq!((results.curves.len(), ringlog.samples), (2, 2_000), "the disturbed attempt is left out");
        let (last, micros) = ringlog.points[ringlog.points.len() - 1];
        assert!(last == 0.997 && (995.0..1000.0).contains(&micros), "{last} {micros}");
        let median = ringlog.points.iter().find(|(share, _)| *share == 0.5).unwrap().1;
        assert!((499.0..502.0).contains(&median), "{median}");
    }

    /// Two rounds of one cell on ringlog and kafka, with a disturbed attempt.
    pub fn sample() -> Results {
        let mut scenario = Scenario::load("smoke", &[]).unwrap();
        scenario.rounds = 2;
        scenario.targets = vec!["ringlog".to_owned(), "kafka".to_owned()];
        scenario.cells.truncate(1);
        scenario.cells[0].classes = vec![Class::PageCache];
        scenario.cells[0].figures = vec!["broker_s_per_gb".to_owned(), "mb_per_s".to_owned()];
        let cell = scenario.cells[0].name.clone();
        let run = |target: &str, round, attempt, cost: f64, disturbed: Option<&str>| Run {
            cell: cell.clone(),
            class: Class::PageCache,
            target: target.to_owned(),
            round,
            attempt,
            command: format!("ringlog-loadgen produce --topic {target}"),
            values: [("broker_s_per_gb".to_owned(), cost), ("mb_per_s".to_owned(), 1_000.0 / cost)].into(),
            latency: Some(latencies(1000)),
            over_time: vec![Instant { at_s: 0.0, requests_per_s: 100.0, p50_us: Some(1.0), p99_us: None }],
            points: vec![Point { at_s: 0.25, cpu_percent: 90.0, rss_mib: 10.0 }],
            threads: vec![ThreadShare { name: "shard".to_owned(), cpu_s: 1.0 }],
            disturbed: disturbed.map(str::to_owned),
            failed: None,
        };
        let life = |target: &str, title: &str| Life {
            target: target.to_owned(),
            title: title.to_owned(),
            ready_ms: Some(10.0),
            ..Life::default()
        };
        Results {
            schema_version: SCHEMA_VERSION,
            started: "2026-01-01T00:00:00Z".to_owned(),
            took_s: 10.0,
            host: "test-2c".to_owned(),
            command: "ringlog-bench run smoke".to_owned(),
            broker_cores: "0".to_owned(),
            loadgen_cores: "1".to_owned(),
            environment: Vec::new(),
            limits: Limits { loopback_mb_per_s: 4_000.0, ..Limits::default() },
            lives: vec![life("ringlog", "Ringlog"), life("kafka", "Kafka 4.3.1")],
            missing: BTreeMap::new(),
            curves: Vec::new(),
            runs: vec![
                run("ringlog", 0, 0, 9.0, Some("foreign")),
                run("ringlog", 0, 1, 2.0, None),
                run("ringlog", 1, 0, 2.0, None),
                run("kafka", 0, 0, 8.0, None),
                run("kafka", 1, 0, 6.0, Some("steal")),
            ],
            scenario,
        }
    }

    #[test]
    fn the_first_undisturbed_attempt_counts() {
        let results = sample();
        let cell = results.scenario.cells[0].name.clone();
        let costs = |target: &str| results.values(&cell, Class::PageCache, target, "broker_s_per_gb");
        assert_eq!(costs("ringlog"), [(0, 2.0), (1, 2.0)].into());
        assert_eq!(costs("kafka"), [(0, 8.0), (1, 6.0)].into());
        assert_eq!(results.disturbed_count(), (1, 4));
        assert!(costs("nobody").is_empty());
    }

    #[test]
    fn a_result_is_read_back_and_another_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        fs::write(&file, serde_json::to_string(&sample()).unwrap()).unwrap();
        assert_eq!(Results::load(folder.path()).unwrap().runs.len(), 5);
        let mut other = serde_json::to_value(sample()).unwrap();
        other["schema_version"] = 99.into();
        fs::write(&file, other.to_string()).unwrap();
        assert!(Results::load(&file).unwrap_err().to_string().contains("schema"));
    }
}
