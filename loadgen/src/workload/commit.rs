//! OffsetCommit for groups without members (generation -1), as tools and stream processors commit.
//!
//! Checked: every answer names the partitions that were committed; at the end OffsetFetch returns, for each group, an
//! offset that was sent and is not behind the last one that was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringlog_core::protocol::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, ResponseHeader};
use ringlog_core::wire::{Array, DecodeError, Message, Reader};
use uuid::Uuid;

use super::{Answered, Leaving, Workload, frame, readable, refused};
use crate::client::{Asker, Outgoing, SetupError, Target, check};
use crate::findings::Findings;
use crate::recorder::Volume;

/// What is committed, by all connections.
#[derive(Debug)]
pub struct Commits {
    topic_name: String,
    topic_id: Uuid,
    partitions: Vec<i32>,
    version: i16,
    fetch_version: i16,
    groups: Vec<Group>,
}

/// One group. Each commit carries the number of the commit as the offset of every partition.
#[derive(Debug)]
struct Group {
    id: String,
    sent: AtomicI64,
    acknowledged: AtomicI64,
}

impl Commits {
    /// `groups_count` groups named `PREFIX-NUMBER`, for all partitions of the target. Offsets start above `floor`, so
    /// that an earlier run is never taken for this one.
    pub fn new(target: &Target, prefix: &str, groups_count: usize, floor: i64) -> Result<Arc<Self>, SetupError> {
        let group = |index| Group {
            id: format!("{prefix}-{index}"),
            sent: AtomicI64::new(floor),
            acknowledged: AtomicI64::new(-1),
        };
        Ok(Arc::new(Self {
            topic_name: target.topic_name.clone(),
            topic_id: target.topic_id,
            partitions: target.partitions.iter().map(|partition| partition.index).collect(),
            version: target.versions.pick::<OffsetCommitRequest<'_>>(ApiKey::OffsetCommit)?,
            fetch_version: target.versions.pick::<OffsetFetchRequest<'_>>(ApiKey::OffsetFetch)?,
            groups: (0..groups_count).map(group).collect(),
        }))
    }

    /// The names of all groups, by number.
    pub fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.id.as_str())
    }

    /// Compares what the coordinator has with what was committed. Before the first commit it shows that the coordinator
    /// is ready.
    pub async fn verify(&self, group: usize, asker: &mut Asker, findings: &mut Findings) -> Result<(), SetupError> {
        let Group { id, sent, acknowledged } = &self.groups[group];
        let (sent, acknowledged) = (sent.load(Ordering::Relaxed), acknowledged.load(Ordering::Relaxed));
        let committed = self.fetch(group, asker).await?;
        if acknowledged < 0 {
            return Ok(());
        }
        for index in &self.partitions {
            let found = committed.iter().find(|(partition, _)| partition == index).map(|(_, offset)| *offset);
            if !found.is_some_and(|offset| (acknowledged..=sent).contains(&offset)) {
                let text = || format!("group {id} partition {index}: {found:?}, committed {acknowledged}..={sent}");
                findings.problem("committed offset lost", text);
            }
        }
        Ok(())
    }

    /// The committed offset of each partition.
    async fn fetch(&self, group: usize, asker: &mut Asker) -> Result<Vec<(i32, i64)>, SetupError> {
        let frame = asker.exchange(ApiKey::OffsetFetch, self.fetch_frame(group, 0, Vec::new())).await?;
        let mut offsets = Vec::with_capacity(self.partitions.len());
        let code = self.offsets(frame, |partition, offset| offsets.push((partition, offset)))?;
        check("OffsetFetch", code, None).map(|()| offsets)
    }

    /// Commits an offset that no earlier run has committed, as the first commit of the group.
    pub async fn commit_first(&self, group: usize, asker: &mut Asker) -> Result<(), SetupError> {
        let ticket = self.next(group);
        let frame = asker.exchange(ApiKey::OffsetCommit, self.commit_frame(ticket, 0, Vec::new())).await?;
        let mut findings = Findings::default();
        match self.check_commit(ticket, frame, &mut findings)? {
            Answered::Done(_) => Ok(()),
            Answered::Failed | Answered::Stale => Err(SetupError::NotCommitted(findings.examples.concat())),
        }
    }

    /// The next commit of a group.
    fn next(&self, group: usize) -> Committed {
        Committed { group, offset: self.groups[group].sent.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn commit_frame(&self, ticket: Committed, correlation_id: i32, buffer: Vec<u8>) -> Vec<u8> {
        let partition = |index: &i32| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: ticket.offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(""),
        };
        let topics = [OffsetCommitRequestTopic {
            name: &self.topic_name,
            topic_id: self.topic_id,
            partitions: self.partitions.iter().map(partition).collect(),
        }];
        let request = OffsetCommitRequest {
            group_id: &self.groups[ticket.group].id,
            generation_id_or_member_epoch: -1,
            member_id: "",
            group_instance_id: None,
            retention_time_ms: -1,
            topics: Array::from(&topics),
        };
        frame(ApiKey::OffsetCommit, self.version, correlation_id, &request, buffer)
    }

    fn check_commit(&self, ticket: Committed, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let group = &self.groups[ticket.group];
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::OffsetCommit, self.version)?;
        let response = OffsetCommitResponse::decode(&mut reader, self.version)?;
        let mut answered = Answered::Done(Volume::default());
        let mut count = 0;
        for topic in &response.topics {
            for partition in &topic.partitions {
                count += 1;
                if !partition.error_code.is_none() {
                    let text = || format!("group {} partition {}", group.id, partition.partition_index);
                    answered = refused(partition.error_code, findings, text);
                }
            }
        }
        if count != self.partitions.len() {
            let text = || format!("group {}: {count} of {} partitions", group.id, self.partitions.len());
            findings.problem("partitions missing in the answer", text);
            return Ok(Answered::Failed);
        }
        if matches!(answered, Answered::Done(_)) {
            group.acknowledged.fetch_max(ticket.offset, Ordering::Relaxed);
        }
        Ok(answered)
    }

    /// Asks what a group has committed for all partitions.
    pub(super) fn fetch_frame(&self, group: usize, correlation_id: i32, buffer: Vec<u8>) -> Vec<u8> {
        let group_id = self.groups[group].id.as_str();
        let partition_indexes = || Array::from(self.partitions.as_slice());
        let topics = [OffsetFetchRequestTopic { name: &self.topic_name, partition_indexes: partition_indexes() }];
        let several = [OffsetFetchRequestTopics {
            name: &self.topic_name,
            topic_id: self.topic_id,
            partition_indexes: partition_indexes(),
        }];
        let groups = [OffsetFetchRequestGroup {
            group_id,
            member_id: None,
            member_epoch: -1,
            topics: Some(Array::from(&several)),
        }];
        let request = OffsetFetchRequest {
            group_id,
            topics: Some(Array::from(&topics)),
            groups: Array::from(&groups),
            require_stable: false,
        };
        frame(ApiKey::OffsetFetch, self.fetch_version, correlation_id, &request, buffer)
    }

    /// Gives `each` partition and offset of an answer to [`Commits::fetch_frame`]; returns the first error in it.
    pub(super) fn offsets(&self, frame: &[u8], mut each: impl FnMut(i32, i64)) -> Result<ErrorCode, DecodeError> {
        let version = self.fetch_version;
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::OffsetFetch, version)?;
        let response = OffsetFetchResponse::decode(&mut reader, version)?;
        let mut first_error = response.error_code;
        let mut note = |code: ErrorCode| {
            if first_error.is_none() {
                first_error = code;
            }
        };
        for topic in &response.topics {
            for partition in &topic.partitions {
                note(partition.error_code);
                each(partition.partition_index, partition.committed_offset);
            }
        }
        for group in &response.groups {
            note(group.error_code);
            for topic in &group.topics {
                for partition in &topic.partitions {
                    note(partition.error_code);
                    each(partition.partition_index, partition.committed_offset);
                }
            }
        }
        Ok(first_error)
    }

    /// What a group has acknowledged, and how many partitions it commits.
    pub(super) fn expected(&self, group: usize) -> (i64, usize) {
        (self.groups[group].acknowledged.load(Ordering::Relaxed), self.partitions.len())
    }

    /// The name of a group.
    pub fn group_id(&self, group: usize) -> &str {
        &self.groups[group].id
    }
}

/// The commits of one connection: its groups take turns.
#[derive(Debug)]
pub struct Commit {
    commits: Arc<Commits>,
    /// Numbers of its groups; no other connection commits for them.
    groups: Vec<usize>,
    next: usize,
    buffer: Vec<u8>,
}

/// Which group committed what.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    group: usize,
    offset: i64,
}

impl Commit {
    /// For these groups, at least one.
    pub fn new(commits: &Arc<Commits>, groups: Vec<usize>) -> Self {
        assert!(!groups.is_empty(), "a connection without groups has nothing to commit");
        Self { commits: Arc::clone(commits), groups, next: 0, buffer: Vec::new() }
    }

    fn commit(&mut self, group: usize, leaving: Leaving, out: &mut Outgoing) -> Committed {
        let ticket = self.commits.next(group);
        self.buffer = self.commits.commit_frame(ticket, leaving.correlation_id, std::mem::take(&mut self.buffer));
        out.copy(&self.buffer);
        ticket
    }
}

impl Workload for Commit {
    type Ticket = Committed;

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> Committed {
        let group = self.groups[self.next];
        self.next = (self.next + 1) % self.groups.len();
        self.commit(group, leaving, out)
    }

    /// A commit that failed is not sent again as it was, which could take a group back behind a newer one: its offset is
    /// the group's next.
    fn again(&mut self, ticket: Committed, leaving: Leaving, out: &mut Outgoing) -> Committed {
        self.commit(ticket.group, leaving, out)
    }

    fn answer(&mut self, ticket: Committed, _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.commits.check_commit(ticket, frame, findings), findings)
    }
}
