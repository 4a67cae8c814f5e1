//! Removes the files of deleted segments and partitions.
//!
//! Invariants:
//! - One file at a time: the removal of a large one takes milliseconds, for which a sync of the commit log waits in the
//!   kernel, and a topic of thousands of partitions may be deleted at once.
//! - What waits is named by what is on disk, so it needs no bound of its own. A stop leaves it: the next use of the log,
//!   or the next start, removes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::log::Retired;
use ringlog_core::reactor::Reactor;

/// What one shard is to remove, the oldest first; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Removals(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    reactor: Reactor,
    waiting: RefCell<VecDeque<Removal>>,
    is_running: Cell<bool>,
}

#[derive(Debug)]
enum Removal {
    File(PathBuf),
    /// With all its files.
    Folder(PathBuf),
}

impl Removals {
    /// Nothing waits.
    pub fn new(reactor: Reactor) -> Self {
        Self(Rc::new(Inner { reactor, waiting: RefCell::default(), is_running: Cell::new(false) }))
    }

    /// Removes the files of deleted segments after their delay.
    pub fn remove_later(&self, Retired { files, delay_ms, .. }: Retired) {
        if files.is_empty() {
            return;
        }
        let removals = self.clone();
        self.0.reactor.spawn(async move {
            let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or_default());
            removals.0.reactor.sleep(delay).await;
            removals.queue(files.into_iter().map(Removal::File));
        });
    }

    /// Removes the folder of a deleted partition, file by file.
    pub fn remove_folder(&self, folder: PathBuf) {
        self.queue([Removal::Folder(folder)]);
    }

    fn queue(&self, removals: impl IntoIterator<Item = Removal>) {
        self.0.waiting.borrow_mut().extend(removals);
        if !self.0.is_running.replace(true) {
            let removals = self.clone();
            self.0.reactor.spawn(async move { removals.run().await });
        }
    }

    async fn run(&self) {
        let disk = self.0.reactor.disk();
        loop {
            let next = self.0.waiting.borrow_mut().pop_front();
            match next {
                None => return self.0.is_running.set(false),
                Some(Removal::File(path)) => self.remove_file(&path).await,
                Some(Removal::Folder(folder)) => {
                    for entry in disk.list_dir(&folder).unwrap_or_default() {
                        self.remove_file(&folder.join(entry.name)).await;
                    }
                    if let Err(error) = disk.remove_dir_all(&folder) {
                        let folder = folder.display();
                        tracing::warn!(%folder, %error, "the folder of a deleted partition cannot be removed");
                    }
                }
            }
        }
    }

    /// Large files take their time, in which the shard serves.
    async fn remove_file(&self, path: &Path) {
        match self.0.reactor.remove_file(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), %error, "what was deleted cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::reactor::sim::{SimConfig, SimWorld};
    use ringlog_core::reactor::{Disk, put_file};

    use super::*;

    #[test]
    fn one_file_goes_after_the_other() {
        let world = SimWorld::new(1, SimConfig::default());
        let disk: Rc<dyn Disk> = world.disk(0);
        let folders = ["/a", "/b"].map(Path::new);
        let files: Vec<PathBuf> =
            folders.iter().flat_map(|folder| (0..50).map(|file| folder.join(format!("{file:02}")))).collect();
        folders.iter().try_for_each(|folder| disk.create_dir_all(folder)).unwrap();
        files.iter().try_for_each(|file| put_file(&disk, file, [&b"records"[..]])).unwrap();

        let removals = Removals::new(world.reactor(0, 0));
        folders.iter().for_each(|folder| removals.remove_folder(folder.to_path_buf()));
        let is_done = || {
            let mut left = files.iter().skip_while(|file| !disk.exists(file));
            assert!(left.all(|file| disk.exists(file)), "one went before its turn");
            !disk.exists(folders[1])
        };
        assert!(world.run_until(Duration::from_secs(60), is_done));
        assert!(!disk.exists(folders[0]));
    }
}
