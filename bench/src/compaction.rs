//! A log that is full of outdated records, and what it costs the broker to clean it.
//!
//! The log is filled under `cleanup.policy=delete`, so that nothing is cleaned meanwhile; setting the policy to `compact`
//! starts the cleaning. It is over when the log is about as small as its newest records, which is looked up in the
//! broker's data directory: both brokers keep Kafka's files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{LoadError, Outcome};
use crate::measure::process_cpu_s;
use crate::scenario::{Class, Flags};
use crate::target::Running;
use crate::wire::{self, Producer};
use ringlog_core::record::{BatchBuilder, NewRecord};

/// Records of one batch.
const BATCH_RECORDS: i64 = 4_000;
/// Batches that wait for their acks.
const IN_FLIGHT_MAX: usize = 8;
/// The newest segment is never cleaned: small beside the whole.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Cleaning that takes longer does not end.
const CLEANED_MAX: Duration = Duration::from_secs(900);
/// How often the size of the log is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What a cleaned log may be larger than its newest records, besides the segment that is not cleaned.
const SLACK: f64 = 1.1;

/// A log that waits for its cleaning.
#[derive(Debug)]
pub struct Backlog<'a> {
    broker: &'a Running,
    topic: String,
    /// The partition's folder.
    folder: PathBuf,
    records: u64,
    versions: i64,
    bytes: u64,
}

impl<'a> Backlog<'a> {
    /// Creates the topic and fills it: so many `keys`, each in so many `versions`, one pass over all keys behind the
    /// other; `value-bytes` each.
    pub fn fill(broker: &'a Running, topic: String, class: Class, flags: &Flags) -> Result<Self, LoadError> {
        let number = |name: &str, or: i64| flags.get(name).and_then(toml::Value::as_integer).unwrap_or(or).max(1);
        let (keys, versions) = (number("keys", 100_000), number("versions", 3));
        let value = vec![b'v'; usize::try_from(number("value-bytes", 100)).unwrap_or(100)];
        let segment_bytes = SEGMENT_BYTES.to_string();
        let mut configs = vec![
            ("cleanup.policy", "delete"),
            ("segment.bytes", segment_bytes.as_str()),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("retention.ms", "-1"),
            ("file.delete.delay.ms", "0"),
        ];
        if broker.target.is_ringlog() {
            configs.push(("ringlog.durability", class.name()));
        }
        let data = broker.data_folder().ok_or_else(|| {
            LoadError::Failed("the files of a broker that was not started here are not seen".to_owned())
        })?;
        wire::create_topic(&broker.bootstrap, &topic, 1, &configs)?;
        let mut producer = Producer::connect(&broker.bootstrap, &topic, IN_FLIGHT_MAX)?;
        for _ in 0..versions {
            for first in (0..keys).step_by(BATCH_RECORDS as usize) {
                let mut builder = BatchBuilder::new();
                for key in first..keys.min(first + BATCH_RECORDS) {
                    let key = key.to_be_bytes();
                    builder.push(NewRecord { key: Some(&key), value: Some(&value), ..NewRecord::default() });
                }
                producer.send(&builder.build())?;
            }
        }
        producer.finish()?;
        let folder = data.join(format!("{topic}-0"));
        let mut backlog = Self { broker, topic, folder, records: (keys * versions) as u64, versions, bytes: 0 };
        // What is deferred gets into its files before it is counted.
        rustix::fs::sync();
        backlog.bytes = backlog.log_bytes();
        Ok(backlog)
    }

    /// From now on the broker cleans.
    pub fn start_cleaning(&self) -> Result<(), LoadError> {
        Ok(wire::alter_topic(&self.broker.bootstrap, &self.topic, "cleanup.policy", "compact")?)
    }

    /// Whether only the newest records are left.
    pub fn is_cleaned(&self) -> bool {
        let newest = self.bytes as f64 / self.versions as f64;
        self.log_bytes() as f64 <= newest * SLACK + SEGMENT_BYTES as f64
    }

    /// Cleans it and waits for the end: broker CPU and time per byte that was there before.
    pub fn clean(&self) -> Result<Outcome, LoadError> {
        let gone = || LoadError::Failed("the broker is gone".to_owned());
        let pid = self.broker.pid().ok_or_else(gone)?;
        let (began, cpu_before) = (Instant::now(), process_cpu_s(pid).ok_or_else(gone)?);
        self.start_cleaning()?;
        while !self.is_cleaned() {
            if began.elapsed() > CLEANED_MAX {
                let left = self.log_bytes();
                return Err(LoadError::Failed(format!(
                    "{left} of {} bytes are left after {CLEANED_MAX:?}",
                    self.bytes
                )));
            }
            thread::sleep(LOOK);
        }
        let elapsed_s = began.elapsed().as_secs_f64();
        let cpu_s = process_cpu_s(pid).ok_or_else(gone)? - cpu_before;
        let values: BTreeMap<String, f64> = [
            ("broker_s_per_gb", cpu_s / (self.bytes as f64 / 1e9)),
            ("mb_per_s", self.bytes as f64 / 1e6 / elapsed_s),
            ("cleaning_s", elapsed_s),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        Ok(Outcome {
            command: format!("(by ringlog-bench) {} records, {} bytes", self.records, self.bytes),
            requests: self.records,
            raw: serde_json::to_string_pretty(&values)?,
            values,
            latency: None,
            over_time: Vec::new(),
        })
    }

    /// Deletes the topic.
    pub fn forget(&self) {
        // One that stays costs room, not truth.
        let _ = wire::delete_topic(&self.broker.bootstrap, &self.topic);
    }

    /// Bytes of the log's segments; those that wait for their deletion have another ending.
    fn log_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let logs = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"));
        logs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }
}
