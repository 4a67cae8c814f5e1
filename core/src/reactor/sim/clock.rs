//! Virtual time, the seeded generator and the trace hash: what a whole simulated world shares.
//!
//! Invariants:
//! - Every decision of the simulation is drawn here, and every event is folded into the hash, so one seed gives one
//!   run and one hash. Nothing iterates over a map with a random hasher.
//! - The generator (SplitMix64) is our own, so a seed keeps its meaning when a dependency changes.

use std::cell::Cell;
use std::rc::Rc;

use crate::reactor::Instant;

/// Time, randomness and trace of one simulated world.
#[derive(Debug)]
pub struct Clockwork {
    seed: u64,
    now: Cell<u64>,
    state: Cell<u64>,
    trace: Cell<u64>,
    events: Cell<u64>,
}

impl Clockwork {
    /// Starts at virtual time 0.
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            seed,
            now: Cell::new(0),
            state: Cell::new(seed),
            trace: Cell::new(0xcbf2_9ce4_8422_2325),
            events: Cell::new(0),
        })
    }

    /// The seed of this world: print it with every failure.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        Instant(self.now.get())
    }

    /// Moves time on; time never goes back.
    pub fn advance_to(&self, instant: Instant) {
        self.now.set(self.now.get().max(instant.0));
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        mix(state)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias of the remainder does not matter here.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// A number in `low..=high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `per_mille` of 1,000 cases. 0 draws nothing, so that a fault that is off leaves the run as it was.
    pub fn chance(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    /// Folds one event into the trace.
    pub fn note(&self, what: &str, values: &[u64]) {
        let mut hash = self.trace.get() ^ self.now.get();
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        for &value in values {
            hash = mix(hash ^ value);
        }
        self.trace.set(mix(hash));
        self.events.set(self.events.get() + 1);
    }

    /// The hash of all events so far: equal for equal seeds and equal programs.
    pub fn trace_hash(&self) -> u64 {
        self.trace.get()
    }

    /// How many events were folded in.
    pub fn event_count(&self) -> u64 {
        self.events.get()
    }
}

/// The finalizer of SplitMix64.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A short hash of bytes for the trace.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64_for_ever() {
        // Reference values of SplitMix64 from seed 1234567, as published with the algorithm.
        let clock = Clockwork::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| clock.next_u64()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_trace_depends_on_order_time_and_values() {
        let hash_of = |events: &[(&str, u64, u64)]| {
            let clock = Clockwork::new(1);
            for (what, at, value) in events {
                clock.advance_to(Instant(*at));
                clock.note(what, &[*value]);
            }
            clock.trace_hash()
        };
        let base = hash_of(&[("a", 1, 1), ("b", 2, 2)]);
        assert_eq!(base, hash_of(&[("a", 1, 1), ("b", 2, 2)]));
        assert_ne!(base, hash_of(&[("b", 1, 1), ("a", 2, 2)]));
        assert_ne!(base, hash_of(&[("a", 1, 1), ("b", 3, 2)]));
        assert_ne!(base, hash_of(&[("a", 1, 1), ("b", 2, 3)]));
    }
}
