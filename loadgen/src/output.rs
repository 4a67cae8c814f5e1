//! Where a result goes: the table on stdout, files, and the exit code.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::cli::Common;
use crate::measured::Measured;
use crate::plan::Rate;
use crate::report::{KafkaStyle, KafkaTool, Report, Settings, write_csv, write_hdr};

const NOT_VERIFIED: u8 = 3;
const FAILED: u8 = 4;
const THRESHOLD_BROKEN: u8 = 99;

/// What was asked for, as the report says it.
pub fn settings(workload: &str, flags: &Common) -> Settings {
    let (loop_kind, rate) = match flags.rate {
        Rate::Max => ("closed", None),
        Rate::PerSecond(rate) | Rate::Ramp(_, rate) => ("open", Some(rate)),
    };
    Settings {
        command: std::env::args().collect(),
        workload: workload.to_owned(),
        loop_kind: loop_kind.to_owned(),
        rate,
        connections: flags.connections,
        inflight: flags.inflight,
        threads: flags.threads,
    }
}

/// Makes the files that the flags ask for, so that a run is not measured for nothing; what is in them stays until then.
pub fn check_files(flags: &Common) -> anyhow::Result<()> {
    for path in [&flags.json, &flags.csv, &flags.hdr].into_iter().flatten() {
        File::options().create(true).append(true).open(path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// As [`finish`], with the line of one of Kafka's tools instead of the table.
pub fn finish_kafka_style(flags: &Common, tool: KafkaTool, measured: &Measured) -> anyhow::Result<ExitCode> {
    // A reader that has gone away is no error.
    let _ = write!(std::io::stdout(), "{}", KafkaStyle { tool, measured });
    let workload = match tool {
        KafkaTool::Producer => "produce",
        KafkaTool::Consumer { .. } => "fetch",
    };
    let report = Report::new(measured, settings(workload, flags));
    tell_wrong(&report);
    conclude(flags, measured, &report)
}

/// Prints and writes what the flags ask for.
pub fn finish(flags: &Common, measured: &Measured, report: &Report) -> anyhow::Result<ExitCode> {
    if flags.quiet {
        tell_wrong(report);
    } else {
        // A reader that has gone away is no error.
        let _ = write!(std::io::stdout(), "{report}");
    }
    conclude(flags, measured, report)
}

/// Where the table does not: why the exit code will not be 0.
fn tell_wrong(report: &Report) {
    if !report.verified || !report.errors.is_empty() {
        eprint!("{}", report.findings());
    }
}

/// The files, and what the exit code says.
fn conclude(flags: &Common, measured: &Measured, report: &Report) -> anyhow::Result<ExitCode> {
    if let Some(path) = &flags.json {
        let json = serde_json::to_string_pretty(report)?;
        std::fs::write(path, json + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(path) = &flags.csv {
        write(path, |out| write_csv(report, out))?;
    }
    if let Some(path) = &flags.hdr {
        let since = Duration::from_millis(measured.window_start_ms.unsigned_abs());
        let start = SystemTime::UNIX_EPOCH + since;
        write(path, |out| write_hdr(measured, start, out))?;
    }
    let broken: Vec<String> = flags.threshold.iter().filter_map(|threshold| threshold.broken_by(measured)).collect();
    broken.iter().for_each(|text| eprintln!("threshold not met: {text}"));
    Ok(match (report.verified, report.errors.is_empty(), broken.is_empty()) {
        (false, _, _) => ExitCode::from(NOT_VERIFIED),
        (true, false, _) => ExitCode::from(FAILED),
        (true, true, false) => ExitCode::from(THRESHOLD_BROKEN),
        (true, true, true) => ExitCode::SUCCESS,
    })
}

fn write(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> anyhow::Result<()> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()
    });
    written.with_context(|| format!("write {}", path.display()))
}
