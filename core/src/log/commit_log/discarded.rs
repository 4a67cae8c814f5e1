//! Files of commit logs that nobody needs any more, and what removes them while the broker serves.
//!
//! To free the blocks of one takes tens of milliseconds, and a start finds several of each shard: it only renames them.
//!
//! Invariant: a discarded file is never a commit log again. At most one of each slot is there, as the next one takes its name.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::reactor::{Disk, File, OpenMode, Reactor};

/// How the name of such a file ends.
pub(super) const DISCARDED_SUFFIX: &str = ".discarded";
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
        for name in ["commit-0-0.log", "commit-0-0.log.discarded", "commit-1-0.log.discarded"] {
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
        assert_eq!(left, ["commit-0-0.log"]);
    }
}
