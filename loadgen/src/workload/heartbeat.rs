//! Heartbeat: members that have joined say in turn that they are there. An error code is a failure: nobody else joins
//! their groups.

use std::sync::Arc;
use std::time::Duration;

use ringlog_core::protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use ringlog_core::protocol::{ApiKey, ResponseHeader};
use ringlog_core::wire::{DecodeError, Message, Reader};

use super::{Answered, Leaving, Workload, frame, readable, refused};
use crate::client::Outgoing;
use crate::findings::Findings;
use crate::recorder::Volume;

/// One member of a group.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its group.
    pub group_id: String,
    /// As the coordinator calls it.
    pub member_id: String,
    /// The generation that it joined.
    pub generation_id: i32,
}

/// The heartbeats of one connection: its members take turns.
#[derive(Debug)]
pub struct Heartbeats {
    members: Arc<Vec<Member>>,
    /// Numbers of its members.
    own: Vec<usize>,
    next: usize,
    version: i16,
    buffer: Vec<u8>,
}

impl Heartbeats {
    /// Of these of the members.
    pub fn new(members: &Arc<Vec<Member>>, own: Vec<usize>, version: i16) -> Self {
        assert!(!own.is_empty(), "a connection without members has nothing to say");
        Self { members: Arc::clone(members), own, next: 0, version, buffer: Vec::new() }
    }

    fn check(&self, member: usize, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Heartbeat, self.version)?;
        let response = HeartbeatResponse::decode(&mut reader, self.version)?;
        if response.error_code.is_none() {
            return Ok(Answered::Done(Volume::default()));
        }
        Ok(refused(response.error_code, findings, || format!("the member of group {}", self.members[member].group_id)))
    }
}

impl Workload for Heartbeats {
    type Ticket = usize;

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> usize {
        let index = self.own[self.next];
        self.next = (self.next + 1) % self.own.len();
        let Member { group_id, member_id, generation_id } = &self.members[index];
        let request = HeartbeatRequest { group_id, generation_id: *generation_id, member_id, group_instance_id: None };
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = frame(ApiKey::Heartbeat, self.version, leaving.correlation_id, &request, buffer);
        out.copy(&self.buffer);
        index
    }

    fn answer(&mut self, member: usize, _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(member, frame, findings), findings)
    }
}
