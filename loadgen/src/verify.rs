//! What was read back, compared with what was acknowledged: lost, duplicated, reordered, damaged.
//!
//! Invariant: it keeps a few numbers per partition and producer, however much is read.

use std::collections::HashMap;

use ringlog_core::record::compression::open;
use ringlog_core::record::{BatchView, RecordView, Records};

use crate::acknowledged::{Batch, PartitionAcks};
use crate::coverage::{Coverage, Inserted};
use crate::findings::Findings;
use crate::workload::stamp::{STAMP_BYTES, Stamp, is_sealed};

/// Bytes of one batch after decompression at most.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// The check of one partition, from an offset on.
#[derive(Debug)]
pub struct ReadBack {
    partition: i32,
    run: u32,
    acks: PartitionAcks,
    next_offset: i64,
    fingerprint: u64,
    /// Acknowledged offsets that were read.
    found: i64,
    producers: HashMap<u32, Seen>,
    /// Records of this run and of others.
    pub records: u64,
}

/// The batches of one producer.
#[derive(Debug, Default)]
struct Seen {
    numbers: Coverage,
    highest: Option<u64>,
}

impl ReadBack {
    /// Of `partition` from `start_offset` on, where `acks` were given in this run.
    pub fn new(partition: i32, run: u32, acks: PartitionAcks, start_offset: i64) -> Self {
        Self {
            partition,
            run,
            acks,
            next_offset: start_offset,
            fingerprint: 0,
            found: 0,
            producers: HashMap::new(),
            records: 0,
        }
    }

    /// Where to read on.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Checks the next batch.
    pub fn batch(&mut self, batch: &BatchView<'_>, findings: &mut Findings) {
        let place = || format!("partition {} batch at {}", self.partition, batch.base_offset());
        if batch.base_offset() != self.next_offset {
            findings.problem("offset gap", || format!("{}, expected {}", place(), self.next_offset));
        }
        if !batch.is_crc_valid() {
            findings.problem("CRC", place);
        }
        let (records, damaged, stamp) = check_records(batch);
        let stamp = stamp.filter(|stamp| stamp.run == self.run);
        let covered = self.acks.coverage.overlap(batch.base_offset(), batch.next_offset());
        // Those of others may look as they like.
        if damaged > 0 && (covered > 0 || stamp.is_some()) {
            findings.problems("record damaged", damaged, place);
        }
        self.next_offset = batch.next_offset();
        self.records += records;
        self.found += covered;
        if let Some(stamp) = stamp {
            self.stamped(batch, &stamp, covered > 0, findings);
        }
    }

    fn stamped(&mut self, batch: &BatchView<'_>, stamp: &Stamp, is_acknowledged: bool, findings: &mut Findings) {
        let (base_offset, end_offset) = (batch.base_offset(), batch.next_offset());
        let Stamp { producer, sequence, .. } = *stamp;
        if is_acknowledged {
            let batch = Batch { producer, sequence, base_offset, end_offset };
            self.fingerprint = self.fingerprint.wrapping_add(batch.fingerprint());
        }
        let text = || format!("partition {}: batch {sequence} of producer {producer} at {base_offset}", self.partition);
        let seen = self.producers.entry(producer).or_default();
        if seen.numbers.insert(sequence as i64, sequence as i64 + 1) == Inserted::Overlap {
            findings.problem("duplicated", text);
        } else if seen.highest.is_some_and(|highest| sequence < highest) {
            findings.problem("reordered", text);
        }
        seen.highest = seen.highest.max(Some(sequence));
    }

    /// The end of the partition was reached.
    pub fn finish(&self, findings: &mut Findings) {
        let lost = self.acks.coverage.count() - self.found;
        if lost > 0 {
            let text = || format!("partition {}: {lost} acknowledged records are not there", self.partition);
            findings.problems("lost", lost.unsigned_abs(), text);
        } else if self.fingerprint != self.acks.fingerprint {
            let text = || format!("partition {}: other records stand where some were acknowledged", self.partition);
            findings.problem("lost", text);
        }
    }
}

/// How many records there are, how many are damaged, and what the first one says.
fn check_records(batch: &BatchView<'_>) -> (u64, u64, Option<Stamp>) {
    let mut stamp = None;
    let (mut count, mut damaged) = (0, 0);
    let mut check = |record: &RecordView<'_>| {
        let value = record.value.unwrap_or_default();
        if count == 0 {
            stamp = Stamp::read(value);
        }
        let from = if count == 0 && stamp.is_some() { STAMP_BYTES } else { 0 };
        damaged += u64::from(!is_sealed(record.key, value, from));
        count += 1;
    };
    let expected = batch.record_count().max(0) as u64;
    let is_readable = open(batch, DECOMPRESSED_MAX).map_err(drop).and_then(|payload| {
        let mut records = Records::new(&payload, batch.record_count());
        records.try_for_each(|record| record.map(|record| check(&record)).map_err(drop))
    });
    if is_readable.is_err() {
        damaged += expected.saturating_sub(count);
    }
    (count, damaged, stamp)
}
