//! The text checkpoints at the top of a log directory, and the mark of a clean stop.
//!
//! A checkpoint is `0` (its version), the number of entries, and an entry per line: `<topic> <partition> <offset>`.
//! A file of 0 bytes holds no entry; Kafka leaves such files in its first minute.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Up to where each partition's log was synced (exclusive).
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// The high watermark of each partition.
pub const REPLICATION_OFFSET_FILE: &str = "replication-offset-checkpoint";
/// Log start offsets above the first segment's base offset.
pub const LOG_START_OFFSET_FILE: &str = "log-start-offset-checkpoint";
/// How far the cleaner has come.
pub const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";
/// There after a clean stop only.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

const VERSION: &str = "0";

/// A checkpoint that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not UTF-8.
    #[error("checkpoint that is not text")]
    Text,
    /// Another version than 0.
    #[error("checkpoint of version {0:?}, expected 0")]
    Version(String),
    /// A line that is not what it should be; counted from 1.
    #[error("checkpoint with a malformed line {0}")]
    Line(usize),
    /// More or fewer lines than the file says.
    #[error("checkpoint without the number of entries that it declares")]
    Count,
}

/// The entries of a checkpoint file, as lines.
pub(super) struct Lines<'a> {
    lines: std::str::Lines<'a>,
    left: usize,
    number: usize,
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CheckpointError::Text)?;
        let mut lines = text.lines();
        let left = match lines.next() {
            None => 0,
            Some(VERSION) => {
                let count = lines.next().ok_or(CheckpointError::Count)?;
                count.trim().parse().map_err(|_| CheckpointError::Line(2))?
            }
            Some(version) => return Err(CheckpointError::Version(version.chars().take(20).collect())),
        };
        Ok(Self { lines, left, number: 2 })
    }

    /// The next entry; at the end, checks that there were as many as declared.
    pub(super) fn next(&mut self) -> Result<Option<Line<'a>>, CheckpointError> {
        self.number += 1;
        match (self.lines.next(), self.left) {
            (None, 0) => Ok(None),
            (Some(text), 1..) => {
                self.left -= 1;
                Ok(Some(Line { text, number: self.number }))
            }
            _ => Err(CheckpointError::Count),
        }
    }
}

impl<'a> Line<'a> {
    pub(super) fn error(self) -> CheckpointError {
        CheckpointError::Line(self.number)
    }

    pub(super) fn fields<const N: usize>(self) -> Result<[&'a str; N], CheckpointError> {
        let mut fields = self.text.split_ascii_whitespace();
        let mut taken = [""; N];
        for field in &mut taken {
            *field = fields.next().ok_or(self.error())?;
        }
        if fields.next().is_some() { Err(self.error()) } else { Ok(taken) }
    }

    pub(super) fn number<T: std::str::FromStr>(self, field: &str) -> Result<T, CheckpointError> {
        field.parse().map_err(|_| self.error())
    }
}

/// The text of a checkpoint file with these lines.
pub(super) fn write_lines(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// An offset per (topic name, partition index).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetCheckpoint(pub BTreeMap<(String, i32), i64>);

impl OffsetCheckpoint {
    /// The offset of a partition.
    pub fn offset(&self, topic_name: &str, partition_index: i32) -> Option<i64> {
        self.0.get(&(topic_name.to_owned(), partition_index)).copied()
    }

    /// The text of the file, sorted by topic and partition.
    pub fn encode(&self) -> String {
        let mut text = format!("{VERSION}\n{}\n", self.0.len());
        for ((topic_name, partition_index), offset) in &self.0 {
            writeln!(text, "{topic_name} {partition_index} {offset}").expect("a string takes it");
        }
        text
    }

    /// Reads the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut lines = Lines::new(bytes)?;
        let mut offsets = BTreeMap::new();
        while let Some(line) = lines.next()? {
            let [topic_name, partition_index, offset] = line.fields()?;
            let partition_index = line.number(partition_index)?;
            let offset = line.number(offset)?;
            if partition_index < 0
                || offset < 0
                || offsets.insert((topic_name.to_owned(), partition_index), offset).is_some()
            {
                return Err(line.error());
            }
        }
        Ok(Self(offsets))
    }
}

/// The content of [`CLEAN_SHUTDOWN_FILE`], without a newline as Kafka writes it.
pub fn encode_clean_shutdown(broker_epoch: i64) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

/// The broker epoch in [`CLEAN_SHUTDOWN_FILE`]. The stop was clean even when it holds none: what counts is that it is there.
pub fn decode_clean_shutdown(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("\"brokerEpoch\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find([',', '}', ' ', '\n', '\r', '\t'])?;
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_files_are_kafkas() {
        let text = "0\n2\n__consumer_offsets 49 3\nhello 0 1234567890123\n";
        let checkpoint = OffsetCheckpoint::decode(text.as_bytes()).unwrap();
        assert_eq!(checkpoint.offset("hello", 0), Some(1_234_567_890_123));
        assert_eq!(checkpoint.offset("hello", 1), None);
        assert_eq!(checkpoint.encode(), text);
        assert_eq!(OffsetCheckpoint::default().encode(), "0\n0\n");
        assert_eq!(OffsetCheckpoint::decode(b"").unwrap(), OffsetCheckpoint::default());
        assert_eq!(encode_clean_shutdown(16), r#"{"version":0,"brokerEpoch":16}"#);
    }

    #[test]
    fn damaged_files_are_refused() {
        let bad = [
            "1\n0\n",
            "0\n",
            "0\nx\n",
            "0\n1\n",
            "0\n0\na 0 0\n",
            "0\n1\na 0\n",
            "0\n1\na 0 0 0\n",
            "0\n1\na -1 0\n",
            "0\n1\na 0 -1\n",
            "0\n2\na 0 1\na 0 2\n",
            "0\n-1\n",
        ];
        for text in bad {
            assert!(OffsetCheckpoint::decode(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(OffsetCheckpoint::decode(&[0xff]), Err(CheckpointError::Text));
        let good = b"0\n1\nhello 0 123\n";
        for len in 1..good.len() - 4 {
            assert!(OffsetCheckpoint::decode(&good[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn the_broker_epoch_of_a_clean_stop() {
        for (text, epoch) in [
            (r#"{"version":0,"brokerEpoch":16}"#, Some(16)),
            ("{ \"brokerEpoch\" : -1 ,\n \"version\" : 0 }", Some(-1)),
            ("", None),
            (r#"{"version":0}"#, None),
            (r#"{"brokerEpoch":"#, None),
        ] {
            assert_eq!(decode_clean_shutdown(text.as_bytes()), epoch, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn goes_round(entries in proptest::collection::btree_map(("[a-zA-Z0-9._-]{1,20}", 0..9i32), 0..i64::MAX, 0..20)) {
            let checkpoint = OffsetCheckpoint(entries);
            prop_assert_eq!(OffsetCheckpoint::decode(checkpoint.encode().as_bytes()).unwrap(), checkpoint);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = OffsetCheckpoint::decode(&bytes);
            let _ = decode_clean_shutdown(&bytes);
        }
    }
}
