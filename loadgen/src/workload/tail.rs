//! The end of the log: reads stamped batches as they arrive, and how long they took from the plan.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::record::{BatchView, Batches};
use ringlog_core::wire::DecodeError;

use super::fetch_one::{FetchOne, FetchTarget, Fetched};
use super::stamp::Stamp;
use super::{Answered, Leaving, Workload, readable};
use crate::client::{Outgoing, Partition, SetupError, Target};
use crate::findings::Findings;
use crate::recorder::{Recorder, Timing, Volume};

const FETCH_WAIT_MS: i32 = 500;
const FETCH_BYTES_MAX: i32 = 1 << 20;

/// Reads what one producer sends to one partition, which nobody else writes to.
#[derive(Debug)]
pub struct Tail {
    topic: FetchTarget,
    partition: i32,
    run: u32,
    next_offset: i64,
    warmup: Duration,
    /// The number of the next batch.
    next_number: u64,
    /// Batches received so far.
    pub received: u64,
    /// From the plan of a batch to its arrival.
    recorder: Rc<RefCell<Recorder>>,
}

impl Tail {
    /// From the end of the log as it was when the target was asked for it.
    pub fn new(
        target: &Target,
        partition: &Partition,
        run: u32,
        warmup: Duration,
        recorder: Rc<RefCell<Recorder>>,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            topic: FetchTarget::new(target)?,
            partition: partition.index,
            run,
            next_offset: partition.end_offset,
            warmup,
            next_number: 0,
            received: 0,
            recorder,
        })
    }

    fn check(&mut self, answered: Duration, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let records = match self.topic.records(self.partition, frame, findings)? {
            Fetched::Records(records) => records,
            Fetched::Refused(refused) => return Ok(refused),
        };
        for batch in Batches::new(records) {
            let (base_offset, next_offset) = (batch.base_offset(), self.next_offset);
            if base_offset != next_offset {
                findings.problem("offset gap", || format!("{base_offset}, expected {next_offset}"));
            }
            if !batch.is_crc_valid() {
                findings.problem("CRC", || format!("batch at {base_offset}"));
            }
            self.next_offset = batch.next_offset();
            match Stamp::of(&batch).filter(|stamp| stamp.run == self.run) {
                Some(stamp) => self.note(&stamp, answered, &batch, findings),
                None => findings.problem("not our record", || format!("batch at {base_offset}")),
            }
        }
        Ok(Answered::Done(Volume::default()))
    }

    fn note(&mut self, stamp: &Stamp, answered: Duration, batch: &BatchView<'_>, findings: &mut Findings) {
        let Stamp { sequence, planned, sent, .. } = *stamp;
        // What is missing may have been refused, which is known at the end.
        if sequence < self.next_number {
            findings.problem("duplicated or reordered", || format!("batch {sequence} after {}", self.next_number - 1));
        }
        self.next_number = sequence + 1;
        self.received += 1;
        if planned >= self.warmup {
            let volume = Volume { records: batch.record_count() as u64, bytes: batch.bytes().len() as u64 };
            self.recorder.borrow_mut().record(Timing { planned, sent, answered }, volume);
        }
    }
}

impl Workload for Tail {
    type Ticket = ();

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) {
        let (index, offset) = (self.partition, self.next_offset);
        let one = FetchOne { index, offset, bytes_max: FETCH_BYTES_MAX, bytes_min: 1, wait_ms: FETCH_WAIT_MS };
        out.copy(&self.topic.request(leaving.correlation_id, &one));
    }

    fn answer(&mut self, (): (), answered: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(answered, frame, findings), findings)
    }
}
