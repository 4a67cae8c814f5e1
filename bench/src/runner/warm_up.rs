//! Warms a broker up: all loads in turn, pass after pass. On a JVM until what a pass costs no longer changes, since it
//! compiles what it runs often; any other for its time.
//!
//! A pass counts by the geometric mean of what its loads cost, so that each weighs the same: CPU per request, or the time
//! per request of a broker whose CPU is not seen.

use std::time::Instant;

use super::Runner;
use crate::load::LoadError;
use crate::results::{WarmUp, Warmup};
use crate::scenario::{Cell, Class, WarmUntil};

/// How long one load runs in a pass, at least and at most.
const PIECE_SECONDS: [f64; 2] = [0.3, 2.0];

/// What the passes cost so far.
#[derive(Debug, Default)]
struct Passes(Vec<f64>);

impl Passes {
    /// Adds one; nothing where no load of it was answered.
    fn add(&mut self, costs: &[f64]) {
        let logarithms: f64 = costs.iter().map(|cost| cost.ln()).sum();
        let cost = (logarithms / costs.len() as f64).exp();
        self.0.extend(Some(cost).filter(|cost| cost.is_finite()));
    }

    /// How far the last passes lie from one another, in percent of the least; nothing before there are so many.
    fn spread_percent(&self, until: &WarmUntil) -> Option<f64> {
        let last = &self.0[self.0.len().checked_sub(until.passes as usize)?..];
        let ends = last.iter().fold([f64::INFINITY, 0.0], |[low, high], cost| [cost.min(low), cost.max(high)]);
        Some((ends[1] / ends[0] - 1.0) * 100.0)
    }
}

impl<'a> Runner<'a> {
    pub(super) fn warm_up(&mut self) -> anyhow::Result<()> {
        for index in 0..self.brokers.len() {
            self.warm_up_broker(index);
            self.brokers[index].check_alive()?;
        }
        Ok(())
    }

    fn warm_up_broker(&mut self, index: usize) {
        let (scenario, until) = (self.scenario, &self.scenario.warm_until);
        let target = self.brokers[index].target.clone();
        let (least, most) = match target.is_jvm() {
            true => (scenario.jvm_warmup_seconds, scenario.jvm_warmup_seconds * until.times_max),
            false => (scenario.native_warmup_seconds, scenario.native_warmup_seconds),
        };
        let mut cells = self.turns();
        cells.retain(|(cell, class)| cell.warms_up() && self.brokers[index].serves(*class));
        if cells.is_empty() || least <= 0.0 {
            return;
        }
        // Topics that are filled once are, before the clock runs; a failure shows again in the first pass.
        for (cell, class) in cells.iter().filter(|(cell, _)| cell.fill.is_some()) {
            let _ = self.turn(cell, *class, "fill", index);
        }
        let piece = least / f64::from(until.passes) / cells.len() as f64;
        let (began, mut passes, mut pieces) = (Instant::now(), Passes::default(), 0);
        let took_s = |at: Instant| at.duration_since(began).as_secs_f64();
        let mut is_stable = false;
        while !is_stable && !cells.is_empty() && took_s(Instant::now()) < most {
            let mut costs = Vec::new();
            // One that fails is not tried again.
            cells.retain(|(cell, class)| {
                let left = most - took_s(Instant::now());
                if left <= 0.0 {
                    return true;
                }
                self.progress.say(&format!("warm-up of {target}: {} ({left:.0} s left at most)", cell.name));
                pieces += 1;
                let seconds = piece.clamp(PIECE_SECONDS[0], PIECE_SECONDS[1]);
                let Ok(measured) = self.warm_up_piece(cell, *class, index, pieces, seconds) else { return false };
                costs.extend(measured.us_per_request.or(measured.requests_per_s.map(|per_s| 1e6 / per_s)));
                self.results.lives[index].warmup.push(Warmup { at_s: took_s(Instant::now()), ..measured });
                true
            });
            if costs.len() == cells.len() {
                passes.add(&costs);
            }
            let spread = passes.spread_percent(until);
            is_stable = took_s(Instant::now()) >= least && spread.is_some_and(|spread| spread <= until.within_percent);
        }
        let warm_up =
            WarmUp { took_s: took_s(Instant::now()), is_stable, spread_percent: passes.spread_percent(until) };
        if !target.is_jvm() {
            return;
        }
        if !is_stable {
            self.progress.warn(&format!("{target}: {}", warm_up.told()));
        }
        self.results.lives[index].warm_up = Some(warm_up);
    }

    fn warm_up_piece(
        &mut self,
        cell: &'a Cell,
        class: Class,
        index: usize,
        piece: u32,
        seconds: f64,
    ) -> Result<Warmup, LoadError> {
        let turn = self.turn(cell, class, &format!("warm{piece}"), index)?;
        let loaded = turn.load(0.0, seconds);
        turn.forget_topic();
        let values = loaded?.values;
        let value = |key: &str| values.get(key).copied().filter(|value| *value > 0.0);
        Ok(Warmup {
            at_s: 0.0,
            cell: cell.name.clone(),
            us_per_request: value("broker_us_per_request"),
            requests_per_s: value("requests_per_s"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_stable_once_the_last_of_them_are_alike() {
        let until = WarmUntil { passes: 3, within_percent: 10.0, times_max: 2.0 };
        let mut passes = Passes::default();
        let mut spreads = Vec::new();
        for cost in [90.0, 40.0, 20.0, 11.0, 10.5, 10.0] {
            passes.add(&[cost / 2.0, cost * 2.0]);
            spreads.push(passes.spread_percent(&until).map(f64::round));
        }
        assert_eq!(spreads, [None, None, Some(350.0), Some(264.0), Some(90.0), Some(10.0)]);
        passes.add(&[]);
        assert_eq!(passes.0.len(), 6, "a pass without an answer is none");
    }
}
