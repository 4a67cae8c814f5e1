//! Free memory that costs a run nothing but its own work: `docs/decisions/0018-warm-memory.md`.

use std::fs::{File, remove_file};
use std::io::{self, Write};
use std::path::Path;

/// One write.
const PIECE: usize = 1 << 20;

/// Has `mib` of free memory backed by the hypervisor for the next two seconds: pages of a file in `folder` that is
/// written and removed. The next file's pages are the same ones.
///
/// # Errors
/// The file cannot be written or removed.
pub fn warm_memory(folder: &Path, mib: u32) -> io::Result<()> {
    if mib == 0 {
        return Ok(());
    }
    let path = folder.join("warm-memory");
    let mut file = File::create(&path)?;
    remove_file(&path)?;
    let piece = vec![7; PIECE];
    (0..mib).try_for_each(|_| file.write_all(&piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        warm_memory(folder.path(), 2).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(warm_memory(&folder.path().join("missing"), 1).is_err());
    }
}
