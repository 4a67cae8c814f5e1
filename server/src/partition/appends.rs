//! Appends to the partitions of a shard, until they are acked.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::log::{FailedAppend, LogKey};

use super::partitions::{AppendWait, Partitions, Reply, WAITS_MAX};
use super::{AppendOutcome, PartitionError, PartitionReply, TopicPartition};

impl Partitions {
    pub(super) fn append(&self, name: TopicPartition, batch: Bytes, reply: Reply) {
        match self.append_to_log(name, batch) {
            Err(error) => {
                // One that found no room has asked the store to make some, also where nothing else is appended.
                self.schedule_flush();
                reply(PartitionReply::Append(Err(error)));
            }
            Ok((key, end_offset, outcome)) => {
                let mut table = self.0.table.borrow_mut();
                let partition = table.partitions[key.0 as usize].as_mut().expect("looked up in this call");
                if end_offset <= partition.high_watermark {
                    drop(table);
                    return reply(PartitionReply::Append(Ok(outcome)));
                }
                if partition.appends.capacity() == 0 {
                    // Most of very many partitions never have more than one append to wait.
                    partition.appends.reserve_exact(1);
                }
                let at = partition.appends.partition_point(|wait| wait.end_offset <= end_offset);
                partition.appends.insert(at, AppendWait { end_offset, outcome, reply });
                drop(table);
                self.schedule_flush();
            }
        }
    }

    fn append_to_log(
        &self,
        name: TopicPartition,
        batch: Bytes,
    ) -> Result<(LogKey, i64, AppendOutcome), PartitionError> {
        let table = self.0.table.borrow();
        let (key, partition) = table.find(name)?;
        if partition.appends.len() >= WAITS_MAX {
            partition.meters.append_failed();
            return Err(PartitionError::Busy);
        }
        let bytes = batch.len();
        let appended = self.0.store.borrow_mut().append(key, batch, partition.leader_epoch).map_err(|error| {
            partition.meters.append_failed();
            PartitionError::Append(error)
        })?;
        if !appended.duplicate {
            let records = appended.last_offset + 1 - appended.base_offset;
            partition.meters.appended(records.unsigned_abs(), bytes);
        }
        drop(table);
        self.arm_retention();
        self.arm_scrubber();
        if let Some(flush_in_ms) = appended.flush_in_ms {
            self.flush_later(key, flush_in_ms);
        }
        let outcome = AppendOutcome {
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
        };
        Ok((key, appended.last_offset + 1, outcome))
    }

    /// What is appended is synced in this time, where `flush.ms` says so.
    fn flush_later(&self, key: LogKey, flush_in_ms: i64) {
        let (reactor, inner) = (self.0.reactor.clone(), Rc::downgrade(&self.0));
        self.0.reactor.spawn(async move {
            reactor.sleep(Duration::from_millis(flush_in_ms.unsigned_abs())).await;
            if let Some(inner) = inner.upgrade() {
                let partitions = Self(inner);
                partitions.0.store.borrow_mut().flush(key);
                partitions.schedule_flush();
            }
        });
    }

    /// Answers the appends that were taken and could not be written.
    pub(super) fn fail_appends(&self, failure: FailedAppend) {
        let refused = {
            let mut table = self.0.table.borrow_mut();
            let Some(Some(partition)) = table.partitions.get_mut(failure.key.0 as usize) else { return };
            let first = partition.appends.partition_point(|wait| wait.end_offset <= failure.from_offset);
            partition.appends.split_off(first)
        };
        for wait in refused {
            (wait.reply)(PartitionReply::Append(Err(PartitionError::Append(failure.error.clone()))));
        }
    }
}
