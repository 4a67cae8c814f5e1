//! `ringlog version`.

/// Name and version, as `--version` prints them.
pub fn version_line() -> &'static str {
    concat!("ringlog ", env!("CARGO_PKG_VERSION"))
}
