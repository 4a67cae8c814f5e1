//! Fetch: each request in flight is a reader of its own, so that the next offset is always known when a request leaves.
//!
//! Checked: no error, CRC of every whole batch, offsets without a gap from the offset that was asked for; where batches
//! say who sent them, that those of each sender come in their order.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringlog_core::record::{BatchView, Batches, Codec};
use ringlog_core::wire::DecodeError;

use super::fetch_one::{FetchOne, FetchTarget, Fetched};
use super::stamp::Stamp;
use super::{Answered, Leaving, Workload, readable};
use crate::client::{Outgoing, Partition, SetupError, Target};
use crate::findings::Findings;
use crate::recorder::Volume;

/// What readers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchMode {
    /// Partitions from their first to their last offset, round and round.
    Sequential,
    /// Single batches at random offsets.
    Random,
    /// What comes from now on.
    Tail,
}

/// How requests look.
#[derive(Debug, Clone)]
pub struct FetchSpec {
    /// Bytes of one answer, about: at least one batch is always returned.
    pub max_bytes: usize,
    /// Bytes that an answer waits for.
    pub min_bytes: usize,
    /// How long it waits for them at most.
    pub max_wait: Duration,
    /// What is read.
    pub mode: FetchMode,
    /// Of the random offsets.
    pub seed: u64,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Fetch {
    topic: FetchTarget,
    spec: FetchSpec,
    /// Those that hold something.
    partitions: Vec<Partition>,
    readers: Vec<ReaderState>,
    /// The last batch of each sender that a reader has seen in its partition.
    orders: Vec<Order>,
    idle: Vec<usize>,
    random: SmallRng,
}

/// One reader: where it is.
#[derive(Debug, Clone, Copy)]
struct ReaderState {
    partition: usize,
    offset: i64,
}

/// The last number by run and producer.
type Order = HashMap<(u32, u32), u64>;

/// Which reader asked, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    reader: usize,
    index: i32,
    offset: i64,
}

impl Fetch {
    /// Connection `index` of a run with `readers` requests in flight on each.
    pub fn new(
        target: &Target,
        own: &[i32],
        spec: &FetchSpec,
        index: usize,
        readers: usize,
    ) -> Result<Self, SetupError> {
        let is_tail = spec.mode == FetchMode::Tail;
        let holds = |partition: &&Partition| is_tail || partition.end_offset > partition.log_start_offset;
        let partitions: Vec<Partition> =
            target.partitions.iter().filter(holds).filter(|one| own.contains(&one.index)).copied().collect();
        if partitions.is_empty() {
            let reason = "it holds nothing to fetch".to_owned();
            return Err(SetupError::Topic { topic: target.topic_name.clone(), reason });
        }
        let start = |reader| {
            let partition = (index * readers + reader) % partitions.len();
            let Partition { log_start_offset, end_offset, .. } = partitions[partition];
            ReaderState { partition, offset: if is_tail { end_offset } else { log_start_offset } }
        };
        Ok(Self {
            readers: (0..readers).map(start).collect(),
            orders: vec![Order::new(); readers],
            idle: (0..readers).rev().collect(),
            random: SmallRng::seed_from_u64(spec.seed ^ index as u64),
            spec: spec.clone(),
            topic: FetchTarget::new(target)?,
            partitions,
        })
    }

    /// Where the reader is, or a random place.
    fn place(&mut self, reader: usize) -> Asked {
        let partitions = &self.partitions;
        if self.spec.mode == FetchMode::Random {
            let partition = partitions[self.random.random_range(0..partitions.len())];
            let offset = self.random.random_range(partition.log_start_offset..partition.end_offset);
            return Asked { reader, index: partition.index, offset };
        }
        let state = self.readers[reader];
        Asked { reader, index: partitions[state.partition].index, offset: state.offset }
    }

    /// The reader has read up to `next`: goes on there, or to the start of its next partition.
    fn advance(&mut self, reader: usize, next: i64) {
        let (partitions, readers) = (&self.partitions, self.readers.len());
        let state = &mut self.readers[reader];
        state.offset = next;
        if self.spec.mode == FetchMode::Sequential && next >= partitions[state.partition].end_offset {
            self.orders[reader].clear();
            state.partition = (state.partition + readers) % partitions.len();
            state.offset = partitions[state.partition].log_start_offset;
        }
    }

    fn check(&mut self, asked: Asked, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let records = match self.topic.records(asked.index, frame, findings)? {
            Fetched::Records(records) => records,
            Fetched::Refused(refused) => return Ok(refused),
        };
        if self.spec.mode == FetchMode::Tail && records.is_empty() {
            return Ok(Answered::Done(Volume::default()));
        }
        let next = check_batches(asked, records, findings);
        if self.spec.mode != FetchMode::Random {
            check_order(asked, records, &mut self.orders[asked.reader], findings);
            self.advance(asked.reader, next);
        }
        Ok(Answered::Done(Volume { records: next.abs_diff(asked.offset), bytes: records.len() as u64 }))
    }
}

/// Walks the batches; returns the offset behind the last whole one.
fn check_batches(asked: Asked, records: &[u8], findings: &mut Findings) -> i64 {
    let mut next = asked.offset;
    for (index, batch) in Batches::new(records).enumerate() {
        // The first batch may begin before the offset that was asked for, but must hold it.
        let fits = if index == 0 {
            (batch.base_offset()..=batch.last_offset()).contains(&next)
        } else {
            batch.base_offset() == next
        };
        if !fits {
            findings.problem("offset gap", || describe(asked, &batch, next));
        }
        if !batch.is_crc_valid() {
            findings.problem("CRC", || describe(asked, &batch, next));
        }
        next = batch.next_offset();
    }
    if next == asked.offset {
        findings.problem("no batch", || format!("{asked:?}: {} bytes", records.len()));
        return next + 1;
    }
    next
}

/// Compressed batches do not say where they come from.
fn check_order(asked: Asked, records: &[u8], order: &mut Order, findings: &mut Findings) {
    for batch in Batches::new(records).filter(|batch| batch.codec() == Ok(Codec::None)) {
        let Some(stamp) = Stamp::of(&batch) else { continue };
        let last = order.insert((stamp.run, stamp.producer), stamp.sequence);
        if last.is_some_and(|last| last >= stamp.sequence) {
            findings.problem("duplicated or reordered", || describe(asked, &batch, asked.offset));
        }
    }
}

fn describe(asked: Asked, batch: &BatchView<'_>, expected: i64) -> String {
    let Asked { index, offset, .. } = asked;
    format!(
        "partition {index} from {offset}: batch {}..={}, expected {expected}",
        batch.base_offset(),
        batch.last_offset()
    )
}

impl Workload for Fetch {
    type Ticket = Asked;

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> Asked {
        let reader = self.idle.pop().expect("as many readers as requests in flight");
        let asked = self.place(reader);
        let max_bytes = if self.spec.mode == FetchMode::Random {
            1
        } else {
            i32::try_from(self.spec.max_bytes).unwrap_or(i32::MAX)
        };
        let fetch = FetchOne {
            index: asked.index,
            offset: asked.offset,
            bytes_max: max_bytes,
            bytes_min: i32::try_from(self.spec.min_bytes).unwrap_or(i32::MAX),
            wait_ms: i32::try_from(self.spec.max_wait.as_millis()).unwrap_or(i32::MAX),
        };
        out.copy(&self.topic.request(leaving.correlation_id, &fetch));
        asked
    }

    fn answer(&mut self, asked: Asked, _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        self.idle.push(asked.reader);
        readable(self.check(asked, frame, findings), findings)
    }

    fn lost(&mut self, asked: Asked) {
        self.idle.push(asked.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_core::record::{BatchBuilder, NewRecord};

    fn batch(base_offset: i64, count: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new().at(base_offset, 0);
        (0..count).for_each(|_| builder.push(NewRecord { value: Some(b"x"), ..NewRecord::default() }));
        builder.build()
    }

    fn problems(offset: i64, records: &[u8]) -> (i64, Vec<&'static str>) {
        let mut findings = Findings::default();
        let next = check_batches(Asked { reader: 0, index: 0, offset }, records, &mut findings);
        (next, findings.problems.into_keys().collect())
    }

    #[test]
    fn batches_are_checked() {
        let good = [batch(10, 5), batch(15, 5)].concat();
        assert_eq!(problems(12, &good), (20, vec![]));
        assert_eq!(problems(12, &good[..good.len() - 1]), (15, vec![]));
        assert_eq!(problems(9, &good).1, ["offset gap"]);
        assert_eq!(problems(10, &[batch(10, 5), batch(16, 5)].concat()).1, ["offset gap"]);
        let mut bad = good;
        *bad.last_mut().expect("not empty") ^= 1;
        assert_eq!(problems(10, &bad).1, ["CRC"]);
        assert_eq!(problems(10, &[]).1, ["no batch"]);
    }
}
