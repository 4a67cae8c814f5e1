//! Random numbers from a seed, and the loop over seeds of the models.

/// Xorshift.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// Runs a model with each seed, and names the one that fails: those of `RINGLOG_GROUP_SEEDS=FROM..TO`, if it is set.
pub fn for_seeds(count: u64, run: fn(u64)) {
    let seeds = std::env::var("RINGLOG_GROUP_SEEDS").unwrap_or_else(|_| format!("0..{count}"));
    let (from, to) = seeds.split_once("..").expect("RINGLOG_GROUP_SEEDS=0..100");
    for seed in from.parse().expect("a number")..to.parse().expect("a number") {
        assert!(
            std::panic::catch_unwind(|| run(seed)).is_ok(),
            "RINGLOG_GROUP_SEEDS={seed}..{} repeats this",
            seed + 1
        );
    }
}
