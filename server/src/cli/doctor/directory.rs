//! The data directory: what a start does with it, what file system it is on, and whether that takes durable writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_core::buffer::AlignedBuffer;
use ringlog_core::log::is_clean;
use ringlog_core::reactor::{Disk, FsDisk};
use rustix::fs::{Mode, OFlags};

use super::Check;
use super::logs::{self, Look};
use crate::config::{FormatPolicy, Settings};
use crate::metadata::{
    DataDirectory, DirectoryError, Identity, LastStop, MetadataLog, OpenTransactions, check_takeover,
};

const NAME: &str = "directory";
/// Below it a warning: commit logs and segments are made ahead.
const FREE_BYTES_GOOD: u64 = 4 << 30;
const BLOCK: usize = 4096;

pub(super) fn checks(settings: &Settings, scan: bool) -> Vec<Check> {
    let place = nearest(&settings.log_dir);
    let mut checks = directory(settings, scan);
    checks.extend(file_system(&place));
    checks.push(durable_writes(&place));
    checks
}

/// The directory, or the nearest above it that is there.
fn nearest(log_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(log_dir).unwrap_or_else(|_| log_dir.to_owned());
    let found = absolute.ancestors().find(|path| path.is_dir()).map(Path::to_owned);
    found.unwrap_or_else(|| PathBuf::from("/"))
}

fn directory(settings: &Settings, scan: bool) -> Vec<Check> {
    let path = &settings.log_dir;
    let shown = path.display();
    if !path.exists() {
        return vec![unformatted(settings, format!("{shown} is not there"))];
    }
    let disk: Rc<dyn Disk> = Rc::new(FsDisk);
    let directory = match DataDirectory::lock(&disk, path) {
        Ok(directory) => directory,
        Err(error @ DirectoryError::Locked { .. }) => {
            return vec![Check::warning(
                NAME,
                error.to_string(),
                "a broker runs on it: fine, if it is meant to; no other starts",
            )];
        }
        Err(error) => {
            return vec![Check::failure(NAME, error.to_string(), "the user who starts the broker must own it")];
        }
    };
    let checks = match directory.identity(settings.node_id) {
        Ok(identity) => {
            let mut checks = metadata(&directory, &identity);
            checks.extend(logs::checks(path, Look { is_clean: is_clean(&disk, path), scan }));
            checks
        }
        Err(DirectoryError::NotFormatted(_)) => {
            vec![unformatted(settings, format!("{shown} is not formatted"))]
        }
        Err(error) => vec![Check::failure(NAME, error.to_string(), "name the directory of this node in log.dirs")],
    };
    directory.unlock();
    checks
}

/// What a start does with the directory, from what it reads before it writes.
fn metadata(directory: &DataDirectory, identity: &Identity) -> Vec<Check> {
    let shown = format!("{}, cluster {}", directory.path().display(), identity.cluster_id);
    let found = match MetadataLog::find(directory.disk(), directory.path()) {
        Ok(found) => found,
        Err(error) => {
            let fix = "a broker does not start with it: bring __cluster_metadata-0 back from a copy";
            return vec![Check::failure(NAME, format!("{shown}: {error}"), fix)];
        }
    };
    let last_stop = match check_takeover(directory, &found, identity, OpenTransactions::Refuse) {
        Ok(last_stop) => last_stop,
        Err(error) => {
            return vec![Check::failure(NAME, format!("{shown}: a start refuses it: {error}"), error.remedy())];
        }
    };
    vec![match last_stop {
        LastStop::Clean => Check::ok(NAME, format!("{shown}, stopped cleanly")),
        LastStop::NothingYet => Check::ok(NAME, format!("{shown}, without partitions yet")),
        LastStop::RinglogKilled => Check::warning(
            NAME,
            format!("{shown}: Ringlog did not stop cleanly, its next start recovers"),
            format!("before Apache Kafka is started: ringlog recover {}", directory.path().display()),
        ),
    }]
}

fn unformatted(settings: &Settings, found: String) -> Check {
    match settings.format {
        FormatPolicy::IfEmpty => Check::ok(NAME, format!("{found}, the broker formats it")),
        FormatPolicy::Refuse => Check::failure(NAME, found, "ringlog format --config FILE, or start with --format"),
    }
}

/// Its name, its kind, and what is free.
fn file_system(place: &Path) -> Vec<Check> {
    const NAME: &str = "file system";
    let stat = match rustix::fs::statfs(place) {
        Ok(stat) => stat,
        Err(error) => return vec![Check::warning(NAME, error.to_string(), format!("{} can be read", place.display()))],
    };
    let kind = match stat.f_type as u64 & 0xffff_ffff {
        0xef53 => Check::ok(NAME, "ext4"),
        0x5846_5342 => Check::ok(NAME, "xfs"),
        0x9123_683e => Check::warning(NAME, "btrfs", "not tested: ext4 and xfs are"),
        0x2fc1_2fc1 => Check::warning(NAME, "zfs", "not tested: ext4 and xfs are"),
        0x0102_1994 => Check::warning(NAME, "tmpfs", "nothing survives a power cut: ext4 or xfs on a disk"),
        0x794c_7630 => Check::warning(NAME, "overlayfs", "gone with the container: mount a volume on log.dirs"),
        0x6969 | 0xff53_4d42 | 0xfe53_4d42 => {
            Check::warning(NAME, "a network file system", "locks and syncs may not hold: a local disk with ext4 or xfs")
        }
        other => Check::warning(NAME, format!("unknown ({other:#x})"), "not tested: ext4 and xfs are"),
    };
    let free = stat.f_bavail.saturating_mul(stat.f_bsize.unsigned_abs());
    let found = format!("{} MiB", free >> 20);
    let space = match free {
        free if free < FREE_BYTES_GOOD => {
            Check::warning("free space", found, "writes stop when it is used up, and resume when there is room")
        }
        _ => Check::ok("free space", found),
    };
    vec![kind, space]
}

/// What the commit log does: a block past the page cache, durable when the call returns.
fn durable_writes(place: &Path) -> Check {
    const NAME: &str = "durable writes";
    let path = place.join(format!(".ringlog-doctor-{}", std::process::id()));
    let written = write_block(&path);
    // It may not be there.
    let _ = fs::remove_file(&path);
    match written {
        Ok(()) => Check::ok(NAME, "O_DIRECT with O_DSYNC works"),
        Err(error) => {
            let fix = "the file system or its mount refuses O_DIRECT: ext4 or xfs, writable by the broker's user";
            Check::failure(NAME, format!("{}: {error}", place.display()), fix)
        }
    }
}

fn write_block(path: &Path) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    let block = AlignedBuffer::zeroed(BLOCK);
    let written = rustix::io::pwrite(&file, &block, 0)?;
    if written == BLOCK { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
