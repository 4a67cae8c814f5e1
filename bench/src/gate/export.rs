//! What the gate writes: its own JSON, Markdown, and the formats of github-action-benchmark and Bencher.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::verdict::{Finding, Severity};
use super::{Gate, SCHEMA_VERSION};
use crate::figure;

/// Of less than this per request a change in percent says nothing.
const CHANGE_MIN: f64 = 0.05;

/// `gate.json`, `gate.md`, `github-action-benchmark.json`, `bencher.json`.
pub fn write(gate: &Gate, findings: &[Finding], folder: &Path) -> anyhow::Result<()> {
    debug_assert_eq!(gate.schema_version, SCHEMA_VERSION);
    let files = [
        ("gate.json", serde_json::to_string_pretty(gate)?),
        ("gate.md", markdown(gate, findings)),
        ("github-action-benchmark.json", serde_json::to_string_pretty(&github_action_benchmark(gate))?),
        ("bencher.json", serde_json::to_string_pretty(&bencher(gate))?),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), format!("{text}\n")).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

/// A table and the findings below it.
pub fn markdown(gate: &Gate, findings: &[Finding]) -> String {
    let mut text =
        format!("### Ringlog against {}\n\n| load | per request | base | now | |\n|---|---|--:|--:|--:|\n", gate.base);
    for (kind, counts) in &gate.counts {
        for (name, now) in counts {
            let base = gate.base_counts.get(kind).and_then(|counts| counts.get(name));
            let shown = base.map_or_else(|| "-".to_owned(), |base| figure::format(*base));
            let change = base.filter(|base| **base >= CHANGE_MIN).map_or_else(String::new, |base| change(now / base));
            let _ = writeln!(text, "| {kind} | {name} | {shown} | {} | {change} |", figure::format(*now));
        }
    }
    for (kind, ratio) in &gate.cpu {
        let interval = ratio.interval.map_or_else(String::new, |[low, high]| format!(" ({low:.2}-{high:.2})"));
        let disturbed = if gate.disturbed.contains(kind) { ", disturbed" } else { "" };
        let (ratio, change) = (ratio.ratio, change(ratio.ratio));
        let _ = writeln!(text, "| {kind} | CPU time | 1 | {ratio:.2}{interval}{disturbed} | {change} |");
    }
    if !gate.disturbed.is_empty() {
        text.push_str("\nOther processes disturbed the rounds of CPU time: they do not block.\n");
    }
    if findings.is_empty() {
        text.push_str("\nNothing got dearer.\n");
    }
    for finding in findings {
        let word = match finding.severity {
            Severity::Warns => "Warning",
            Severity::Blocks => "**Regression**",
        };
        let _ = writeln!(text, "\n{word}: {}", finding.text);
    }
    text
}

fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// `customSmallerIsBetter` of github-action-benchmark.
fn github_action_benchmark(gate: &Gate) -> Value {
    let counts =
        gate.counts.iter().flat_map(|(kind, counts)| counts.iter().map(move |(name, value)| (kind, name, value)));
    counts
        .map(|(kind, name, value)| json!({"name": format!("{kind}: {name}"), "unit": "per request", "value": value}))
        .collect()
}

/// Bencher's metric format: benchmark, measure, value.
fn bencher(gate: &Gate) -> Value {
    let benchmarks = gate.counts.iter().map(|(kind, counts)| {
        let measures = counts.iter().map(|(name, value)| (name.replace(' ', "-"), json!({"value": value})));
        (kind.clone(), Value::Object(measures.collect::<Map<_, _>>()))
    });
    Value::Object(benchmarks.collect())
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{findings, tests::gate};
    use super::*;

    #[test]
    fn all_formats_carry_the_counts() {
        let mut gate = gate(11_000.0, [2.0, 1.0], [0.9, 1.0, 1.1]);
        gate.schema_version = SCHEMA_VERSION;
        let findings = findings(&gate);
        let text = markdown(&gate, &findings);
        assert!(text.contains("| produce-1r sync | instructions | 10,000 | 11,000 | +10.0 % |"), "{text}");
        assert!(text.contains("**Regression**: produce-1r sync: instructions"));
        let rows = github_action_benchmark(&gate);
        assert_eq!(rows[1]["name"], "produce-1r sync: instructions");
        assert_eq!(bencher(&gate)["produce-1r sync"]["ring-calls"]["value"], 2.0);
        let folder = tempfile::tempdir().unwrap();
        write(&gate, &findings, folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
