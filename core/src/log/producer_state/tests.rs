//! Batches of one producer and of several, one after the other.

use std::time::Duration;

use super::super::ProducerExpiry;
use super::*;

pub fn batch(producer_epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> ProducerBatch {
    ProducerBatch {
        producer_id: 1,
        producer_epoch,
        base_sequence,
        last_offset_delta: count - 1,
        base_offset,
        timestamp: base_offset * 10,
        is_transactional: false,
    }
}

pub fn append(state: &mut ProducerState, batch: ProducerBatch) {
    assert_eq!(state.check(&batch), SequenceCheck::Fresh);
    let _ = state.update(&batch);
}

#[test]
fn an_unknown_producer_starts_anywhere_and_a_new_epoch_at_0() {
    let mut state = ProducerState::default();
    append(&mut state, batch(0, 42, 3, 100));
    assert_eq!(state.check(&batch(0, 46, 1, 0)), SequenceCheck::OutOfOrder);
    assert_eq!(state.check(&batch(1, 45, 1, 0)), SequenceCheck::OutOfOrder);
    append(&mut state, batch(1, 0, 1, 103));
    assert_eq!(state.check(&batch(0, 45, 1, 0)), SequenceCheck::StaleEpoch);
    assert_eq!(state.check(&batch(0, 42, 3, 0)), SequenceCheck::StaleEpoch);
}

#[test]
fn behind_a_refused_batch_nothing_of_its_producer_is_taken_nor_out_of_order() {
    let mut state = ProducerState::default();
    let start = i32::MAX - 6;
    // The producer is not known, and then it is.
    for (first, second) in [(start, start + 5), (start + 6, 4)] {
        let batches = [batch(0, first, 5, 0), batch(0, second, 1, 0)];
        batches.iter().for_each(|batch| state.refuse(batch));
        assert_eq!(state.check(&batches[1]), SequenceCheck::BehindRefused);
        batches.iter().for_each(|batch| append(&mut state, *batch));
    }
    assert_eq!(state.check(&batch(0, 2, 1, 0)), SequenceCheck::OutOfOrder, "nothing is refused any more");
    state.refuse(&batch(0, 3, 1, 0));
    state.refuse(&batch(0, 1, 1, 0));
    assert_eq!(state.check(&batch(0, 2, 1, 0)), SequenceCheck::BehindRefused, "behind the first, told last");
    assert_eq!(state.check(&batch(1, 3, 1, 0)), SequenceCheck::OutOfOrder, "of another epoch");
    state.refuse(&batch(1, 0, 1, 0));
    assert_eq!(state.check(&batch(1, 3, 1, 0)), SequenceCheck::BehindRefused, "of this one");
}

#[test]
fn sequences_wrap_to_0() {
    let mut state = ProducerState::default();
    append(&mut state, batch(0, i32::MAX - 1, 1, 0));
    append(&mut state, batch(0, i32::MAX, 3, 1));
    let duplicate = SequenceCheck::Duplicate { base_offset: 1, last_offset: 3, timestamp: 10 };
    assert_eq!(state.check(&batch(0, i32::MAX, 3, 0)), duplicate);
    let restored = ProducerState::decode(&state.encode()).unwrap();
    assert_eq!(restored.check(&batch(0, i32::MAX, 3, 0)), duplicate);
    append(&mut state, batch(0, 2, 1, 4));
    let mut exact = ProducerState::default();
    append(&mut exact, batch(0, i32::MAX, 1, 0));
    append(&mut exact, batch(0, 0, 1, 1));
}

#[test]
fn the_last_five_batches_are_answered_again() {
    let mut state = ProducerState::default();
    for i in 0..6 {
        append(&mut state, batch(0, i * 2, 2, i64::from(i) * 7));
    }
    assert_eq!(state.check(&batch(0, 0, 2, 0)), SequenceCheck::OutOfOrder);
    for i in 1..6 {
        let (base_offset, timestamp) = (i64::from(i) * 7, i64::from(i) * 70);
        let duplicate = SequenceCheck::Duplicate { base_offset, last_offset: base_offset + 1, timestamp };
        assert_eq!(state.check(&batch(0, i * 2, 2, 0)), duplicate);
    }
    assert_eq!(state.check(&batch(0, 4, 1, 0)), SequenceCheck::OutOfOrder, "another length is another batch");
}

#[test]
fn transactions_open_and_end() {
    let mut state = ProducerState::default();
    let first = ProducerBatch { is_transactional: true, ..batch(0, 0, 1, 50) };
    append(&mut state, first);
    let undo = state.update(&ProducerBatch { producer_id: 2, base_offset: 51, ..first });
    assert_eq!(state.first_open_transaction(), Some(50));
    assert_eq!(state.check(&batch(0, 1, 1, 0)), SequenceCheck::InvalidTransactionState);
    let restored = ProducerState::decode(&state.encode()).unwrap();
    assert_eq!(restored, state);
    assert_eq!(restored.first_open_transaction(), Some(50));
    state.undo(undo);
    let end = TransactionEnd { producer_id: 1, producer_epoch: 1, coordinator_epoch: 4, timestamp: 9, is_abort: true };
    assert_eq!(state.end_transaction(end), Some(50));
    assert_eq!(state.first_open_transaction(), None);
    assert_eq!(state.end_transaction(end), None);
    assert_eq!(state.check(&batch(1, 1, 1, 0)), SequenceCheck::OutOfOrder);
    append(&mut state, batch(1, 0, 1, 60));
}

#[test]
fn expiry_spares_the_recent_and_those_in_a_transaction() {
    let mut state = ProducerState::default();
    append(&mut state, batch(0, 0, 1, 10));
    append(&mut state, ProducerBatch { producer_id: 2, is_transactional: true, ..batch(0, 0, 1, 1) });
    append(&mut state, ProducerBatch { producer_id: 3, ..batch(0, 0, 1, 50) });
    let expiry = ProducerExpiry { expiration: Duration::from_millis(500), check_interval: Duration::from_millis(100) };
    state.expire(550, &expiry);
    state.expire(600, &expiry);
    assert_eq!(state.producers().len(), 3, "it has just looked");
    state.expire(650, &expiry);
    assert_eq!(state.producers().iter().map(|info| info.producer_id).collect::<Vec<_>>(), [2, 3]);
}
