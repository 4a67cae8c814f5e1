//! The logs in the data directory, as far as their damage can be seen from outside.
//!
//! Reads only. What lies behind a log's recovery point after a crash may be anything: the next start decides on it, so it
//! is no damage.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ringlog_core::log::{LOG_START_OFFSET_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE, REPLICATION_OFFSET_FILE};

use super::Check;
use crate::cli::records::{BatchFile, BatchFileError, named_base_offset};

const NAME: &str = "logs";
/// It is read from its start, so this broker keeps no indexes of it; Kafka makes its own.
const METADATA_LOG: &str = "__cluster_metadata-0";
/// More are counted and not named.
const NAMED_MAX: usize = 20;

/// What is known of the directory, and how much is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// It was stopped cleanly: logs end at their recovery point.
    pub(super) is_clean: bool,
    /// All batches are read, and their CRCs compared.
    pub(super) scan: bool,
}

/// Looks at every log.
pub(super) fn checks(log_dir: &Path, look: Look) -> Vec<Check> {
    let mut found = Found::default();
    if let Err(error) = look_at_directory(log_dir, look, &mut found) {
        found.push(Check::failure(NAME, error.to_string(), "the user who starts the broker must be able to read it"));
    }
    let Found { mut checks, unnamed, logs, segments } = found;
    let seen = format!("{logs} log(s), {segments} segment(s)");
    match (checks.len() + unnamed, look.scan) {
        (0, true) => checks.push(Check::ok(NAME, format!("{seen}: every batch is sound"))),
        (0, false) => checks.push(Check::ok(NAME, format!("{seen}; --scan reads all their batches"))),
        (count, _) => {
            let all = format!("{seen}, {count} finding(s), {unnamed} of them not named");
            checks.push(Check::warning(NAME, all, "ringlog log dump shows the batches of a file"));
        }
    }
    checks
}

#[derive(Default)]
struct Found {
    checks: Vec<Check>,
    unnamed: usize,
    logs: usize,
    segments: usize,
}

impl Found {
    fn push(&mut self, check: Check) {
        match self.checks.len() < NAMED_MAX {
            true => self.checks.push(check),
            false => self.unnamed += 1,
        }
    }
}

/// Where a log begins and ends by the checkpoint files; `None` where it is not in them.
struct Offsets {
    recovery_point: Option<i64>,
    log_start_offset: Option<i64>,
    high_watermark: Option<i64>,
}

fn look_at_directory(log_dir: &Path, look: Look, found: &mut Found) -> io::Result<()> {
    let mut read = |name: &str| read_checkpoint(log_dir, name, found);
    let (ends, starts, watermarks) =
        (read(RECOVERY_POINT_FILE)?, read(LOG_START_OFFSET_FILE)?, read(REPLICATION_OFFSET_FILE)?);
    let mut folders: Vec<PathBuf> = fs::read_dir(log_dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    for folder in folders {
        // Those of logs that are being deleted end in something else.
        let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
        let Some((topic, Ok(partition))) = name.map(|(topic, index)| (topic, index.parse::<i32>())) else { continue };
        let offsets = Offsets {
            recovery_point: ends.offset(topic, partition),
            log_start_offset: starts.offset(topic, partition),
            high_watermark: watermarks.offset(topic, partition),
        };
        look_at_log(&folder, &offsets, look, found)?;
    }
    Ok(())
}

fn read_checkpoint(log_dir: &Path, name: &str, found: &mut Found) -> io::Result<OffsetCheckpoint> {
    let bytes = match fs::read(log_dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OffsetCheckpoint::default()),
        bytes => bytes?,
    };
    Ok(OffsetCheckpoint::decode(&bytes).unwrap_or_else(|error| {
        let fix = "a broker does not start with it: bring the file back from a copy";
        found.push(Check::failure(NAME, format!("{name}: {error}"), fix));
        OffsetCheckpoint::default()
    }))
}

fn look_at_log(folder: &Path, offsets: &Offsets, look: Look, found: &mut Found) -> io::Result<()> {
    let files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let is_log = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let mut segments: Vec<&PathBuf> = files.iter().filter(is_log).collect();
    segments.sort();
    found.logs += 1;
    found.segments += segments.len();
    // After a crash the start decides on what is not wholly in front of the recovery point.
    let is_settled = |next: Option<&&PathBuf>| {
        let point = offsets.recovery_point.unwrap_or(0);
        look.is_clean || next.and_then(|next| named_base_offset(next)).is_some_and(|offset| offset <= point)
    };
    let indexed = if folder.ends_with(METADATA_LOG) { &[] } else { &segments[..] };
    for (index, segment) in indexed.iter().enumerate() {
        for extension in ["index", "timeindex"] {
            let file = segment.with_extension(extension);
            if !files.contains(&file) && fs::metadata(segment)?.len() > 0 && is_settled(segments.get(index + 1)) {
                let fix = "it is made again from the segment; if files were lost, others may be too: --scan";
                found.push(Check::warning(NAME, format!("{} is not there", shown(&file)), fix));
            }
        }
    }
    let is_to_hold = offsets.recovery_point.unwrap_or(0) > offsets.log_start_offset.unwrap_or(0);
    if look.is_clean && is_to_hold && segments.is_empty() {
        let fix = "the partition is not served: bring its segments back from a copy";
        found.push(Check::failure(NAME, format!("{} holds no segment", shown(folder)), fix));
    }
    if !look.scan {
        return Ok(());
    }
    let mut end_offset = 0;
    for segment in &segments {
        let Read { next_offset, damage } = read_segment(segment, end_offset)?;
        end_offset = next_offset;
        if let Some((offset, reason)) = damage
            && (look.is_clean || offsets.recovery_point.is_some_and(|point| offset < point))
        {
            let fix = "readers get CORRUPT_MESSAGE there: bring the file back from a copy, or pass it with kafka-delete-records";
            found.push(Check::failure(NAME, format!("{}: offset {offset}, {reason}", shown(segment)), fix));
        }
    }
    let disagrees =
        |what: &str, offset: i64| format!("{}: {what} {offset}, the log ends at {end_offset}", shown(folder));
    match offsets.recovery_point {
        Some(point) if point > end_offset => {
            let fix = "records are missing that were on the disk: bring the segments back from a copy";
            found.push(Check::failure(NAME, disagrees("recovery point", point), fix));
        }
        Some(point) if point < end_offset && look.is_clean => {
            let fix = "the checkpoint is of another state of the log; the next clean stop writes it again";
            found.push(Check::warning(NAME, disagrees("recovery point", point), fix));
        }
        Some(_) | None => {}
    }
    let beyond = [("log start offset", offsets.log_start_offset), ("high watermark", offsets.high_watermark)];
    for (what, offset) in beyond {
        if let Some(offset) = offset.filter(|offset| *offset > end_offset) {
            let fix = "the checkpoint is of another state of the log, or segments are missing";
            found.push(Check::failure(NAME, disagrees(what, offset), fix));
        }
    }
    Ok(())
}

/// Folder and file.
fn shown(path: &Path) -> String {
    let mut names: Vec<_> = path.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
    names.reverse();
    if path.extension().is_some() { names.join("/") } else { names.pop().unwrap_or_default().into_owned() }
}

/// What is in a segment.
struct Read {
    /// Behind its last batch.
    next_offset: i64,
    /// Where its first damage is, and what.
    damage: Option<(i64, String)>,
}

fn read_segment(path: &Path, end_offset: i64) -> io::Result<Read> {
    let mut batches = BatchFile::new(File::open(path)?);
    let mut read = Read { next_offset: end_offset, damage: None };
    loop {
        let (position, batch) = match batches.next() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(read),
            Err(BatchFileError::Io(error)) => return Err(error),
            Err(BatchFileError::Damaged(position, reason)) => {
                let at = (read.next_offset, format!("byte {position}: {reason}"));
                read.damage.get_or_insert(at);
                return Ok(read);
            }
        };
        let wrong = match batch.base_offset() {
            _ if !batch.is_crc_valid() => Some("wrong CRC".to_owned()),
            offset if offset < read.next_offset => Some(format!("offset {offset} behind {}", read.next_offset - 1)),
            _ => None,
        };
        if let Some(reason) = wrong {
            read.damage.get_or_insert((batch.base_offset(), format!("byte {position}: {reason}")));
        }
        read.next_offset = read.next_offset.max(batch.next_offset());
    }
}
