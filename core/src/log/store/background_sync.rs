//! Runs of the checkpointer: what was written becomes durable in its segments, is noted as synced, and leaves the commit
//! log.
//!
//! Invariant: a sync that failed is not made good by the next one, which would succeed without what the first one lost.

use std::cmp::Ordering;
use std::fmt;
use std::io;

use super::super::append::is_disk_full;
use super::super::checkpointer::{Done, Plan, SyncJob};
use super::super::commit_log::Pressure;
use super::super::descriptors::{FileKind, segment_path};
use super::super::error::AppendError;
use super::super::failure::note_failed_sync;
use super::super::log::snapshot_path;
use super::super::partition_metadata::PARTITION_METADATA_FILE;
use super::super::planted::{PlantedBug, is_planted};
use super::super::recovery::COMMIT_LOG_FOLDER;
use super::super::synced_points::{SyncedPoint, SyncedPoints};
use super::super::{Durability, LogKey};
use super::{LogState, LogStore, opened};

impl LogStore {
    /// Starts to sync segments when the commit log fills, or when segments of class page-cache were ended.
    pub(super) fn end_turn_checkpoint(&mut self, pressure: Option<Pressure>) {
        if let Some(kind) = self.sync.commit_log.failure() {
            return self.refuse_moved_starts(&kind);
        }
        let is_due = self.rolled || self.is_start_moved || self.is_flush_due;
        if is_due && !self.checkpointer.is_running() || self.can_release(pressure) {
            self.start_checkpoint();
        }
    }

    /// Takes in how a run ended.
    pub(super) fn take_checkpoint(&mut self) {
        if let Some(done) = self.checkpointer.take_done() {
            self.finish_checkpoint(done);
        }
    }

    /// What the commit log has left, if it fills and a run could release some of it.
    pub(super) fn pressure(&self) -> Option<Pressure> {
        if self.checkpointer.is_running() || self.sync.commit_log.failure().is_some() {
            return None;
        }
        let pressure = self.sync.commit_log.pressure();
        let fills = match (pressure.files_free * 2).cmp(&pressure.files_count) {
            Ordering::Less => true,
            Ordering::Equal => pressure.active_bytes >= pressure.file_bytes / 4,
            Ordering::Greater => false,
        };
        fills.then_some(pressure)
    }

    /// Whether the commit log fills, and a file of it is free when segments are synced. Tails that stand in the way are
    /// written before.
    fn can_release(&self, pressure: Option<Pressure>) -> bool {
        let is_written = |end| self.sync.first_unwritten() >= end;
        pressure.is_some_and(|pressure| pressure.oldest_file_end.is_none_or(is_written))
    }

    /// No run makes them durable any more.
    fn refuse_moved_starts(&mut self, error: &dyn fmt::Display) {
        if !std::mem::take(&mut self.is_start_moved) {
            return;
        }
        for stored in self.logs.iter_mut().flatten() {
            if let LogState::Open(log) = &mut stored.state
                && std::mem::take(&mut log.log_start_moved)
            {
                self.moved_starts.push((log.key, Err(AppendError::Stopped(error.to_string()))));
            }
        }
    }

    /// Syncs what was written since the last run: all segments of class sync, ended ones of class page-cache.
    fn start_checkpoint(&mut self) {
        self.write_tails_of_changing_logs();
        (self.rolled, self.is_start_moved, self.is_flush_due) = (false, false, false);
        let mut release = Some(match is_planted(PlantedBug::ReleasedUnwritten) {
            true => self.sync.commit_log.next_lsn(),
            false => self.sync.first_unwritten(),
        });
        let (mut small_files, mut jobs, mut folders, mut obsolete) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut points = self.synced_points.clone();
        for (index, stored) in self.logs.iter_mut().enumerate() {
            let Some(stored) = stored else { continue };
            let next_class = stored.class_to_come();
            let durability = next_class.unwrap_or(stored.spec.durability);
            let log = match &mut stored.state {
                LogState::Open(log) => log,
                LogState::Unopened(point) => {
                    if next_class.is_some() {
                        let point = SyncedPoint { durability, ..*point };
                        points.set(stored.spec.topic_id, stored.spec.partition_index, point);
                        self.changing.push((LogKey(index as u32), durability));
                    }
                    continue;
                }
            };
            // As soon as all is acked.
            self.is_flush_due |= stored.next_class.is_some() && next_class.is_none() && log.stopped.is_none();
            let is_sync = stored.spec.durability == Durability::Sync;
            // What a stopped log lacks is in the commit log only. A log start above what is written waits for that.
            let is_stopped = is_sync && log.stopped.is_some();
            let is_start_unwritten = log.log_start_moved && log.log_start_offset > log.written_end_offset();
            if is_start_unwritten && log.tail.is_under_way() && !is_stopped {
                self.is_start_moved = true;
            } else if (is_start_unwritten || is_stopped) && std::mem::take(&mut log.log_start_moved) {
                let error = AppendError::Stopped("the log cannot be written".to_owned());
                self.moved_starts.push((log.key, Err(error)));
            }
            if is_stopped {
                release = None;
                continue;
            }
            let is_start_moved = !is_start_unwritten && std::mem::take(&mut log.log_start_moved);
            let is_cleaned = std::mem::take(&mut log.cleaned_moved);
            let is_promised = std::mem::take(&mut log.flush.is_due) || next_class.is_some();
            if is_start_moved {
                self.moving_starts.push((log.key, log.log_start_offset));
            } else if log.unsynced.is_empty() && !is_cleaned && !is_promised {
                continue;
            }
            // A log start above what is synced would be one without a log.
            let is_whole = is_sync || is_start_moved || is_cleaned || is_promised;
            let active = log.active().base_offset;
            let (now, later): (Vec<i64>, Vec<i64>) =
                std::mem::take(&mut log.unsynced).into_iter().partition(|base| is_whole || *base < active);
            log.unsynced = later;
            if now.is_empty() && !is_start_moved && !is_cleaned && !is_promised {
                continue;
            }
            let synced = if is_whole { log.written_end_offset() } else { active };
            self.syncing.push((log.key, now.clone()));
            if !is_sync && is_whole {
                self.flushing.push((log.key, synced));
            }
            self.changing.extend(next_class.map(|durability| (log.key, durability)));
            for base in now {
                // The indexes of the active segment are made again by recovery.
                let kinds: &[FileKind] = if base < active { &FileKind::ALL } else { &[FileKind::Log] };
                let path = |kind: &FileKind| segment_path(&log.dir, base, *kind);
                jobs.extend(kinds.iter().map(|kind| SyncJob { key: log.key, path: path(kind) }));
                // Taken when the segment ended: without it, producers would be looked for in all segments before.
                if let Some(next) = log.segments.iter().find(|segment| segment.base_offset > base) {
                    jobs.push(SyncJob { key: log.key, path: snapshot_path(&log.dir, next.base_offset) });
                }
            }
            if is_sync || durability == Durability::Sync {
                log.write_active_indexes(&mut self.files);
                let (files, replaced) = log.checkpoint_files();
                log.new_names |= files.iter().any(|file| file.durable);
                small_files.extend(files);
                obsolete.extend(replaced);
            }
            if std::mem::take(&mut log.new_names) {
                // The folder says whose it is before a point says that there is something in it.
                jobs.push(SyncJob { key: log.key, path: log.dir.join(PARTITION_METADATA_FILE) });
                folders.push(log.dir.clone());
            }
            let point = log.synced_point(synced, durability);
            points.set(stored.spec.topic_id, stored.spec.partition_index, point);
        }
        if !folders.is_empty() {
            folders.push(self.log_dir.clone());
        }
        let is_news = release.is_some_and(|release| release > self.sync.commit_log.oldest_unreleased());
        if self.syncing.is_empty() && self.changing.is_empty() && !is_news {
            return;
        }
        let points_path = self.log_dir.join(COMMIT_LOG_FOLDER).join(SyncedPoints::file_name(self.shard_id));
        let text = points.encode();
        self.points_of_run = points;
        let failure = self.log_dir_failure.clone();
        let plan = Plan { small_files, jobs, folders, points_path, points: text, obsolete, release, failure };
        self.checkpointer.start(&self.reactor, plan, self.on_acked.clone());
    }

    fn finish_checkpoint(&mut self, done: Done) {
        match done.error {
            None => {
                self.syncing.clear();
                for (key, start) in self.moving_starts.drain(..) {
                    if let Some(log) = opened(&mut self.logs, key) {
                        log.durable_start_offset = start;
                    }
                    self.moved_starts.push((key, Ok(start)));
                }
                self.synced_points = std::mem::take(&mut self.points_of_run);
                self.finish_promises();
                if let Some(release) = done.release {
                    let durable = self.sync.commit_log.durable_lsn();
                    self.sync.commit_log.release_before(release.min(durable));
                }
            }
            Some((key, error)) => {
                tracing::error!(%error, "segments cannot be synced");
                let failed = self.moving_starts.drain(..);
                self.moved_starts.extend(failed.map(|(key, _)| (key, Err(AppendError::Stopped(error.to_string())))));
                // Which of the others were synced is not known. A run that found no room for a small file is repeated; a
                // sync is not, since it would succeed without what the first one lost.
                let may_repeat = key.is_none() && is_disk_full(&error) || is_planted(PlantedBug::FailedSyncRepeated);
                for (of, bases) in std::mem::take(&mut self.syncing) {
                    let Some(log) = opened(&mut self.logs, of) else { continue };
                    log.unsynced.splice(
                        0..0,
                        bases.into_iter().filter(|base| !log.unsynced.contains(base)).collect::<Vec<_>>(),
                    );
                    (log.new_names, log.written_epoch) = (true, None);
                    if !may_repeat || key == Some(of) {
                        log.stop(&error);
                    }
                }
                self.fail_promises();
                if !may_repeat {
                    self.fail(&error);
                }
            }
        }
    }

    /// Ends class sync, for this life.
    pub(in crate::log) fn fail(&mut self, error: &io::Error) {
        self.sync.commit_log.fail(error.kind());
        self.log_dir_failure.report();
        if let Err(error) = note_failed_sync(self.files.disk(), &self.log_dir) {
            tracing::error!(%error, "what the page cache holds may not be on the disk");
            self.is_failure_unnoted = true;
        }
    }

    /// Tells the next start of a failed sync, if it was not told: a disk that is away may take no note before.
    pub(super) fn note_failure(&mut self) {
        if self.is_failure_unnoted {
            self.is_failure_unnoted = note_failed_sync(self.files.disk(), &self.log_dir).is_err();
        }
    }
}
