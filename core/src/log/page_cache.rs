//! Whether the page cache that a log directory was written through is still there, at the start after a crash.
//!
//! A killed process leaves all that it wrote in the page cache, whole but for the end of its last write. A power cut takes
//! it, and so does a file system that was mounted again. The mark, written at each start and never synced, names the page
//! cache by what differs whenever it is another one ([`Disk::page_cache_id`]), and with it the mark's own inode: a copy of
//! the directory is not believed.
//!
//! It speaks of what was written, not of what is on the device: nothing counts as synced because of it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::planted::{PlantedBug, is_planted};
use super::recovery::COMMIT_LOG_FOLDER;
use crate::reactor::{Disk, File, OpenMode, read_file};

const MARK_FILE: &str = "page-cache";

fn mark_path(log_dir: &Path) -> PathBuf {
    log_dir.join(COMMIT_LOG_FOLDER).join(MARK_FILE)
}

/// Marks the directory as written through the present page cache. Where that has no name, nothing will be believed.
pub(crate) fn mark_page_cache(disk: &Rc<dyn Disk>, log_dir: &Path) -> io::Result<()> {
    let path = mark_path(log_dir);
    let file = File::open(disk, &path, OpenMode::REWRITE)?;
    disk.page_cache_id(&path).map_or(Ok(()), |id| file.write_all_at(0, id.as_bytes()))
}

/// Whether the page cache is the one that was marked.
pub(crate) fn is_same_page_cache(disk: &Rc<dyn Disk>, log_dir: &Path) -> bool {
    let path = mark_path(log_dir);
    let Some(id) = disk.page_cache_id(&path) else { return false };
    read_file(disk, &path).is_ok_and(|marked| marked == id.as_bytes() || is_planted(PlantedBug::AnyPageCacheBelieved))
}
