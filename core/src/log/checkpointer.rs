//! Syncs segments in the background, so that the commit log's files can be used again and recovery has little to look at.
//!
//! It owns what it syncs by path and file, never the store: what it found is taken by the store at the end of a turn.
//!
//! Invariants:
//! - One run at a time. Its points are durable before anybody acts on them.
//! - A failed sync fails the run; the log it belongs to is stopped by the store and the sync is not repeated.
//! - A run during which anything else failed is failed too: its own syncs may have succeeded without what that lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use smallvec::smallvec;

use super::LogKey;
use super::commit_log::Lsn;
use super::failure::LogDirFailure;
use crate::reactor::{Disk, File, OpenMode, Reactor};

/// Syncs under way at a time.
const IN_FLIGHT_MAX: usize = 4;

/// One file to sync.
#[derive(Debug, Clone)]
pub(crate) struct SyncJob {
    pub key: LogKey,
    pub path: PathBuf,
}

/// A small file to be replaced.
#[derive(Debug)]
pub(crate) struct SmallFile {
    pub path: PathBuf,
    pub bytes: Bytes,
    pub durable: bool,
}

/// What a run is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Replaced first.
    pub small_files: Vec<SmallFile>,
    pub jobs: Vec<SyncJob>,
    /// Folders whose names must become durable, parents last.
    pub folders: Vec<PathBuf>,
    /// The file of synced points and its new content.
    pub points_path: PathBuf,
    pub points: String,
    /// Files that are not needed once the points are durable.
    pub obsolete: Vec<PathBuf>,
    /// Entries of the commit log below it are in the files of `jobs` or were synced before.
    pub release: Option<Lsn>,
    /// Of all that is written to the log directory.
    pub failure: LogDirFailure,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub release: Option<Lsn>,
    /// The log whose sync failed, or none when it was the list of points.
    pub error: Option<(Option<LogKey>, io::Error)>,
}

/// The background sync of one store.
pub(crate) struct Checkpointer {
    running: bool,
    done: Rc<RefCell<Option<Done>>>,
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Checkpointer").field("running", &self.running).finish()
    }
}

impl Checkpointer {
    pub fn new() -> Self {
        Self { running: false, done: Rc::new(RefCell::new(None)) }
    }

    pub fn is_running(&self) -> bool {
        self.running
    }

    /// What the last run found, once.
    pub fn take_done(&mut self) -> Option<Done> {
        let done = self.done.borrow_mut().take()?;
        self.running = false;
        Some(done)
    }

    /// Starts a run; `on_done` is called when [`Checkpointer::take_done`] has its result.
    pub fn start(&mut self, reactor: &Reactor, plan: Plan, on_done: Option<Rc<dyn Fn()>>) {
        assert!(!self.running, "one run at a time");
        self.running = true;
        let (slot, reactor) = (Rc::clone(&self.done), reactor.clone());
        reactor.clone().spawn(async move {
            let release = plan.release;
            let error = run(&reactor, plan).await.err();
            *slot.borrow_mut() = Some(Done { release, error });
            if let Some(call) = on_done {
                call();
            }
        });
    }
}

async fn run(reactor: &Reactor, plan: Plan) -> Result<(), (Option<LogKey>, io::Error)> {
    let disk = reactor.disk();
    for file in plan.small_files {
        match replace(reactor, &disk, &file.path, file.bytes, file.durable).await {
            // Its topic was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(|error| (None, error))?,
        }
        reactor.yield_now().await;
    }
    let mut syncing = VecDeque::new();
    for job in plan.jobs {
        let file = match File::open(&disk, &job.path, OpenMode::READ) {
            // Its topic was deleted meanwhile, or there was nothing to write into it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(|error| (Some(job.key), error))?,
        };
        syncing.push_back((job.key, reactor.sync(&file)));
        if syncing.len() == IN_FLIGHT_MAX
            && let Some((key, sync)) = syncing.pop_front()
        {
            sync.await.map_err(|error| (Some(key), error))?;
        }
    }
    for (key, sync) in syncing {
        sync.await.map_err(|error| (Some(key), error))?;
    }
    for folder in plan.folders {
        match disk.sync_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(|error| (None, error))?,
        }
        reactor.yield_now().await;
    }
    let points = Bytes::from(plan.points);
    replace_points(reactor, &disk, &plan.points_path, points, &plan.failure).await.map_err(|error| (None, error))?;
    for path in plan.obsolete {
        if let Err(error) = disk.remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "an old snapshot stays");
        }
        reactor.yield_now().await;
    }
    Ok(())
}

/// Replaces a file without waiting in the loop for its bytes. The new name is durable when its folder was synced.
async fn replace(reactor: &Reactor, disk: &Rc<dyn Disk>, path: &Path, bytes: Bytes, durable: bool) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    if durable {
        write_durably(reactor, disk, &temporary, bytes).await?;
    } else {
        File::open(disk, &temporary, OpenMode::REWRITE)?.write_all_at(0, &bytes)?;
    }
    disk.rename(&temporary, path)
}

/// Replaces the list of synced points, unless something has failed. That is asked behind a wait: the store has seen by
/// then how everything ended that ended before the syncs of this run.
async fn replace_points(
    reactor: &Reactor,
    disk: &Rc<dyn Disk>,
    path: &Path,
    points: Bytes,
    failure: &LogDirFailure,
) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    write_durably(reactor, disk, &temporary, points).await?;
    if failure.is_reported() {
        return Err(io::Error::other("something else in the log directory has failed"));
    }
    disk.rename(&temporary, path)?;
    sync_parent(disk, path)
}

async fn write_durably(reactor: &Reactor, disk: &Rc<dyn Disk>, path: &Path, bytes: Bytes) -> io::Result<()> {
    let file = File::open(disk, path, OpenMode::REWRITE)?;
    let (mut rest, mut position) = (bytes, 0);
    while !rest.is_empty() {
        let (result, _) = reactor.write(&file, position, smallvec![rest.clone()], true).await;
        match result? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => {
                rest = rest.slice(count as usize..);
                position += u64::from(count);
            }
        }
    }
    reactor.sync(&file).await
}

fn sync_parent(disk: &Rc<dyn Disk>, path: &Path) -> io::Result<()> {
    disk.sync_dir(path.parent().ok_or(io::ErrorKind::InvalidInput)?)
}
