//! Appends to the partitions of a shard, until they are acked.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::log::{AppendError, FailedAppend, LogKey};

use super::partitions::{AppendWait, Partitions, Reply, WAITS_MAX};
use super::{AppendOutcome, PartitionError, PartitionReply, TopicPartition};

impl Partitions {
    /// Appends a batch, when there is room for it: at once, or within the time that is given.
    pub(super) fn append(&self, name: TopicPartition, batch: Bytes, timeout_ms: i32, reply: Reply) {
        let found = self.0.table.borrow().find(name).map(|(key, partition)| {
            let waits = partition.appends.len() + partition.queued;
            (key, partition.queued, waits >= WAITS_MAX)
        });
        match found {
            Err(error) => reply(PartitionReply::Append(Err(error))),
            Ok((key, _, true)) => {
                self.0.store.borrow_mut().refuse(key, &batch);
                self.end_append(key, Err(AppendError::Busy), reply);
            }
            Ok((key, queued, false)) if self.is_behind_queued(key, queued) => {
                self.queue_append(key, batch, timeout_ms, reply);
            }
            Ok((key, ..)) => match self.append_to_log(key, &batch) {
                Err(AppendError::Busy) => self.queue_append(key, batch, timeout_ms, reply),
                result => self.end_append(key, result, reply),
            },
        }
    }

    /// The end of the batch's last offset, and where it went.
    pub(super) fn append_to_log(&self, key: LogKey, batch: &Bytes) -> Result<(i64, AppendOutcome), AppendError> {
        let table = self.0.table.borrow();
        let partition = table.partition(key).expect("looked up in this call");
        let appended = self.0.store.borrow_mut().append(key, batch, partition.leader_epoch)?;
        if !appended.duplicate {
            let records = appended.last_offset + 1 - appended.base_offset;
            partition.meters.appended(records.unsigned_abs(), batch.len());
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
        Ok((appended.last_offset + 1, outcome))
    }

    /// Answers an append that was refused, or lets it wait for its ack.
    pub(super) fn end_append(&self, key: LogKey, result: Result<(i64, AppendOutcome), AppendError>, reply: Reply) {
        self.schedule_flush();
        let mut table = self.0.table.borrow_mut();
        let partition = table.partition_mut(key).expect("looked up in this call");
        let result = match result {
            Err(error) => {
                partition.meters.append_failed();
                Err(PartitionError::Append(error))
            }
            Ok((end_offset, outcome)) if end_offset > partition.high_watermark => {
                if partition.appends.capacity() == 0 {
                    // Most of very many partitions never have more than one append to wait.
                    partition.appends.reserve_exact(1);
                }
                let at = partition.appends.partition_point(|wait| wait.end_offset <= end_offset);
                partition.appends.insert(at, AppendWait { end_offset, outcome, reply });
                return;
            }
            Ok((_, outcome)) => Ok(outcome),
        };
        drop(table);
        reply(PartitionReply::Append(result));
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
