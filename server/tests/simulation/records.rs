//! What the simulation's records look like: all bytes of a record follow from its id, so that any change is seen.

use ringlog_core::record::compression::open;
use ringlog_core::record::{BatchBuilder, BatchView, Batches, Codec, NewRecord, Records};

/// Names one record of one run; a retried record keeps it.
pub type RecordId = u64;

/// Largest value of a record.
const VALUE_BYTES_MAX: u64 = 550;

/// What a producer sends as one batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchSpec {
    /// The records are `first_id..first_id + count`.
    pub first_id: RecordId,
    /// At least one.
    pub count: u64,
    /// Producer id, epoch and base sequence of an idempotent producer.
    pub producer: Option<(i64, i16, i32)>,
    /// How it is compressed.
    pub codec: Codec,
    /// Of all records.
    pub timestamp_ms: i64,
}

impl BatchSpec {
    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = RecordId> + use<> {
        self.first_id..self.first_id + self.count
    }

    /// As it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut builder = BatchBuilder::new().codec(self.codec);
        if let Some((producer_id, producer_epoch, base_sequence)) = self.producer {
            builder.set_producer(producer_id, producer_epoch, base_sequence);
        }
        for id in self.ids() {
            let value = value_of(id);
            let key = id.to_be_bytes();
            builder.push(NewRecord {
                timestamp: self.timestamp_ms,
                key: Some(&key),
                value: Some(&value),
                ..NewRecord::default()
            });
        }
        builder.build()
    }
}

/// One in eight is large.
fn value_of(id: RecordId) -> Vec<u8> {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bound = if mixed >> 61 == 0 { VALUE_BYTES_MAX } else { 120 };
    let len = (mixed >> 20) % bound;
    (0..len).map(|at| (mixed >> (at % 57)) as u8).collect()
}

/// Why fetched bytes are not what was produced.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged(pub String);

/// The records of whole fetched batches: offset and id of each, every byte checked.
pub fn read_batches(bytes: &[u8]) -> Result<Vec<(i64, RecordId)>, Damaged> {
    let mut found = Vec::new();
    let mut batches = Batches::new(bytes);
    for batch in batches.by_ref() {
        read_batch(&batch, &mut found)?;
    }
    match batches.rest() {
        [] => Ok(found),
        rest => Err(Damaged(format!("{} bytes that are no whole batch", rest.len()))),
    }
}

fn read_batch(batch: &BatchView<'_>, found: &mut Vec<(i64, RecordId)>) -> Result<(), Damaged> {
    let damaged = |what: &str| Damaged(format!("batch at {}: {what}", batch.base_offset()));
    if !batch.is_crc_valid() {
        return Err(damaged("CRC"));
    }
    let payload = open(batch, 1 << 20).map_err(|error| damaged(&error.to_string()))?;
    let before = found.len();
    for record in Records::new(&payload, batch.record_count()) {
        let record = record.map_err(|error| damaged(&error.to_string()))?;
        let key = record.key.and_then(|key| key.first_chunk()).ok_or_else(|| damaged("no key"))?;
        let id = u64::from_be_bytes(*key);
        if record.value != Some(&value_of(id)[..]) {
            return Err(damaged("value"));
        }
        found.push((batch.base_offset() + i64::from(record.offset_delta), id));
    }
    if found.len() - before == batch.record_count() as usize { Ok(()) } else { Err(damaged("count")) }
}
