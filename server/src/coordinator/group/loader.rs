//! Reads a partition of `__consumer_offsets` from its start into a [`Coordinator`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;
use ringlog_core::reactor::{Piece, Reactor};
use ringlog_core::record::{BatchView, Batches, RecordError, Records, compression};
use ringlog_core::wire::{DecodeError, Reader};

use super::Coordinator;
use crate::config::GroupSettings;
use crate::partition::{
    Isolation, OffsetQuery, OffsetRequest, PartitionError, PartitionReply, PartitionRequest, Partitions, ReadRequest,
    TopicPartition,
};

/// Bytes of one read; other work of the shard goes on between two.
const READ_BYTES_MAX: usize = 64 << 10;
/// What a compressed batch may grow to when it is opened.
const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;
const COMMIT_MARKER: i16 = 1;

/// Why a coordinator cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read.
    #[error("read at offset {offset}: {source}")]
    Read {
        /// Where.
        offset: i64,
        /// Why.
        source: PartitionError,
    },
    /// What was read is no batch, or one that cannot be opened.
    #[error("batch at offset {offset}: {reason}")]
    Batch {
        /// Its base offset.
        offset: i64,
        /// Why.
        reason: String,
    },
    /// A record's framing.
    #[error("batch at offset {offset}: {source}")]
    Framing {
        /// Its base offset.
        offset: i64,
        /// Why.
        source: RecordError,
    },
    /// A record's fields.
    #[error("record in the batch at offset {offset}: {source}")]
    Record {
        /// Base offset of its batch.
        offset: i64,
        /// Why.
        source: DecodeError,
    },
}

/// Replays everything below the high watermark.
pub async fn load(
    reactor: &Reactor,
    partitions: &Partitions,
    name: TopicPartition,
    settings: Arc<GroupSettings>,
) -> Result<Coordinator, LoadError> {
    let mut coordinator = Coordinator::new(settings);
    let mut offset = find_offset(partitions, name, OffsetQuery::Earliest).await?;
    let end_offset = find_offset(partitions, name, OffsetQuery::Latest).await?;
    while offset < end_offset {
        let read = ReadRequest {
            offset,
            max_bytes: READ_BYTES_MAX,
            at_least_one_batch: true,
            current_leader_epoch: -1,
            isolation: Isolation::Uncommitted,
        };
        let PartitionReply::Read(outcome) = ask(partitions, name, PartitionRequest::Read(read)).await else {
            unreachable!("a read is answered by a read")
        };
        let outcome = outcome.map_err(|source| LoadError::Read { offset, source })?;
        let bytes = Piece::gather(&outcome.records, &*reactor.disk())
            .map_err(|_| LoadError::Read { offset, source: PartitionError::Storage })?;
        let mut batches = Batches::new(&bytes);
        let before = offset;
        for batch in &mut batches {
            replay_batch(&mut coordinator, &batch)?;
            offset = batch.next_offset();
        }
        if offset == before {
            return Err(LoadError::Batch { offset, reason: "not a whole batch".to_owned() });
        }
        reactor.yield_now().await;
    }
    Ok(coordinator)
}

async fn find_offset(partitions: &Partitions, name: TopicPartition, query: OffsetQuery) -> Result<i64, LoadError> {
    let request =
        PartitionRequest::Offset(OffsetRequest { query, current_leader_epoch: -1, isolation: Isolation::Uncommitted });
    let PartitionReply::Offset(found) = ask(partitions, name, request).await else {
        unreachable!("an offset request is answered by an offset")
    };
    found.map(|found| found.offset).map_err(|source| LoadError::Read { offset: -1, source })
}

/// The reply of a partition of this shard.
async fn ask(partitions: &Partitions, name: TopicPartition, request: PartitionRequest) -> PartitionReply {
    let place: Rc<RefCell<(Option<PartitionReply>, Option<Waker>)>> = Rc::default();
    let answered = Rc::clone(&place);
    let reply = move |reply| {
        let waker = {
            let mut place = answered.borrow_mut();
            place.0 = Some(reply);
            place.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    partitions.request(name, request, Box::new(reply));
    poll_fn(|context| {
        let mut place = place.borrow_mut();
        match place.0.take() {
            Some(reply) => Poll::Ready(reply),
            None => {
                place.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

fn replay_batch(coordinator: &mut Coordinator, batch: &BatchView<'_>) -> Result<(), LoadError> {
    let offset = batch.base_offset();
    let payload = compression::open(batch, DECOMPRESSED_BYTES_MAX)
        .map_err(|error| LoadError::Batch { offset, reason: error.to_string() })?;
    let producer_id = if batch.is_transactional() { batch.producer_id() } else { -1 };
    for record in Records::new(&payload, batch.record_count()) {
        let record = record.map_err(|source| LoadError::Framing { offset, source })?;
        let Some(key) = record.key else { continue };
        let bad_record = |source| LoadError::Record { offset, source };
        if batch.is_control() {
            let mut key = Reader::new(key);
            key.read_i16().map_err(bad_record)?;
            let is_commit = key.read_i16().map_err(bad_record)? == COMMIT_MARKER;
            coordinator.replay_marker(batch.producer_id(), is_commit);
        } else if let Some(record) = CoordinatorRecord::decode(key, record.value).map_err(bad_record)? {
            coordinator.replay(&record, producer_id);
        }
    }
    Ok(())
}
