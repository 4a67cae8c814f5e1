//! Which file the log writes in next: slots, their generations, and when one may be used again. No I/O.
//!
//! Invariant: a slot is used again, or overwritten with zeros, only when every entry of its last use lies below the
//! `released_lsn` of a write that is durable. So of a log with a missing generation, all that matters lies behind the gap.

use super::format::BLOCK;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// May be used.
    Idle,
    /// Being filled with zeros.
    Preparing,
    /// Written now.
    Active,
    /// Holds entries below `end_lsn` that may still be needed.
    Full { end_lsn: u64 },
}

#[derive(Debug)]
struct Slot {
    state: SlotState,
    /// Of its last use; 0 = never used.
    generation: u64,
    prewritten: bool,
}

/// The files of one log.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    file_bytes: u64,
    active: usize,
    /// First free byte of the active file.
    position: u64,
}

impl Slots {
    /// `count` unused files; the first becomes active.
    pub(super) fn new(count: u32, file_bytes: u64) -> Self {
        let slot = |_| Slot { state: SlotState::Idle, generation: 0, prewritten: false };
        let mut slots = Self { slots: (0..count).map(slot).collect(), file_bytes, active: 0, position: 0 };
        slots.activate(0, 1);
        slots
    }

    fn activate(&mut self, slot: usize, generation: u64) {
        let chosen = &mut self.slots[slot];
        assert!(chosen.state == SlotState::Idle && chosen.generation < generation);
        chosen.state = SlotState::Active;
        chosen.generation = generation;
        self.active = slot;
        self.position = 0;
    }

    /// Slot, generation and free position of the active file.
    pub(super) fn active(&self) -> (u32, u64, u64) {
        (self.active as u32, self.slots[self.active].generation, self.position)
    }

    /// Bytes that entries may still take in the active file; a block per slot stays free for checkpoints.
    pub(super) fn room(&self) -> u64 {
        let kept = (self.slots.len() * BLOCK) as u64;
        (self.file_bytes - kept).saturating_sub(self.position)
    }

    /// Gives `length` bytes (whole blocks) of the active file away.
    pub(super) fn advance(&mut self, length: u64) {
        assert!(length.is_multiple_of(BLOCK as u64));
        self.position += length;
        assert!(self.position <= self.file_bytes, "the kept blocks are enough for a checkpoint per other slot");
    }

    pub(super) fn rewind(&mut self, position: u64) {
        self.position = position;
    }

    /// Whether the active file is sparse and a prewritten one waits.
    pub(super) fn better_file_waits(&self) -> bool {
        !self.slots[self.active].prewritten
            && self.position > 0
            && self.best_idle().is_some_and(|slot| self.slots[slot].prewritten)
    }

    /// Goes on to another file; `end_lsn` is the end of what the active one holds. False: none is free.
    pub(super) fn roll(&mut self, end_lsn: u64) -> bool {
        let Some(next) = self.best_idle() else { return false };
        let generation = self.slots[self.active].generation + 1;
        self.slots[self.active].state = SlotState::Full { end_lsn };
        self.activate(next, generation);
        true
    }

    /// A prewritten one before a sparse one, then the one used longest ago.
    fn best_idle(&self) -> Option<usize> {
        let idle = (0..self.slots.len()).filter(|&slot| self.slots[slot].state == SlotState::Idle);
        idle.min_by_key(|&slot| (!self.slots[slot].prewritten, self.slots[slot].generation))
    }

    /// Frees what lies below `released_lsn`, which a durable write carries.
    pub(super) fn release(&mut self, released_lsn: u64) {
        for slot in &mut self.slots {
            if matches!(slot.state, SlotState::Full { end_lsn } if end_lsn <= released_lsn) {
                slot.state = SlotState::Idle;
            }
        }
    }

    /// Whether a release up to `released_lsn` would free a file that one up to `announced_lsn` does not.
    pub(super) fn release_frees(&self, announced_lsn: u64, released_lsn: u64) -> bool {
        let freed = announced_lsn + 1..=released_lsn;
        self.slots.iter().any(|slot| matches!(slot.state, SlotState::Full { end_lsn } if freed.contains(&end_lsn)))
    }

    /// End of the oldest full file.
    pub(super) fn oldest_full_end(&self) -> Option<u64> {
        let ends = self.slots.iter().filter_map(|slot| match slot.state {
            SlotState::Full { end_lsn } => Some(end_lsn),
            SlotState::Idle | SlotState::Preparing | SlotState::Active => None,
        });
        ends.min()
    }

    /// A file to fill with zeros, so that one prewritten file waits; [`Self::prepared`] must follow.
    pub(super) fn start_preparing(&mut self) -> Option<u32> {
        let busy =
            |slot: &Slot| slot.state == SlotState::Preparing || (slot.state == SlotState::Idle && slot.prewritten);
        if self.slots.iter().any(busy) {
            return None;
        }
        let slot = self.best_idle()?;
        self.slots[slot].state = SlotState::Preparing;
        Some(slot as u32)
    }

    /// The zeros of `slot` are on the device, or (`whole` false) the disk had no room for them.
    pub(super) fn prepared(&mut self, slot: u32, whole: bool) {
        let slot = &mut self.slots[slot as usize];
        assert_eq!(slot.state, SlotState::Preparing);
        slot.state = SlotState::Idle;
        slot.prewritten = whole;
    }

    /// Files that hold nothing: they may be used now, or when they are filled with zeros.
    pub(super) fn free_count(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.state, SlotState::Idle | SlotState::Preparing)).count()
    }

    /// All files.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_used_again_in_order_once_released() {
        let mut slots = Slots::new(3, 1 << 20);
        assert_eq!(slots.active(), (0, 1, 0));
        assert!(slots.roll(10) && slots.roll(20));
        assert!(!slots.roll(30), "all hold entries");
        assert_eq!(slots.oldest_full_end(), Some(10));
        assert!(!slots.release_frees(0, 9) && slots.release_frees(0, 10) && !slots.release_frees(10, 11));
        slots.release(25);
        assert!(slots.roll(30));
        assert_eq!(slots.active(), (0, 4, 0));
    }

    #[test]
    fn a_prewritten_file_is_preferred() {
        let mut slots = Slots::new(3, 1 << 20);
        slots.advance(4096);
        assert_eq!(slots.start_preparing(), Some(1));
        assert_eq!(slots.start_preparing(), None, "one at a time");
        assert!(!slots.better_file_waits());
        slots.prepared(1, true);
        assert!(slots.better_file_waits());
        assert_eq!(slots.start_preparing(), None, "one waits");
        assert!(slots.roll(1));
        assert_eq!(slots.start_preparing(), Some(2));
        slots.prepared(2, false);
        assert!(!slots.better_file_waits());
    }
}
