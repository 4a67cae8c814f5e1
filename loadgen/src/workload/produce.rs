//! Produce: what one connection sends, and what the answers have to say.
//!
//! Checked: every answer names the partitions that were asked for; no error; base offsets rise on a connection, and the
//! offsets of all connections never overlap. Each batch carries its number, so that a read back finds what is missing.
//!
//! An idempotent producer sends what failed or was lost again, in order and with the same sequences, as clients do. One
//! that is not sends nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use ringlog_core::protocol::messages::ProduceResponse;
use ringlog_core::protocol::{ApiKey, ResponseHeader};
use ringlog_core::wire::{DecodeError, Reader, Segment};
use smallvec::SmallVec;

use super::prebuilt::Front;
use super::requests::{CORRELATION_ID_AT, Production, Requests};
use super::stamp::Stamp;
use super::{Answered, Leaving, Workload, readable, refused};
use crate::acknowledged::Batch;
use crate::client::Outgoing;
use crate::coverage::Inserted;
use crate::findings::Findings;
use crate::recorder::Volume;

/// How often an idempotent producer sends the same request.
const SENDS_MAX: u32 = 1_000;

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct ProducerIdentity {
    /// The number of the connection.
    pub connection: u32,
    /// Producer id and epoch of an idempotent producer.
    pub idempotent: Option<(i64, i16)>,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Produce {
    production: Arc<Production>,
    requests: Arc<Requests>,
    identity: ProducerIdentity,
    random: SmallRng,
    next_group: usize,
    next_variant: usize,
    /// By partition.
    partitions: Vec<Progress>,
    /// Without an answer, in order.
    sent: VecDeque<Sent>,
    /// To be sent again, in order.
    again: VecDeque<Sent>,
}

/// One partition on this connection.
#[derive(Debug, Default)]
struct Progress {
    next_batch: u64,
    /// Sequence of the next record, of an idempotent producer.
    next_record: i32,
    /// Behind the last base offset.
    next_offset: i64,
}

/// One request.
#[derive(Debug)]
struct Sent {
    assembly: usize,
    /// By partition.
    batches: SmallVec<[SentBatch; 1]>,
    sends: u32,
}

#[derive(Debug, Clone, Copy)]
struct SentBatch {
    partition: i32,
    number: u64,
    base_sequence: i32,
    acknowledged: bool,
}

impl Produce {
    /// Connection `identity.connection` of `count`: they start at different partitions.
    pub fn new(
        production: &Arc<Production>,
        requests: &Arc<Requests>,
        identity: ProducerIdentity,
        count: usize,
    ) -> Self {
        let connection = identity.connection as usize;
        Self {
            next_group: connection * requests.groups_count() / count.max(1) % requests.groups_count(),
            next_variant: connection,
            random: SmallRng::seed_from_u64(production.spec.batch.seed ^ u64::from(identity.connection)),
            production: Arc::clone(production),
            requests: Arc::clone(requests),
            identity,
            partitions: (0..production.partitions_count()).map(|_| Progress::default()).collect(),
            sent: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    /// Batches that were sent to a partition.
    pub fn sent_count(&self, partition: i32) -> u64 {
        self.partitions.get(partition as usize).map_or(0, |progress| progress.next_batch)
    }

    /// The next request that was not sent before.
    fn next(&mut self) -> Sent {
        let requests = &self.requests;
        let group = match &requests.weights {
            Some(weights) => weights.sample(&mut self.random),
            None => self.next_group,
        };
        self.next_group = (self.next_group + 1) % requests.groups_count();
        let assembly = requests.index(group, self.next_variant);
        self.next_variant = self.next_variant.wrapping_add(1);
        let mut batches = SmallVec::new();
        for (partition, batch) in &requests.get(assembly).batches {
            let records = self.production.batches.get(*batch).records() as i32;
            let progress = &mut self.partitions[*partition as usize];
            batches.push(SentBatch {
                partition: *partition,
                number: progress.next_batch,
                base_sequence: progress.next_record,
                acknowledged: false,
            });
            progress.next_batch += 1;
            // Sequences go on at zero behind the highest.
            progress.next_record = progress.next_record.wrapping_add(records) & i32::MAX;
        }
        Sent { assembly, batches, sends: 0 }
    }

    fn write(&self, sent: &Sent, leaving: &Leaving, out: &mut Outgoing) {
        let production = &*self.production;
        let assembly = self.requests.get(sent.assembly);
        let correlation_id = leaving.correlation_id.to_be_bytes();
        let mut batches = sent.batches.iter().zip(&assembly.batches);
        let mut is_first = true;
        for segment in &assembly.segments {
            match segment {
                Segment::Bytes(bytes) => {
                    let copy = out.copy(bytes);
                    if std::mem::take(&mut is_first) {
                        copy[CORRELATION_ID_AT..][..size_of::<i32>()].copy_from_slice(&correlation_id);
                    }
                }
                Segment::Elsewhere { .. } => {
                    let Some((batch, (_, index))) = batches.next() else { continue };
                    let stamp = Stamp {
                        run: production.run,
                        producer: self.identity.connection,
                        sequence: batch.number,
                        planned: leaving.planned,
                        sent: leaving.sent,
                    };
                    let front = Front {
                        timestamp_ms: production.wall_clock_ms + leaving.sent.as_millis() as i64,
                        producer: self.identity.idempotent.map(|(id, epoch)| (id, epoch, batch.base_sequence)),
                        stamp,
                    };
                    production.batches.get(*index).write(&front, out);
                }
            }
        }
    }

    fn check(&mut self, sent: &mut Sent, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let version = self.production.version;
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Produce, version)?;
        let mut answered = Answered::Done(self.requests.get(sent.assembly).volume);
        let mut answers = 0;
        ProduceResponse::read_partitions(&mut reader, version, |partition| {
            let index = partition.index;
            let Ok(place) = sent.batches.binary_search_by_key(&index, |batch| batch.partition) else {
                return findings.problem("partition not asked for", || format!("partition {index}"));
            };
            answers += 1;
            if !partition.error_code.is_none() {
                let message = partition.error_message.unwrap_or("no message");
                answered = refused(partition.error_code, findings, || format!("partition {index}: {message}"));
            } else if !sent.batches[place].acknowledged {
                sent.batches[place].acknowledged = true;
                self.acked(sent, place, partition.base_offset, findings);
            }
        })?;
        if answers < sent.batches.len() {
            let text = || format!("{answers} of {} partitions", sent.batches.len());
            findings.problem("partitions missing in the answer", text);
            return Ok(Answered::Failed);
        }
        Ok(answered)
    }

    fn acked(&mut self, sent: &Sent, place: usize, base_offset: i64, findings: &mut Findings) {
        let SentBatch { partition, number, .. } = sent.batches[place];
        let prebuilt = self.production.batches.get(self.requests.get(sent.assembly).batches[place].1);
        let end = base_offset + prebuilt.records() as i64;
        let progress = &mut self.partitions[partition as usize];
        let expected = std::mem::replace(&mut progress.next_offset, end);
        if base_offset < expected {
            let text = || format!("partition {partition}: base offset {base_offset} after {expected}");
            return findings.problem("offset not rising", text);
        }
        let producer = self.identity.connection;
        let batch = Batch { producer, sequence: number, base_offset, end_offset: end };
        let text = || format!("partition {partition}: base offset {base_offset}");
        match self.production.acknowledged.insert(partition, &batch, prebuilt.is_stamped()) {
            Inserted::New => {}
            Inserted::Overlap => findings.problem("offset twice", text),
            Inserted::Full => findings.problem("too many gaps to follow", text),
        }
    }

    /// An idempotent producer tries again.
    fn failed(&mut self, sent: Sent, findings: Option<&mut Findings>) {
        if self.identity.idempotent.is_none() {
            return;
        }
        match findings {
            Some(findings) if sent.sends >= SENDS_MAX => {
                findings.problem("given up", || format!("after {} sends", sent.sends));
            }
            _ => self.again.push_back(sent),
        }
    }
}

impl Workload for Produce {
    type Ticket = ();

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) {
        let mut sent = self.again.pop_front().unwrap_or_else(|| self.next());
        sent.sends += 1;
        self.write(&sent, &leaving, out);
        self.sent.push_back(sent);
    }

    fn answer(&mut self, (): (), _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        let mut sent = self.sent.pop_front().expect("an answer belongs to a request");
        let answered = readable(self.check(&mut sent, frame, findings), findings);
        if !matches!(answered, Answered::Done(_)) {
            self.failed(sent, Some(findings));
        }
        answered
    }

    fn lost(&mut self, (): ()) {
        if let Some(sent) = self.sent.pop_front() {
            self.failed(sent, None);
        }
    }

    fn lead(&mut self, partitions: &[i32]) {
        let is_known = |partition: &i32| (*partition as usize) < self.partitions.len();
        let mut sorted: Vec<i32> = partitions.iter().copied().filter(is_known).collect();
        sorted.sort_unstable();
        if sorted == self.requests.partitions {
            return;
        }
        // What was to be sent again went to partitions that are led elsewhere now, or stands at another place.
        self.again.clear();
        if let Ok(requests) = Requests::build(&self.production, &sorted) {
            self.requests = requests;
            self.next_group = 0;
        }
    }

    fn has_answers(&self) -> bool {
        self.production.spec.acks != 0
    }

    fn unanswered(&mut self, (): ()) -> Volume {
        let sent = self.sent.pop_front().expect("it was sent");
        self.requests.get(sent.assembly).volume
    }
}
