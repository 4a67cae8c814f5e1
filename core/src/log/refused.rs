//! The first batch of each producer that found no room in a log, so that the batches behind it do not take its place.
//!
//! A producer has several batches in flight, and sends again what was refused. See
//! `docs/decisions/0008-what-may-be-appended.md`.

use std::collections::BTreeMap;

use super::producer_state::ProducerBatch;

/// Producers that are remembered.
const PRODUCERS_MAX: usize = 1_000;

/// Epoch and sequence by producer id, until one of the producer's batches finds room.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refused(BTreeMap<i64, (i16, i32)>);

/// Whether a batch of the one sequence is sent before one of the other; after the highest they go on with 0.
fn is_before(sequence: i32, other: i32) -> bool {
    (1..=i32::MAX / 2).contains(&(other.wrapping_sub(sequence) & i32::MAX))
}

impl Refused {
    /// Notes a batch that found no room.
    pub fn note(&mut self, batch: &ProducerBatch) {
        let refused = (batch.producer_epoch, batch.base_sequence);
        let has_room = self.0.len() < PRODUCERS_MAX;
        match self.0.get_mut(&batch.producer_id) {
            // One that was taken, and taken back behind the refusal of the next, is the first.
            Some((epoch, first)) if *epoch == batch.producer_epoch && !is_before(batch.base_sequence, *first) => {}
            Some(earlier) => *earlier = refused,
            None if has_room => _ = self.0.insert(batch.producer_id, refused),
            None => {}
        }
    }

    /// Whether a batch comes behind one that was refused.
    pub fn is_behind(&self, batch: &ProducerBatch) -> bool {
        self.0.get(&batch.producer_id).is_some_and(|(epoch, sequence)| {
            *epoch == batch.producer_epoch && is_before(*sequence, batch.base_sequence)
        })
    }

    /// A batch of a producer found room: what was refused before it, or with it, was sent again or given up.
    pub fn note_appended(&mut self, batch: &ProducerBatch) {
        if let Some((epoch, sequence)) = self.0.get(&batch.producer_id)
            && (*epoch != batch.producer_epoch || !is_before(batch.base_sequence, *sequence))
        {
            self.0.remove(&batch.producer_id);
        }
    }
}
