//! OffsetFetch: asks groups in turn what they have committed.
//!
//! Checked: every partition is in the answer, with the offset that was committed before the run.

use std::sync::Arc;
use std::time::Duration;

use ringlog_core::wire::DecodeError;

use super::{Answered, Commits, Leaving, Workload, readable, refused};
use crate::client::Outgoing;
use crate::findings::Findings;
use crate::recorder::Volume;

/// The questions of one connection: its groups take turns.
#[derive(Debug)]
pub struct FetchOffsets {
    commits: Arc<Commits>,
    groups: Vec<usize>,
    next: usize,
    buffer: Vec<u8>,
}

impl FetchOffsets {
    /// About these of the groups, which have committed.
    pub fn new(commits: &Arc<Commits>, groups: Vec<usize>) -> Self {
        assert!(!groups.is_empty(), "a connection without groups has nothing to ask");
        Self { commits: Arc::clone(commits), groups, next: 0, buffer: Vec::new() }
    }

    fn check(&self, group: usize, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let (expected, partitions_count) = self.commits.expected(group);
        let (mut right, mut found) = (0, None);
        let code = self.commits.offsets(frame, |_, offset| {
            right += usize::from(offset == expected);
            found = Some(offset);
        })?;
        if !code.is_none() {
            return Ok(refused(code, findings, || format!("group {}", self.commits.group_id(group))));
        }
        if right != partitions_count {
            let id = self.commits.group_id(group);
            findings.problem("wrong committed offset", || format!("group {id}: {found:?}, committed {expected}"));
            return Ok(Answered::Failed);
        }
        Ok(Answered::Done(Volume::default()))
    }
}

impl Workload for FetchOffsets {
    type Ticket = usize;

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> usize {
        let group = self.groups[self.next];
        self.next = (self.next + 1) % self.groups.len();
        self.buffer = self.commits.fetch_frame(group, leaving.correlation_id, std::mem::take(&mut self.buffer));
        out.copy(&self.buffer);
        group
    }

    fn answer(&mut self, group: usize, _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(group, frame, findings), findings)
    }
}
