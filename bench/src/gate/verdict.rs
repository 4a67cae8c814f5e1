//! What is a regression.

use super::Gate;

/// By how much a count may grow: above what the same build showed against itself on a machine with fifteen times the
/// work of its cores (instructions 4 %, system calls 24 %, allocations 20 %), where a request takes more loop turns.
const LIMITS: [Limit; 3] = [
    Limit { count: "instructions", factor: 1.08, at_least: 200.0 },
    Limit { count: "system calls", factor: 1.35, at_least: 1.0 },
    Limit { count: "allocations", factor: 1.30, at_least: 2.0 },
];
/// CPU time that warns, when the interval leaves no doubt that there is a difference.
const CPU_WARNS: f64 = 1.03;
/// CPU time that blocks, when the whole interval lies beyond.
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

/// All that got dearer. What the base did not count cannot be compared and is no finding.
pub fn findings(gate: &Gate) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, counts) in &gate.counts {
        for limit in &LIMITS {
            let base = gate.base_counts.get(kind).and_then(|counts| counts.get(limit.count));
            let (Some(new), Some(base)) = (counts.get(limit.count), base) else { continue };
            if *new > base * limit.factor && new - base > limit.at_least {
                let percent = (new / base - 1.0) * 100.0;
                let name = limit.count;
                let text = format!("{kind}: {name} per request {base:.1} -> {new:.1} (+{percent:.1} %)");
                findings.push(Finding { severity: Severity::Blocks, text });
            }
        }
    }
    for (kind, ratio) in &gate.cpu {
        let Some([low, high]) = ratio.interval else { continue };
        let severity = match low {
            _ if low > CPU_BLOCKS => Severity::Blocks,
            _ if low > 1.0 && ratio.ratio > CPU_WARNS => Severity::Warns,
            _ => continue,
        };
        let text = format!("{kind}: CPU per request {:.2} times that of the base ({low:.2}-{high:.2})", ratio.ratio);
        findings.push(Finding { severity, text });
    }
    findings
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::stats::Ratio;

    /// This build over a base of 10,000 instructions, 4 system calls and 2 allocations.
    pub fn gate(instructions: f64, system_calls: f64, cpu: [f64; 3]) -> Gate {
        let counts = |instructions: f64, system_calls: f64| {
            let of_kind = [("instructions", instructions), ("system calls", system_calls), ("allocations", 2.0)];
            [("produce-1r sync".to_owned(), of_kind.map(|(name, count)| (name.to_owned(), count)).into())].into()
        };
        let ratio = Ratio { ratio: cpu[1], interval: Some([cpu[0], cpu[2]]), rounds: 7 };
        Gate {
            base: "main".to_owned(),
            base_counts: counts(10_000.0, 4.0),
            counts: counts(instructions, system_calls),
            cpu: [("produce-1r sync".to_owned(), ratio)].into(),
            ..Gate::default()
        }
    }

    fn severities(gate: &Gate) -> Vec<Severity> {
        findings(gate).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn ten_percent_more_block_and_noise_does_not() {
        const SAME: [f64; 3] = [0.97, 1.0, 1.03];
        assert_eq!(severities(&gate(10_420.0, 4.9, SAME)), []);
        assert_eq!(severities(&gate(9_000.0, 3.0, SAME)), []);
        assert_eq!(severities(&gate(11_000.0, 4.0, SAME)), [Severity::Blocks]);
        assert_eq!(severities(&gate(10_000.0, 6.0, SAME)), [Severity::Blocks]);
    }

    #[test]
    fn cpu_time_blocks_only_beyond_all_doubt() {
        assert_eq!(severities(&gate(10_000.0, 4.0, [1.01, 1.2, 1.4])), [Severity::Warns]);
        assert_eq!(severities(&gate(10_000.0, 4.0, [0.9, 1.2, 1.4])), []);
        assert_eq!(severities(&gate(10_000.0, 4.0, [1.15, 1.2, 1.4])), [Severity::Blocks]);
    }

    #[test]
    fn what_the_base_did_not_count_is_no_finding() {
        let mut gate = gate(99_000.0, 9.0, [1.0, 1.0, 1.0]);
        gate.base_counts.clear();
        assert_eq!(severities(&gate), []);
    }
}
