//! What a log knows besides its bytes: its producers' last batches, and at which offset each leader epoch began.

use ahash::AHashMap;

/// Batches remembered per producer, to answer a repeated one with the offsets it got.
const BATCHES_KEPT: usize = 5;

/// What the producer state needs of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerBatch {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub last_offset_delta: i32,
    pub base_offset: i64,
    pub timestamp: i64,
}

impl ProducerBatch {
    fn last_sequence(&self) -> i32 {
        // Sequences wrap from the largest to 0.
        ((i64::from(self.base_sequence) + i64::from(self.last_offset_delta)) % (1 << 31)) as i32
    }

    fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }
}

/// Whether a batch is the next one of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    Fresh,
    Duplicate { base_offset: i64, last_offset: i64, timestamp: i64 },
    OutOfOrder,
    StaleEpoch,
}

/// Undoes one update.
#[derive(Debug)]
pub(crate) struct ProducerUndo {
    producer_id: i64,
    before: Option<Vec<ProducerBatch>>,
}

/// The producers of one log.
#[derive(Debug, Default)]
pub(crate) struct ProducerState {
    producers: AHashMap<i64, Vec<ProducerBatch>>,
}

impl ProducerState {
    pub fn check(&self, batch: &ProducerBatch) -> SequenceCheck {
        let Some(kept) = self.producers.get(&batch.producer_id) else { return SequenceCheck::Fresh };
        let Some(last) = kept.last() else { return SequenceCheck::Fresh };
        if batch.producer_epoch < last.producer_epoch {
            return SequenceCheck::StaleEpoch;
        }
        if batch.producer_epoch > last.producer_epoch {
            return if batch.base_sequence == 0 { SequenceCheck::Fresh } else { SequenceCheck::OutOfOrder };
        }
        let same = |kept: &&ProducerBatch| {
            kept.base_sequence == batch.base_sequence && kept.last_sequence() == batch.last_sequence()
        };
        if let Some(kept) = kept.iter().find(same) {
            let (base_offset, last_offset) = (kept.base_offset, kept.last_offset());
            return SequenceCheck::Duplicate { base_offset, last_offset, timestamp: kept.timestamp };
        }
        let next = last.last_sequence().checked_add(1).unwrap_or(0);
        if batch.base_sequence == next { SequenceCheck::Fresh } else { SequenceCheck::OutOfOrder }
    }

    pub fn update(&mut self, batch: &ProducerBatch) -> ProducerUndo {
        let before = self.producers.get(&batch.producer_id).cloned();
        let kept = self.producers.entry(batch.producer_id).or_default();
        if kept.last().is_some_and(|last| last.producer_epoch != batch.producer_epoch) {
            kept.clear();
        }
        if kept.len() == BATCHES_KEPT {
            kept.remove(0);
        }
        kept.push(*batch);
        ProducerUndo { producer_id: batch.producer_id, before }
    }

    pub fn undo(&mut self, undo: ProducerUndo) {
        match undo.before {
            Some(before) => self.producers.insert(undo.producer_id, before),
            None => self.producers.remove(&undo.producer_id),
        };
    }
}

/// Version of the snapshot file's format.
const SNAPSHOT_VERSION: i16 = 1;
/// Version, CRC, number of entries.
const SNAPSHOT_HEAD_BYTES: usize = 10;
/// Where the bytes that the CRC covers begin.
const SNAPSHOT_CRC_START: usize = 6;
const SNAPSHOT_ENTRY_BYTES: usize = 46;

/// A state file that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidState(&'static str);

/// The `.snapshot` file: each producer's last batch.
impl ProducerState {
    pub fn encode(&self) -> Vec<u8> {
        let mut producers: Vec<&ProducerBatch> = self.producers.values().filter_map(|kept| kept.last()).collect();
        producers.sort_unstable_by_key(|batch| batch.producer_id);
        let mut bytes = Vec::with_capacity(SNAPSHOT_HEAD_BYTES + producers.len() * SNAPSHOT_ENTRY_BYTES);
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(producers.len() as i32).to_be_bytes());
        for batch in producers {
            bytes.extend_from_slice(&batch.producer_id.to_be_bytes());
            bytes.extend_from_slice(&batch.producer_epoch.to_be_bytes());
            bytes.extend_from_slice(&batch.last_sequence().to_be_bytes());
            bytes.extend_from_slice(&batch.last_offset().to_be_bytes());
            bytes.extend_from_slice(&batch.last_offset_delta.to_be_bytes());
            bytes.extend_from_slice(&batch.timestamp.to_be_bytes());
            // No coordinator wrote here and no transaction is open.
            bytes.extend_from_slice(&(-1_i32).to_be_bytes());
            bytes.extend_from_slice(&(-1_i64).to_be_bytes());
        }
        let crc = crate::record::crc32c(&bytes[SNAPSHOT_CRC_START..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidState> {
        let (head, entries) = bytes.split_at_checked(SNAPSHOT_HEAD_BYTES).ok_or(InvalidState("cut short"))?;
        if head[..2] != SNAPSHOT_VERSION.to_be_bytes() {
            return Err(InvalidState("unknown version"));
        }
        if head[2..6] != crate::record::crc32c(&bytes[SNAPSHOT_CRC_START..]).to_be_bytes() {
            return Err(InvalidState("wrong CRC"));
        }
        let count = i32::from_be_bytes(head[6..].try_into().expect("four bytes"));
        if usize::try_from(count).ok().and_then(|count| count.checked_mul(SNAPSHOT_ENTRY_BYTES)) != Some(entries.len())
        {
            return Err(InvalidState("wrong length"));
        }
        let mut state = Self::default();
        for entry in entries.chunks_exact(SNAPSHOT_ENTRY_BYTES) {
            let long = |at: usize| i64::from_be_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
            let int = |at: usize| i32::from_be_bytes(entry[at..at + 4].try_into().expect("four bytes"));
            let (last_sequence, last_offset, last_offset_delta) = (int(10), long(14), int(22));
            if last_sequence < 0 || last_offset_delta < 0 || i64::from(last_offset_delta) > last_offset {
                continue;
            }
            let first_sequence = i64::from(last_sequence) - i64::from(last_offset_delta);
            let batch = ProducerBatch {
                producer_id: long(0),
                producer_epoch: i16::from_be_bytes([entry[8], entry[9]]),
                base_sequence: first_sequence.rem_euclid(1 << 31) as i32,
                last_offset_delta,
                base_offset: last_offset - i64::from(last_offset_delta),
                timestamp: long(26),
            };
            state.producers.insert(batch.producer_id, vec![batch]);
        }
        Ok(state)
    }
}

/// How many epochs there were before an append.
pub(crate) type LeaderEpochMark = usize;

/// `(epoch, first offset)`, both rising.
#[derive(Debug, Default)]
pub(crate) struct LeaderEpochCache {
    epochs: Vec<(i32, i64)>,
}

impl LeaderEpochCache {
    /// Notes that `offset` was written in `epoch`; returns what [`LeaderEpochCache::restore`] needs.
    pub fn assign(&mut self, epoch: i32, offset: i64) -> LeaderEpochMark {
        let mark = self.epochs.len();
        if epoch >= 0 && self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, offset));
        }
        mark
    }

    pub fn restore(&mut self, mark: LeaderEpochMark) {
        self.epochs.truncate(mark);
    }

    /// Forgets epochs that began at or behind the log's end.
    pub fn truncate_from_end(&mut self, log_end_offset: i64) {
        self.epochs.retain(|(_, offset)| *offset < log_end_offset);
    }

    /// The `leader-epoch-checkpoint` file: version 0, number of lines, `epoch offset`.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidState> {
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidState("not text"))?;
        let mut lines = text.lines();
        if lines.next() != Some("0") {
            return Err(InvalidState("unknown version"));
        }
        let count = lines.next().and_then(|count| count.parse::<usize>().ok());
        let mut cache = Self::default();
        for line in lines {
            let entry =
                line.split_once(' ').and_then(|(epoch, offset)| Some((epoch.parse().ok()?, offset.parse().ok()?)));
            let (epoch, offset) = entry.ok_or(InvalidState("not an epoch and an offset"))?;
            cache.assign(epoch, offset);
        }
        (count == Some(cache.epochs.len())).then_some(cache).ok_or(InvalidState("wrong number of lines"))
    }

    pub fn encode(&self) -> String {
        let mut text = format!("0\n{}\n", self.epochs.len());
        for (epoch, offset) in &self.epochs {
            text.push_str(&format!("{epoch} {offset}\n"));
        }
        text
    }
}

/// Names of the files beside the segments.
pub(crate) const PARTITION_METADATA_FILE: &str = "partition.metadata";
pub(crate) const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// The `partition.metadata` file: the topic's id as Kafka writes ids (base64 for URLs, no padding).
pub(crate) fn encode_partition_metadata(topic_id: uuid::Uuid) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::from("version: 0\ntopic_id: ");
    let id = topic_id.as_u128();
    for letter in 0..22 {
        let bits = if letter < 21 { id >> (122 - 6 * letter) } else { id << 4 };
        text.push(char::from(LETTERS[(bits & 63) as usize]));
    }
    text
}
