//! The result of a run as data: what `--json` writes and the benchmark harness reads.
//!
//! Invariant: within a schema version fields are added, never renamed, removed or given another meaning; a reader takes
//! what it does not find for its default.

mod csv;
mod hdr;
mod kafka_style;
mod table;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::findings::Failure;
use crate::measured::Measured;
use crate::recorder::Recorder;

pub use csv::write_csv;
pub use hdr::write_hdr;
pub use kafka_style::{KafkaStyle, KafkaTool};

/// Version of the fields.
pub const SCHEMA_VERSION: u32 = 2;
/// Below so many samples p99.99 is chance.
const RARE_SAMPLES_MIN: u64 = 20_000;

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was asked for.
    pub settings: Settings,
    /// The start of the window by the wall clock, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// The measured window as planned, in seconds: CPU time is of it.
    pub window_s: f64,
    /// The window, or until the last answer if that was later: rates are of it.
    pub elapsed_s: f64,
    /// Requests answered.
    pub requests: u64,
    /// Requests that failed: refused, or lost with their connection.
    pub failed: u64,
    /// Records in the answered requests.
    pub records: u64,
    /// Bytes of record batches in the answered requests.
    pub bytes: u64,
    /// Answered.
    pub requests_per_second: f64,
    /// In answered requests.
    pub records_per_second: f64,
    /// Millions of bytes of record batches.
    pub megabytes_per_second: f64,
    /// From the planned instant of a request to its answer (end to end: to the arrival at the reader).
    pub latency_ns: Latency,
    /// From the actual send to the answer: what a closed loop or an uncorrected clock sees.
    pub service_ns: Latency,
    /// From the planned instant to the actual send: how late the load generator was.
    pub lateness_ns: Latency,
    /// Values beyond a minute, counted as a minute.
    pub clipped: u64,
    /// The control echo of the same run.
    pub control: Option<Control>,
    /// What was read back after the run and compared.
    pub read_back: Option<ReadBack>,
    /// CPU time in the window.
    pub cpu: Cpu,
    /// Whether nothing that was answered contradicts what it should be.
    pub verified: bool,
    /// Failures by code or kind.
    pub errors: BTreeMap<String, u64>,
    /// Requests that were sent again, by code or kind.
    pub retries: BTreeMap<String, u64>,
    /// Contradictions by kind.
    pub problems: BTreeMap<String, u64>,
    /// The first few of both in full.
    pub examples: Vec<String>,
    /// The run over time.
    pub intervals: Vec<Interval>,
    /// One report for each kind of load of a mixed run; their sum is the report that they are in.
    pub parts: Vec<Report>,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The whole command line.
    pub command: Vec<String>,
    /// The kind of load, such as `produce`.
    pub workload: String,
    /// `open`: requests leave by a plan; `closed`: when an earlier one was answered.
    #[serde(rename = "loop")]
    pub loop_kind: String,
    /// Requests per second of an open loop.
    pub rate: Option<f64>,
    /// Connections.
    pub connections: usize,
    /// Requests without an answer per connection at most.
    pub inflight: usize,
    /// Worker threads.
    pub threads: usize,
}

/// A distribution of nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// How many.
    pub samples: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// The half.
    pub p50: Option<u64>,
    /// 90 %.
    pub p90: Option<u64>,
    /// 99 %.
    pub p99: Option<u64>,
    /// 99.9 %.
    #[serde(rename = "p99.9")]
    pub p99_9: Option<u64>,
    /// 99.99 %, where there are samples enough.
    #[serde(rename = "p99.99")]
    pub p99_99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
    /// All of it: HdrHistogram V2, deflated, in base64. Empty in an interval.
    pub histogram: String,
}

/// One interval of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interval {
    /// Since the start of the window.
    pub start_s: f64,
    /// Its length.
    pub length_s: f64,
    /// Requests answered.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Records.
    pub records: u64,
    /// Bytes of record batches.
    pub bytes: u64,
    /// From the plan, without its histogram.
    pub latency_ns: Latency,
}

/// The control echo: requests of the same size to a target that does nothing, over the same kind of connection in the
/// same run. What it took is the machine's share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// Requests answered.
    pub requests: u64,
    /// From the plan.
    pub latency_ns: Latency,
    /// From the send.
    pub service_ns: Latency,
}

/// What was read back after the run; what was wrong with it is among the problems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadBack {
    /// Records.
    pub records: u64,
    /// Bytes of record batches.
    pub bytes: u64,
    /// How long it took.
    pub elapsed_s: f64,
}

/// CPU time in the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// The broker, if its process is known and lived through.
    pub broker: Option<CpuTime>,
    /// Kernel threads that write, for whomever.
    pub kernel_writers: CpuTime,
    /// The load generator.
    pub loadgen: CpuTime,
    /// Share of its threads' time that the load generator used.
    pub loadgen_utilisation: f64,
    /// The share that was left: with little of it, the load generator was measured and not the broker.
    pub head_room: f64,
}

/// CPU time of one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuTime {
    /// In user mode.
    pub user_s: f64,
    /// In the kernel.
    pub system_s: f64,
    /// Both, per 10^9 bytes of record batches.
    pub s_per_gb: Option<f64>,
    /// Both, per answered request.
    pub us_per_request: Option<f64>,
}

impl Report {
    /// Of a run that was asked for with `settings`.
    pub fn new(measured: &Measured, settings: Settings) -> Self {
        let Measured { recorder, findings, usage, .. } = measured;
        let cpu_time = |user_s: f64, system_s: f64| {
            let per = |scale: f64, count: u64| (count > 0).then(|| (user_s + system_s) * scale / count as f64);
            CpuTime {
                user_s,
                system_s,
                s_per_gb: per(1e9, recorder.volume.bytes),
                us_per_request: per(1e6, recorder.requests),
            }
        };
        let utilisation = measured.own_utilisation();
        Self {
            schema_version: SCHEMA_VERSION,
            settings,
            window_start_ms: measured.window_start_ms,
            window_s: measured.window.as_secs_f64(),
            elapsed_s: measured.elapsed.as_secs_f64(),
            requests: recorder.requests,
            failed: recorder.failed,
            records: recorder.volume.records,
            bytes: recorder.volume.bytes,
            requests_per_second: measured.per_second(recorder.requests),
            records_per_second: measured.per_second(recorder.volume.records),
            megabytes_per_second: measured.megabytes_per_second(),
            latency_ns: Latency::with_histogram(&recorder.latency),
            service_ns: Latency::with_histogram(&recorder.service),
            lateness_ns: Latency::with_histogram(&recorder.lateness),
            clipped: recorder.clipped,
            control: measured.control.as_ref().map(Control::new),
            read_back: measured.read_back.map(|read| ReadBack {
                records: read.records,
                bytes: read.bytes,
                elapsed_s: read.elapsed.as_secs_f64(),
            }),
            cpu: Cpu {
                broker: usage.broker.map(|broker| cpu_time(broker.user, broker.system)),
                kernel_writers: cpu_time(0.0, usage.kernel_writers),
                loadgen: cpu_time(usage.own.user, usage.own.system),
                loadgen_utilisation: utilisation,
                head_room: (1.0 - utilisation).max(0.0),
            },
            verified: findings.is_verified(),
            errors: by_name(&findings.errors),
            retries: by_name(&findings.retries),
            problems: findings.problems.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            examples: findings.examples.clone(),
            intervals: intervals(recorder),
            parts: Vec::new(),
        }
    }
}

fn by_name(failures: &BTreeMap<Failure, u64>) -> BTreeMap<String, u64> {
    failures.iter().map(|(failure, count)| (failure.to_string(), *count)).collect()
}

fn intervals(recorder: &Recorder) -> Vec<Interval> {
    let length_s = recorder.series.interval_length().as_secs_f64();
    let interval = |(start, interval): (std::time::Duration, crate::series::Interval)| Interval {
        start_s: start.as_secs_f64(),
        length_s,
        requests: interval.counts.requests,
        failed: interval.counts.failed,
        records: interval.counts.volume.records,
        bytes: interval.counts.volume.bytes,
        latency_ns: Latency::new(&interval.latency()),
    };
    recorder.series.intervals().into_iter().map(interval).collect()
}

impl Control {
    fn new(recorder: &Recorder) -> Self {
        Self {
            requests: recorder.requests,
            latency_ns: Latency::with_histogram(&recorder.latency),
            service_ns: Latency::with_histogram(&recorder.service),
        }
    }
}

impl Latency {
    /// The figures alone.
    pub fn new(histogram: &Histogram<u64>) -> Self {
        let samples = histogram.len();
        let at = |quantile| (samples > 0).then(|| histogram.value_at_quantile(quantile));
        Self {
            samples,
            mean: (samples > 0).then(|| histogram.mean()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999).filter(|_| samples >= RARE_SAMPLES_MIN),
            max: at(1.0),
            histogram: String::new(),
        }
    }

    fn with_histogram(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a vector takes what a histogram holds");
        Self { histogram: STANDARD.encode(bytes), ..Self::new(histogram) }
    }

    /// The whole distribution, to be merged or drawn; nothing if it is not there or not readable.
    pub fn decode(&self) -> Option<Histogram<u64>> {
        let bytes = STANDARD.decode(&self.histogram).ok()?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recorder::{Timing, Volume};
    use crate::series::Cut;

    pub(super) fn measured() -> Measured {
        let mut recorder = Recorder::new(Cut { start: Duration::from_secs(1), length: Duration::from_secs(1) });
        for index in 0..30_u64 {
            let planned = Duration::from_millis(1_000 + index * 100);
            let answered = planned + Duration::from_micros(100 + index);
            recorder.record(Timing { planned, sent: planned, answered }, Volume { records: 10, bytes: 1_000 });
        }
        Measured {
            recorder: recorder.settled(),
            control: None,
            read_back: None,
            findings: crate::findings::Findings::default(),
            window_start_ms: 0,
            elapsed: Duration::from_secs(3),
            window: Duration::from_secs(3),
            usage: crate::cpu::Usage::default(),
            threads: 1,
        }
    }

    #[test]
    fn a_report_survives_json_and_its_histogram_too() {
        let report = Report::new(&measured(), Settings { workload: "produce".to_owned(), ..Settings::default() });
        let json = serde_json::to_string(&report).expect("plain data");
        let back: Report = serde_json::from_str(&json).expect("what was written");
        assert_eq!(back, report);
        assert_eq!((back.requests, back.records, back.intervals.len()), (30, 300, 3));
        let histogram = back.latency_ns.decode().expect("it was encoded");
        assert_eq!((histogram.len(), Some(histogram.max())), (30, back.latency_ns.max));
        assert_eq!(back.latency_ns.p99_99, None);
    }

    /// What a reader of another version relies on.
    #[test]
    fn names_of_the_fields_stay() {
        let json = serde_json::to_value(Report::new(&measured(), Settings::default())).expect("plain data");
        for path in [
            "/schema_version",
            "/settings/command",
            "/settings/loop",
            "/window_s",
            "/elapsed_s",
            "/requests",
            "/bytes",
            "/requests_per_second",
            "/megabytes_per_second",
            "/latency_ns/p50",
            "/latency_ns/p99.9",
            "/service_ns/p99.99",
            "/lateness_ns/max",
            "/cpu/broker",
            "/cpu/loadgen/us_per_request",
            "/cpu/kernel_writers/s_per_gb",
            "/cpu/loadgen_utilisation",
            "/cpu/head_room",
            "/verified",
            "/errors",
            "/retries",
            "/problems",
            "/examples",
            "/intervals/0/start_s",
            "/intervals/0/latency_ns/p99",
            "/control",
            "/parts",
        ] {
            assert!(json.pointer(path).is_some(), "{path}");
        }
        let older: Report =
            serde_json::from_str(r#"{"requests": 7, "unknown": 1}"#).expect("missing fields are default");
        assert_eq!(older.requests, 7);
    }
}
