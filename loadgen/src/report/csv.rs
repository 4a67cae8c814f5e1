//! The run over time as comma-separated values, one interval a line.

use std::io::{self, Write};

use super::Report;

/// Writes the intervals of `report`. Latencies are in microseconds, from the plan.
pub fn write_csv(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "start_s,requests,failed,records,bytes,p50_us,p90_us,p99_us,p99.9_us,max_us")?;
    for interval in &report.intervals {
        let latency = &interval.latency_ns;
        write!(
            out,
            "{:.3},{},{},{},{}",
            interval.start_s, interval.requests, interval.failed, interval.records, interval.bytes
        )?;
        for nanos in [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max] {
            match nanos {
                Some(nanos) => write!(out, ",{:.3}", nanos as f64 / 1e3)?,
                None => write!(out, ",")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::super::{Report, Settings};
    use super::*;

    #[test]
    fn each_interval_is_a_line() {
        let mut bytes = Vec::new();
        write_csv(&Report::new(&measured(), Settings::default()), &mut bytes).expect("a vector");
        let text = String::from_utf8(bytes).expect("plain text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("0.000,10,0,100,10000,104."), "{}", lines[1]);
        assert!(lines.iter().all(|line| line.split(',').count() == 10));
    }
}
