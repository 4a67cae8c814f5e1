//! Files of commit logs that are commit logs no more: those that nobody needs, with what removes them while the broker
//! serves, and those that hold what is carried over the start, which stay.
//!
//! To free the blocks of one takes tens of milliseconds, and a start finds several of each shard: it only renames them.
//!
//! Invariants:
//! - A file that was set aside is never a commit log again. At most one of each slot and kind is there, as the next one
//!   takes its name.
//! - What is to be kept is known to be so from elsewhere, durably, before anything is set aside.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::extents::LogFileId;
use super::parse_file_name;
use crate::log::direct::open_direct_or_cached;
use crate::reactor::{Disk, File, OpenMode, Reactor, read_file, replace_file};

/// How the name of a file ends that nobody needs.
const DISCARDED_SUFFIX: &str = ".discarded";
/// How the name of a file ends that holds what is carried.
pub(super) const CARRIED_SUFFIX: &str = ".carried";
const REPLAYED_LIST: &str = "commit-replayed";
/// Bytes that are freed at a time: what a shard may wait for.
const PIECE_BYTES: u64 = 4 << 20;
/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes the discarded files of `dir`, from their ends, piece by piece. What it does not come to, the next start removes.
pub async fn remove_discarded(reactor: Reactor, dir: PathBuf) {
    let disk = reactor.disk();
    let removed = async {
        for path in list(&disk, &dir)? {
            let file = File::open(&disk, &path, OpenMode { create: false, ..OpenMode::READ_WRITE })?;
            let mut len = file.len()?;
            while len > PIECE_BYTES {
                len -= PIECE_BYTES;
                file.set_len(len)?;
                reactor.sleep(PAUSE).await;
            }
            disk.remove_file(&path)?;
        }
        io::Result::Ok(())
    };
    match removed.await {
        // A clean stop has removed the folder.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %dir.display(), %error, "old commit logs cannot be removed");
        }
        _ => {}
    }
}

/// Sets all commit logs of `dir` aside, and what was kept before: as files that hold what is carried those that are among
/// `kept`, the others for [`remove_discarded`]. Call it when everything handed out is synced in segments, or durably said to
/// lie in files that are kept. A crash inside is harmless. Without logs it does nothing.
pub fn discard_all(disk: &Rc<dyn Disk>, dir: &Path, kept: &[LogFileId]) -> io::Result<()> {
    let id_of = |name: &str| LogFileId::of(&open_direct_or_cached(disk, &dir.join(name), OpenMode::READ)?);
    let (mut names, mut ids, mut kept_names) = (Vec::new(), String::new(), Vec::new());
    for name in list_carried(disk, dir)? {
        if !id_of(&name)?.is_some_and(|id| kept.contains(&id)) {
            names.push(name);
        }
    }
    for (name, ..) in list_files(disk, dir)? {
        let id = id_of(&name)?;
        if let Some(LogFileId { log_id, .. }) = id {
            ids.push_str(&format!("{log_id:016x}\n"));
        }
        let is_kept = id.is_some_and(|id| kept.contains(&id));
        if is_kept { &mut kept_names } else { &mut names }.push(name);
    }
    let list = dir.join(REPLAYED_LIST);
    // Files that were never written to may come back.
    if !ids.is_empty() {
        replace_file(disk, &list, ids.as_bytes())?;
    }
    // Those that are kept take names that others have.
    let discarded = names.iter().map(|name| (name, DISCARDED_SUFFIX));
    for (name, suffix) in discarded.chain(kept_names.iter().map(|name| (name, CARRIED_SUFFIX))) {
        disk.rename(&dir.join(name), &dir.join(format!("{name}{suffix}")))?;
    }
    if !ids.is_empty() {
        disk.sync_dir(dir)?;
    }
    if disk.exists(&list) {
        disk.remove_file(&list)?;
    }
    Ok(())
}

/// Ids of logs that [`discard_all`] was at.
pub(super) fn read_replayed_list(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<u64>> {
    let path = dir.join(REPLAYED_LIST);
    if !disk.exists(&path) {
        return Ok(Vec::new());
    }
    let bytes = read_file(disk, &path)?;
    let ids = String::from_utf8_lossy(&bytes);
    Ok(ids.lines().filter_map(|line| u64::from_str_radix(line, 16).ok()).collect())
}

/// Name, shard and slot of each commit log file of `dir`; a missing folder has none.
pub(super) fn list_files(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<(String, u16, u32)>> {
    let names = list_names(disk, dir)?.into_iter();
    Ok(names.filter_map(|name| parse_file_name(&name).map(|(shard_id, slot)| (name, shard_id, slot))).collect())
}

/// Names of the files that hold what is carried.
fn list_carried(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<String>> {
    let is_carried =
        |name: &String| name.strip_suffix(CARRIED_SUFFIX).is_some_and(|name| parse_file_name(name).is_some());
    Ok(list_names(disk, dir)?.into_iter().filter(is_carried).collect())
}

fn list_names(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<String>> {
    match disk.list_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => Ok(entries?.into_iter().map(|entry| entry.name).collect()),
    }
}

fn list(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let names = disk.list_dir(dir)?.into_iter().map(|entry| entry.name);
    Ok(names.filter(|name| name.ends_with(DISCARDED_SUFFIX)).map(|name| dir.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::sim::{SimConfig, SimWorld};

    #[test]
    fn only_discarded_files_go_and_a_large_one_in_pieces() {
        let world = SimWorld::new(1, SimConfig::default());
        let (disk, dir): (Rc<dyn Disk>, _) = (world.disk(0), Path::new("/data"));
        disk.create_dir_all(dir).expect("made");
        for name in ["commit-0-0.log", "commit-0-0.log.carried", "commit-0-0.log.discarded", "commit-1-0.log.discarded"]
        {
            let file = File::open(&disk, &dir.join(name), OpenMode::READ_WRITE).expect("opened");
            file.set_len(2 * PIECE_BYTES + 1).expect("sized");
        }
        let reactor = world.reactor(0, 0);
        reactor.spawn(remove_discarded(reactor.clone(), dir.to_owned()));
        world.run_for(PAUSE / 2);
        let first = File::open(&disk, &dir.join("commit-0-0.log.discarded"), OpenMode::READ).expect("still there");
        assert_eq!(first.len().expect("known"), PIECE_BYTES + 1);
        world.run_for(10 * PAUSE);
        let left: Vec<_> = disk.list_dir(dir).expect("listed").into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, ["commit-0-0.log", "commit-0-0.log.carried"]);
    }
}
