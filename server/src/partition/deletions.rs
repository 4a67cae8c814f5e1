//! Deletion of records: the log start moves, and who asked is answered when that is durable.

use ringlog_core::log::{AppendError, LogKey};

use super::partitions::{Partitions, Reply, WAITS_MAX};
use super::{PartitionError, PartitionReply, TopicPartition};

/// How a deletion of records goes on.
enum Deletion {
    /// Nothing is left to do: the log starts there, durably.
    Done(i64),
    /// Until the log starts at or above this offset, durably.
    Waits(i64),
}

impl Partitions {
    /// Moves the log start; answered when it is durable.
    pub(super) fn delete_records(&self, name: TopicPartition, offset: i64, reply: Reply) {
        let moved = {
            let table = self.0.table.borrow();
            table.find(name).and_then(|(key, partition)| {
                let mut store = self.0.store.borrow_mut();
                let offset = if offset < 0 { partition.high_watermark } else { offset };
                if offset > partition.high_watermark {
                    return Err(PartitionError::OffsetOutOfRange);
                }
                let durable_start_offset = store.durable_start_offset(key);
                if offset <= durable_start_offset {
                    return Ok(Deletion::Done(durable_start_offset));
                }
                if partition.deletions.len() >= WAITS_MAX {
                    return Err(PartitionError::Busy);
                }
                store.delete_records(key, offset).map_err(|error| {
                    tracing::error!(%error, "records cannot be deleted");
                    PartitionError::Storage
                })?;
                Ok(Deletion::Waits(offset))
            })
        };
        match moved {
            Err(error) => reply(PartitionReply::DeleteRecords(Err(error))),
            Ok(Deletion::Done(log_start_offset)) => reply(PartitionReply::DeleteRecords(Ok(log_start_offset))),
            Ok(Deletion::Waits(offset)) => {
                let mut table = self.0.table.borrow_mut();
                let partition = table.find_mut(name).expect("looked up in this call");
                partition.deletions.push((offset, reply));
                drop(table);
                self.schedule_flush();
                self.arm_retention();
            }
        }
    }

    /// Answers those who wait for a log start.
    pub(super) fn finish_deletions(&self, key: LogKey, moved: &Result<i64, AppendError>) {
        let waiting = {
            let mut table = self.0.table.borrow_mut();
            let Some(Some(partition)) = table.partitions.get_mut(key.0 as usize) else { return };
            let is_done = |offset: i64| moved.as_ref().map_or(true, |start| offset <= *start);
            partition.deletions.extract_if(.., |(offset, _)| is_done(*offset)).collect::<Vec<_>>()
        };
        for (_, reply) in waiting {
            reply(PartitionReply::DeleteRecords(moved.clone().map_err(PartitionError::Append)));
        }
    }
}
