//! Reads from the partitions of a shard, look-ups in them, and those who wait for more to read.

use std::rc::Rc;

use ringlog_core::log::{Committed, LogKey, LogStore, ReadError, ReadResult, StoreError};
use ringlog_core::reactor::Piece;

use super::partitions::{Partition, Partitions, Reply, WAITS_MAX, Watch};
use super::{
    EpochEnd, EpochEndRequest, Isolation, OffsetOutcome, OffsetQuery, OffsetRequest, PartitionError, PartitionReply,
    ReadOutcome, ReadRequest, TopicPartition, WatchRequest,
};
use crate::meters::TopicMeters;

impl Partitions {
    pub(super) fn read(&self, name: TopicPartition, request: ReadRequest, reply: Reply) {
        let found = {
            let table = self.0.table.borrow();
            let found = table.find(name);
            found.map(|(key, partition)| (self.start_read(key, partition, request), Rc::clone(&partition.meters)))
        };
        let (started, meters) = match found {
            Ok(found) => found,
            Err(error) => return reply(PartitionReply::Read(Err(error))),
        };
        let outcome = match started {
            Err(error) => Err(error),
            Ok((ReadResult::Ready(records), outcome)) => Ok(ReadOutcome { records, ..outcome }),
            Ok((ReadResult::Cold(reading), outcome)) => {
                self.0.reactor.spawn(async move {
                    let outcome = match reading.await {
                        Ok(records) => Ok(ReadOutcome { records, ..outcome }),
                        Err(error) => Err(read_failed(&error)),
                    };
                    count_read(&meters, &outcome);
                    reply(PartitionReply::Read(outcome));
                });
                return;
            }
        };
        count_read(&meters, &outcome);
        reply(PartitionReply::Read(outcome));
    }

    /// The read on its way, and its outcome without the records.
    fn start_read(
        &self,
        key: LogKey,
        partition: &Partition,
        request: ReadRequest,
    ) -> Result<(ReadResult, ReadOutcome), PartitionError> {
        partition.check_leader_epoch(request.current_leader_epoch)?;
        let mut store = self.0.store.borrow_mut();
        let log_start_offset = store.log_start_offset(key);
        if request.offset < log_start_offset || request.offset > store.log_end_offset(key) {
            return Err(PartitionError::OffsetOutOfRange);
        }
        let high_watermark = partition.high_watermark;
        let Committed { last_stable_offset, aborted } = match request.isolation {
            Isolation::Uncommitted => Committed { last_stable_offset: high_watermark, aborted: Vec::new() },
            Isolation::Committed => store.committed(key, request.offset).map_err(|error| read_failed(&error))?,
        };
        let bound = last_stable_offset.min(high_watermark);
        let outcome = ReadOutcome {
            records: Default::default(),
            high_watermark,
            last_stable_offset: bound,
            log_start_offset,
            aborted,
        };
        if request.offset >= bound || request.max_bytes == 0 && !request.at_least_one_batch {
            return Ok((ReadResult::Ready(Default::default()), outcome));
        }
        let read = store.read(key, request.offset, bound, request.max_bytes, request.at_least_one_batch);
        Ok((read.map_err(|error| read_failed(&error))?, outcome))
    }

    pub(super) fn watch(&self, name: TopicPartition, request: WatchRequest, reply: Reply) {
        let mut table = self.0.table.borrow_mut();
        if let Ok(partition) = table.find_mut(name)
            && partition.high_watermark <= request.high_watermark
            && partition.watches.len() < WAITS_MAX
        {
            let WatchRequest { high_watermark, watch } = request;
            partition.watches.push(Watch { high_watermark, watch, reply });
            return;
        }
        drop(table);
        reply(PartitionReply::Watch);
    }

    pub(super) fn unwatch(&self, name: TopicPartition, watch: u64) {
        let ended = self.0.table.borrow_mut().find_mut(name).ok().and_then(|partition| {
            let at = partition.watches.iter().position(|other| other.watch == watch)?;
            Some(partition.watches.swap_remove(at))
        });
        if let Some(watch) = ended {
            (watch.reply)(PartitionReply::Watch);
        }
    }

    pub(super) fn offset(&self, name: TopicPartition, request: OffsetRequest) -> Result<OffsetOutcome, PartitionError> {
        let table = self.0.table.borrow();
        let (key, partition) = table.find(name)?;
        partition.check_leader_epoch(request.current_leader_epoch)?;
        let mut store = self.0.store.borrow_mut();
        let leader_epoch = partition.leader_epoch;
        let bound = match request.isolation {
            Isolation::Uncommitted => partition.high_watermark,
            Isolation::Committed => {
                let committed = store.committed(key, i64::MAX).map_err(|error| read_failed(&error))?;
                committed.last_stable_offset.min(partition.high_watermark)
            }
        };
        let found = match request.query {
            OffsetQuery::Latest => Ok(Some((bound, -1))),
            OffsetQuery::Earliest => Ok(Some((store.log_start_offset(key), -1))),
            OffsetQuery::MaxTimestamp => store.max_timestamp(key),
            OffsetQuery::AtOrAfter(timestamp_ms) => store.offset_for_timestamp(key, timestamp_ms, bound),
        };
        match found {
            Ok(Some((offset, timestamp_ms))) => Ok(OffsetOutcome { offset, timestamp_ms, leader_epoch }),
            Ok(None) => Ok(OffsetOutcome { offset: -1, timestamp_ms: -1, leader_epoch: -1 }),
            Err(error) => Err(read_failed(&error)),
        }
    }

    pub(super) fn look_up<T>(
        &self,
        name: TopicPartition,
        look: impl FnOnce(&mut LogStore, LogKey) -> Result<T, StoreError>,
    ) -> Result<T, PartitionError> {
        let key = self.0.table.borrow().find(name)?.0;
        look(&mut self.0.store.borrow_mut(), key).map_err(|error| {
            tracing::error!(%error, "a log cannot be looked into");
            PartitionError::Storage
        })
    }

    pub(super) fn epoch_end(&self, name: TopicPartition, asked: EpochEndRequest) -> Result<EpochEnd, PartitionError> {
        const UNKNOWN: EpochEnd = EpochEnd { leader_epoch: -1, end_offset: -1 };
        {
            let table = self.0.table.borrow();
            let (_, partition) = table.find(name)?;
            partition.check_leader_epoch(asked.current_leader_epoch)?;
            if asked.leader_epoch > partition.leader_epoch || asked.leader_epoch < 0 {
                return Ok(UNKNOWN);
            }
            if asked.leader_epoch == partition.leader_epoch {
                let (leader_epoch, end_offset) = (partition.leader_epoch, partition.high_watermark);
                return Ok(EpochEnd { leader_epoch, end_offset });
            }
        }
        let found = self.look_up(name, |store, key| store.end_offset_for_epoch(key, asked.leader_epoch))?;
        Ok(found.map_or(UNKNOWN, |(leader_epoch, end_offset)| EpochEnd { leader_epoch, end_offset }))
    }
}

/// What the client asked for wrongly is no failure of the broker.
fn count_read(meters: &TopicMeters, outcome: &Result<ReadOutcome, PartitionError>) {
    match outcome {
        Ok(outcome) => meters.read(outcome.records.iter().map(Piece::size_bytes).sum()),
        Err(PartitionError::Storage) => meters.read_failed(),
        Err(_) => meters.read(0),
    }
}

fn read_failed(error: &ReadError) -> PartitionError {
    if let ReadError::Damaged { .. } = error {
        // It was told when it was found.
        return PartitionError::Damaged;
    }
    tracing::error!(%error, "read failed");
    PartitionError::Storage
}
