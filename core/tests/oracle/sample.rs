//! Values made from a seed, with the extremes in them.

use ringlog_core::protocol::ErrorCode;
use ringlog_core::wire::{Array, Records};
use uuid::Uuid;

/// SplitMix64.
pub struct Random {
    state: u64,
    /// Whether an `Option` may be null.
    pub nulls: bool,
}

impl Random {
    pub fn new(seed: u64, nulls: bool) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), nulls }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A value made from a seed.
pub trait Sample: Sized {
    fn sample(random: &mut Random) -> Self;
}

macro_rules! sample_integers {
    ($($integer:ty),*) => {$(
        impl Sample for $integer {
            fn sample(random: &mut Random) -> Self {
                match random.below(6) {
                    0 => 0,
                    1 => -1,
                    2 => <$integer>::MAX,
                    3 => <$integer>::MIN,
                    _ => random.next() as $integer,
                }
            }
        }
    )*};
}

sample_integers!(i8, i16, i32, i64);

impl Sample for u16 {
    fn sample(random: &mut Random) -> Self {
        i16::sample(random) as u16
    }
}

impl Sample for f64 {
    fn sample(random: &mut Random) -> Self {
        [0.0, -1.5, f64::MAX, f64::INFINITY, 0.1][random.below(5)]
    }
}

impl Sample for bool {
    fn sample(random: &mut Random) -> Self {
        random.below(2) == 1
    }
}

impl Sample for ErrorCode {
    fn sample(random: &mut Random) -> Self {
        Self(i16::sample(random))
    }
}

impl Sample for Uuid {
    fn sample(random: &mut Random) -> Self {
        if random.below(3) == 0 { Uuid::nil() } else { Uuid::from_u64_pair(random.next(), random.next()) }
    }
}

impl Sample for &'static str {
    fn sample(random: &mut Random) -> Self {
        const LONG: &str = "a name of more than one hundred and twenty-six bytes, because the length of such a name takes \
                            two bytes where lengths are unsigned varints";
        ["", "a", "topic-1", "ключ", LONG][random.below(5)]
    }
}

impl Sample for Records<'static> {
    fn sample(random: &mut Random) -> Self {
        const DATA: &[u8] = &[0xa5; 300];
        Self::Bytes(&DATA[..[0, 1, 61, 300][random.below(4)]])
    }
}

impl Sample for &'static [u8] {
    fn sample(random: &mut Random) -> Self {
        Records::sample(random).bytes()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(random: &mut Random) -> Self {
        (!random.nulls || random.below(4) > 0).then(|| T::sample(random))
    }
}

impl<T: Sample> Sample for Array<'static, T> {
    fn sample(random: &mut Random) -> Self {
        (0..random.below(4)).map(|_| T::sample(random)).collect()
    }
}
