//! Metadata records on their way: decided by the controller, written to the log, replayed by every shard. They travel
//! encoded, as the log holds them, so that one shard's memory is all that a batch of them needs.

use ringlog_core::protocol::metadata::MetadataRecord;
#[cfg(test)]
use ringlog_core::wire::DecodeError;
use ringlog_core::wire::Writer;

/// The level of `metadata.version` that a new cluster is formatted at: 4.3-IV0.
pub const METADATA_VERSION: i16 = 30;

/// The kinds of thing that a config record belongs to.
pub mod resource_type {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker, or all of them with an empty name.
    pub const BROKER: i8 = 4;
    /// A group.
    pub const GROUP: i8 = 32;
}

/// Encoded records, in order. They become one batch of the log, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    metadata_version: i16,
    values: Vec<Box<[u8]>>,
}

impl Default for Records {
    fn default() -> Self {
        Self::new(METADATA_VERSION)
    }
}

impl Records {
    /// None yet. They will be in the versions that Kafka writes at this level of `metadata.version`.
    pub fn new(metadata_version: i16) -> Self {
        Self { metadata_version, values: Vec::new() }
    }

    /// The level that they are written at.
    pub fn metadata_version(&self) -> i16 {
        self.metadata_version
    }

    /// Appends one.
    pub fn push<'a>(&mut self, record: impl Into<MetadataRecord<'a>>) {
        let record = record.into();
        self.values.push(encode(&record, record.version_at(self.metadata_version)));
    }

    /// Takes a value over from a log.
    #[cfg(test)]
    pub fn push_value(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        MetadataRecord::decode(value)?;
        self.values.push(value.into());
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values, as the log holds them.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(|value| &**value)
    }

    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        self.values().map(|value| MetadataRecord::decode(value).expect("was encoded or checked here"))
    }

    /// The same in batches of at most `len`.
    pub fn into_batches(self, len: usize) -> Vec<Self> {
        let Self { metadata_version, mut values } = self;
        let mut batches = Vec::new();
        while !values.is_empty() {
            let rest = values.split_off(values.len().min(len));
            batches.push(Self { metadata_version, values: std::mem::replace(&mut values, rest) });
        }
        batches
    }
}

impl<'a, R: Into<MetadataRecord<'a>>> Extend<R> for Records {
    fn extend<I: IntoIterator<Item = R>>(&mut self, records: I) {
        records.into_iter().for_each(|record| self.push(record));
    }
}

/// The value of a record in a version that it has.
pub(super) fn encode(record: &MetadataRecord<'_>, version: i16) -> Box<[u8]> {
    let mut writer = Writer::new();
    record.encode(&mut writer, version);
    writer.finish().expect("names and texts were checked before").bytes.into()
}

#[cfg(test)]
mod tests {
    use ringlog_core::record::Batches;

    use super::*;

    /// Written by Apache Kafka 4.3.1: a first start, some topics created and deleted, a clean stop.
    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    fn golden_values() -> Vec<Vec<u8>> {
        let data = Batches::new(GOLDEN).filter(|batch| !batch.is_control());
        data.flat_map(|batch| batch.records().map(|r| r.unwrap().value.unwrap().to_vec()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_record_of_a_real_log_comes_back_byte_for_byte() {
        let values = golden_values();
        for value in &values {
            let mut records = Records::default();
            records.push(MetadataRecord::decode(value).unwrap());
            assert_eq!(records.values().next().unwrap(), value, "{:?}", records.iter().next());
        }
        assert_eq!(values.len(), 297);
    }

    #[test]
    fn damaged_records_are_errors() {
        for value in golden_values() {
            for len in 0..value.len() {
                assert!(Records::default().push_value(&value[..len]).is_err());
                let mut damaged = value.clone();
                damaged[len] = 0xff;
                let _ = Records::default().push_value(&damaged);
            }
        }
        assert!(Records::default().push_value(&[1, 3, 9]).is_err(), "a newer version may mean something else");
    }

    #[test]
    fn batches_hold_all_in_order() {
        let mut records = Records::default();
        golden_values().iter().take(7).for_each(|value| records.push_value(value).unwrap());
        let batches = records.clone().into_batches(3);
        assert_eq!(batches.iter().map(Records::len).collect::<Vec<_>>(), [3, 3, 1]);
        assert!(batches.iter().flat_map(Records::values).eq(records.values()));
    }
}
