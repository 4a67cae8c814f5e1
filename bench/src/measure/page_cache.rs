//! How much of the page cache some files hold, as `fincore` of util-linux says it: by cachestat(2) where the kernel has
//! it, else by mincore(2).

use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of one command line.
const FILES_MAX: usize = 1_000;
const MIB: f64 = (1 << 20) as f64;

/// Mebibytes of the page cache that the files below a folder hold; nothing without `fincore`.
pub fn page_cache_mib(folder: &Path) -> Option<f64> {
    let mut files = Vec::new();
    files_below(folder, &mut files);
    let parts = files.chunks(FILES_MAX).map(resident_bytes);
    parts.sum::<Option<u64>>().map(|bytes| bytes as f64 / MIB)
}

/// A file that goes away meanwhile is told on stderr, and counts nothing.
fn resident_bytes(files: &[PathBuf]) -> Option<u64> {
    let output =
        Command::new("fincore").args(["--bytes", "--noheadings", "--output", "RES"]).args(files).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().parse::<u64>().ok()).sum()
}

/// Empty files are in no cache.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => files_below(&entry.path(), files),
            Ok(metadata) if metadata.len() > 0 => files.push(entry.path()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_in_the_page_cache() {
        if let Err(error) = Command::new("fincore").arg("--version").output() {
            println!("not run: fincore of util-linux: {error}");
            return;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        std::fs::create_dir(folder.path().join("topic-0")).unwrap();
        assert_eq!(page_cache_mib(folder.path()), Some(0.0));
        std::fs::write(folder.path().join("topic-0/0.log"), vec![1; 2 << 20]).unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        assert_eq!(page_cache_mib(folder.path()), Some(2.0));
    }
}
