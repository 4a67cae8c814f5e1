//! Any batches, against a model that forgets nothing.

use proptest::prelude::*;

use super::producer::sequence_after;
use super::*;

/// Everything that was ever appended, asked the slow way.
#[derive(Default)]
struct Model(Vec<ProducerBatch>);

impl Model {
    fn check(&self, batch: &ProducerBatch) -> SequenceCheck {
        let end = |b: &ProducerBatch| (i64::from(b.base_sequence) + i64::from(b.last_offset_delta)) % (1 << 31);
        let own: Vec<_> = self.0.iter().rev().filter(|b| b.producer_id == batch.producer_id).collect();
        let Some(last) = own.first() else { return SequenceCheck::Fresh };
        let of_epoch = own.iter().take_while(|b| b.producer_epoch == last.producer_epoch).take(BATCHES_KEPT);
        for kept in of_epoch {
            if (kept.producer_epoch, kept.base_sequence, end(kept))
                == (batch.producer_epoch, batch.base_sequence, end(batch))
            {
                return SequenceCheck::Duplicate {
                    base_offset: kept.base_offset,
                    last_offset: kept.base_offset + i64::from(kept.last_offset_delta),
                    timestamp: kept.timestamp,
                };
            }
        }
        match batch.producer_epoch.cmp(&last.producer_epoch) {
            std::cmp::Ordering::Less => SequenceCheck::StaleEpoch,
            std::cmp::Ordering::Greater if batch.base_sequence == 0 => SequenceCheck::Fresh,
            std::cmp::Ordering::Equal if i64::from(batch.base_sequence) == (end(last) + 1) % (1 << 31) => {
                SequenceCheck::Fresh
            }
            _ => SequenceCheck::OutOfOrder,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_a_model_that_forgets_nothing(
        start in prop_oneof![Just(0), Just(i32::MAX - 12)],
        steps in proptest::collection::vec((0..3i64, 0..3i16, 0..12i32, 1..4i32, any::<bool>(), any::<bool>()), 1..80),
    ) {
        let (mut state, mut model, mut offset) = (ProducerState::default(), Model::default(), 0);
        for (producer_id, producer_epoch, back, count, follow, undo) in steps {
            // Mostly the next batch, else one around it: a repeat, a gap, an old one.
            let last = model.0.iter().rev().find(|b| b.producer_id == producer_id).copied();
            let next = last.map_or(start, |b| sequence_after(b.base_sequence, b.last_offset_delta + 1));
            let base_sequence = if follow { next } else { next.wrapping_sub(back) & i32::MAX };
            let producer_epoch = if follow { last.map_or(0, |b| b.producer_epoch) } else { producer_epoch };
            let batch = ProducerBatch {
                producer_id, producer_epoch, base_sequence, last_offset_delta: count - 1,
                base_offset: offset, timestamp: offset + 1000, is_transactional: false,
            };
            let check = state.check(&batch);
            prop_assert_eq!(check, model.check(&batch));
            if check == SequenceCheck::Fresh {
                let before = state.clone();
                let undone = state.update(&batch);
                if undo {
                    state.undo(undone);
                    prop_assert_eq!(&state, &before);
                } else {
                    model.0.push(batch);
                    offset += i64::from(count);
                }
            }
        }
        let restored = ProducerState::decode(&state.encode()).unwrap();
        prop_assert_eq!(restored.encode(), state.encode());
        prop_assert_eq!(restored.producers(), state.producers());
    }
}
