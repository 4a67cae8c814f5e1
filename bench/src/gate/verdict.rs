//! What is a regression.

use super::Gate;
use super::system_calls::{OTHER_CALLS, RING_CALLS};

/// By how much a count may grow. Instructions, allocations and copies are the same in every run of one build; what is left is
/// what a compiler does differently with code that did not change. A loop turns more often where the machine is busy.
const LIMITS: [Limit; 5] = [
    Limit { count: "instructions", factor: 1.03, at_least: 100.0 },
    Limit { count: "allocations", factor: 1.0, at_least: 0.4 },
    Limit { count: "bytes copied", factor: 1.03, at_least: 100.0 },
    Limit { count: OTHER_CALLS, factor: 1.05, at_least: 0.4 },
    Limit { count: RING_CALLS, factor: 1.35, at_least: 0.8 },
];
/// CPU time that warns, when the interval leaves no doubt that there is a difference.
const CPU_WARNS: f64 = 1.03;
/// CPU time that blocks, when the whole interval lies beyond; only warns where other processes disturbed the rounds.
const CPU_BLOCKS: f64 = 1.10;

struct Limit {
    count: &'static str,
    factor: f64,
    /// Growth per request below this is none.
    at_least: f64,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For people to look at.
    Warns,
    /// A regression.
    Blocks,
}

/// Something that got dearer.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// In a sentence.
    pub text: String,
}

impl Limit {
    fn is_exceeded(&self, new: f64, base: f64) -> bool {
        new > base * self.factor && new - base > self.at_least
    }
}

/// All that got dearer. What the base did not count cannot be compared and is no finding.
pub fn findings(gate: &Gate) -> Vec<Finding> {
    let mut findings: Vec<Finding> = grown(gate)
        .map(|(kind, name, [base, new])| {
            let percent = (new / base - 1.0) * 100.0;
            let text = format!("{kind}: {name} per request {base:.1} -> {new:.1} (+{percent:.1} %)");
            Finding { severity: Severity::Blocks, text }
        })
        .collect();
    for (kind, ratio) in &gate.cpu {
        let Some([low, high]) = ratio.interval else { continue };
        let severity = match (low > CPU_BLOCKS, gate.disturbed.contains(kind)) {
            (true, false) => Severity::Blocks,
            (true, true) => Severity::Warns,
            (false, false) if low > 1.0 && ratio.ratio > CPU_WARNS => Severity::Warns,
            _ => continue,
        };
        let text = format!("{kind}: CPU per request {:.2} times that of the base ({low:.2}-{high:.2})", ratio.ratio);
        findings.push(Finding { severity, text });
    }
    findings
}

/// Whether a count that a busy machine changes is over its limit.
pub fn system_calls_grew(gate: &Gate) -> bool {
    grown(gate).any(|(_, name, _)| [OTHER_CALLS, RING_CALLS].contains(&name))
}

/// Counts over their limits: kind, name, base and new.
fn grown(gate: &Gate) -> impl Iterator<Item = (&str, &'static str, [f64; 2])> {
    gate.counts.iter().flat_map(|(kind, counts)| {
        let of_base = gate.base_counts.get(kind);
        LIMITS.iter().filter_map(move |limit| {
            let (new, base) = (*counts.get(limit.count)?, *of_base?.get(limit.count)?);
            limit.is_exceeded(new, base).then_some((kind.as_str(), limit.count, [base, new]))
        })
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::stats::Ratio;

    /// This build over a base of 10,000 instructions, 2 ring calls, 1 other system call and 2 allocations.
    pub fn gate(instructions: f64, [ring_calls, other_calls]: [f64; 2], cpu: [f64; 3]) -> Gate {
        let counts = |instructions: f64, ring_calls: f64, other_calls: f64| {
            let of_kind = [
                ("instructions", instructions),
                (RING_CALLS, ring_calls),
                (OTHER_CALLS, other_calls),
                ("allocations", 2.0),
            ];
            [("produce-1r sync".to_owned(), of_kind.map(|(name, count)| (name.to_owned(), count)).into())].into()
        };
        let ratio = Ratio { ratio: cpu[1], interval: Some([cpu[0], cpu[2]]), rounds: 7 };
        Gate {
            base: "main".to_owned(),
            base_counts: counts(10_000.0, 2.0, 1.0),
            counts: counts(instructions, ring_calls, other_calls),
            cpu: [("produce-1r sync".to_owned(), ratio)].into(),
            ..Gate::default()
        }
    }

    fn severities(gate: &Gate) -> Vec<Severity> {
        findings(gate).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn what_grows_blocks_and_noise_does_not() {
        const SAME: [f64; 3] = [0.97, 1.0, 1.03];
        assert_eq!(severities(&gate(10_200.0, [2.6, 1.1], SAME)), []);
        assert_eq!(severities(&gate(9_000.0, [1.0, 0.5], SAME)), []);
        assert_eq!(severities(&gate(11_000.0, [2.0, 1.0], SAME)), [Severity::Blocks]);
        assert_eq!(severities(&gate(10_000.0, [2.0, 2.0], SAME)), [Severity::Blocks]);
        assert_eq!(severities(&gate(10_000.0, [3.0, 1.0], SAME)), [Severity::Blocks]);
        let mut copies = gate(10_000.0, [2.0, 1.0], SAME);
        for (counts, bytes) in [(&mut copies.base_counts, 20_000.0), (&mut copies.counts, 36_000.0)] {
            counts.values_mut().for_each(|counts| counts.extend([("bytes copied".to_owned(), bytes)]));
        }
        assert_eq!(severities(&copies), [Severity::Blocks]);
        assert!(system_calls_grew(&gate(10_000.0, [3.0, 1.0], SAME)));
        assert!(!system_calls_grew(&gate(11_000.0, [2.0, 1.0], SAME)));
    }

    #[test]
    fn cpu_time_blocks_only_beyond_all_doubt() {
        let severities = |cpu| severities(&gate(10_000.0, [2.0, 1.0], cpu));
        assert_eq!(severities([1.01, 1.2, 1.4]), [Severity::Warns]);
        assert_eq!(severities([0.9, 1.2, 1.4]), []);
        assert_eq!(severities([1.15, 1.2, 1.4]), [Severity::Blocks]);
    }

    #[test]
    fn cpu_time_among_busy_processes_never_blocks() {
        let severities = |cpu| {
            let mut gate = gate(10_000.0, [2.0, 1.0], cpu);
            gate.disturbed = gate.cpu.keys().cloned().collect();
            severities(&gate)
        };
        assert_eq!(severities([1.01, 1.2, 1.4]), []);
        assert_eq!(severities([1.15, 1.2, 1.4]), [Severity::Warns]);
    }

    #[test]
    fn what_the_base_did_not_count_is_no_finding() {
        let mut gate = gate(99_000.0, [9.0, 9.0], [1.0, 1.0, 1.0]);
        gate.base_counts.clear();
        assert_eq!(severities(&gate), []);
    }
}
