//! Sizes and durations as people write them.

use std::time::Duration;

/// Reads `100`, `16k`, `1m`, `2g` (powers of 1,024), with or without `b` or `ib`.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let short = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match short.as_bytes().last() {
        Some(b'k') => (&short[..short.len() - 1], 10),
        Some(b'm') => (&short[..short.len() - 1], 20),
        Some(b'g') => (&short[..short.len() - 1], 30),
        _ => (short, 0),
    };
    let wrong = || format!("`{text}` is no size: write bytes such as `100`, `16k` or `1m`");
    digits.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(wrong)
}

/// Reads `5s`, `500ms`, `50us`, `2m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let lower = text.trim().to_ascii_lowercase();
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    units
        .iter()
        .find_map(|(unit, factor)| Some(lower.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{text}` is no duration: write `5s`, `500ms` or `50us`"))
}

/// A duration that is not zero.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    parse_duration(text).and_then(|length| match length.is_zero() {
        true => Err(format!("`{text}` is no time")),
        false => Ok(length),
    })
}

/// Nanoseconds with three digits and a fitting unit.
pub fn format_nanos(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    match value {
        0.0..10.0 => format!("{value:.2} {unit}"),
        0.0..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(parse_bytes("16k"), Ok(16_384));
        assert_eq!(parse_bytes("1MiB"), Ok(1 << 20));
        assert_eq!(parse_bytes("100b"), Ok(100));
        assert!(parse_bytes("1.5k").is_err() && parse_bytes("").is_err() && parse_bytes("k").is_err());
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("50us"), Ok(Duration::from_micros(50)));
        assert!(parse_duration("5").is_err() && parse_duration("-1s").is_err() && parse_duration("s").is_err());
        assert!(parse_length("0s").is_err() && parse_duration("0s").is_ok());
    }

    #[test]
    fn nanos_are_readable() {
        assert_eq!(format_nanos(1_234), "1.23 us");
        assert_eq!(format_nanos(12_345_678), "12.3 ms");
        assert_eq!(format_nanos(2_000_000_000), "2.00 s");
    }
}
