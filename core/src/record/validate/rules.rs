//! The rules that a topic's configuration and the version of the Produce request make.

use super::super::recompress::Recompression;

/// How far a compressed batch is checked. Uncompressed ones always are, to the last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValidationLevel {
    /// Header and CRC.
    #[default]
    Header,
    /// Decompress and check each record, as Kafka does.
    Full,
}

/// Whether records may have no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeylessRule {
    /// They may.
    #[default]
    Accept,
    /// They may not: the topic is compacted.
    Reject,
}

/// What `message.timestamp.type` and its bounds say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampRule {
    /// The producer's timestamps are kept if they lie within these distances of now.
    CreateTime {
        /// `message.timestamp.before.max.ms`.
        before_max_ms: i64,
        /// `message.timestamp.after.max.ms`.
        after_max_ms: i64,
    },
    /// The broker's clock replaces them.
    LogAppendTime,
}

impl TimestampRule {
    /// Kafka's defaults: any past, one hour of future.
    pub const DEFAULT: Self = Self::CreateTime { before_max_ms: i64::MAX, after_max_ms: 3_600_000 };

    /// The timestamps it accepts at `now_ms`, both inclusive.
    pub(super) fn bounds(self, now_ms: i64) -> (i64, i64) {
        match self {
            Self::CreateTime { before_max_ms, after_max_ms } => {
                (now_ms.saturating_sub(before_max_ms), now_ms.saturating_add(after_max_ms))
            }
            Self::LogAppendTime => (i64::MIN, i64::MAX),
        }
    }
}

/// The rules for one batch: of its topic, and of the version of the Produce request it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`: of the whole batch as received.
    pub batch_bytes_max: usize,
    /// `segment.bytes`.
    pub segment_bytes_max: usize,
    /// What a compressed batch may grow to when it is opened.
    pub decompressed_bytes_max: usize,
    /// How far compressed batches are checked.
    pub level: ValidationLevel,
    /// Whether every record needs a key.
    pub keyless: KeylessRule,
    /// The timestamp rule.
    pub timestamps: TimestampRule,
    /// Zstandard is known from Produce version 7 on.
    pub zstd: bool,
    /// `compression.type`: the codec of stored batches, where it is not the producer's. It is for who stores them.
    pub recompression: Option<Recompression>,
}

impl ProduceRules {
    pub(super) fn opens_compressed(&self) -> bool {
        self.level == ValidationLevel::Full || self.keyless == KeylessRule::Reject
    }
}

impl Default for ProduceRules {
    fn default() -> Self {
        Self {
            batch_bytes_max: 1_048_588,
            segment_bytes_max: 1 << 30,
            decompressed_bytes_max: 128 << 20,
            level: ValidationLevel::default(),
            keyless: KeylessRule::default(),
            timestamps: TimestampRule::DEFAULT,
            zstd: true,
            recompression: None,
        }
    }
}
