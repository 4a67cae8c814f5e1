//! Simulated producers: idempotent ones that repeat each batch until it is acked, and plain ones with any acks.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use ringlog_core::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, PartitionProduceData, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::record::Codec;
use ringlog_core::wire::Records;

use super::bench::Client;
use super::model::Target;
use super::records::BatchSpec;
use super::wire::{Answer, Link};

/// Requests in flight of one producer; fewer than the batches that a broker remembers per producer.
const WINDOW_MAX: usize = 3;
/// Producer ids are told from clients' numbers by this.
const IDENTITIES_FROM: usize = 1_000;
/// Produce with topic ids, so that a batch never lands in a topic made later under the same name.
const VERSION: i16 = 13;

/// How a producer works.
#[derive(Debug, Clone, Copy)]
pub struct ProducerKind {
    pub idempotent: bool,
    pub acks: i16,
}

/// Seen by the run.
#[derive(Debug, Default)]
pub struct Progress {
    /// Batches without an ack.
    pub pending: Cell<usize>,
    /// Virtual time at which the oldest of them was first sent.
    pub oldest_pending: Cell<Option<u64>>,
}

/// A producer's state, which outlives its connections.
pub struct Producer {
    client: Client,
    kind: ProducerKind,
    progress: Rc<Progress>,
    producer_id: Option<(i64, i16)>,
    sequences: BTreeMap<Target, i32>,
    pending: Vec<Batch>,
    /// Where the broker has lost what the pending batches come behind.
    gaps: Vec<Target>,
    /// The broker's life in which the present connection was opened.
    life: u64,
}

struct Batch {
    target: Target,
    spec: BatchSpec,
    /// When it was first sent; a batch that may have been appended is repeated as it is.
    first_sent: Option<u64>,
}

impl Producer {
    /// Starts it.
    pub fn start(client: Client, kind: ProducerKind) -> Rc<Progress> {
        let progress = Rc::<Progress>::default();
        let mut producer = Self {
            client: client.clone(),
            kind,
            progress: Rc::clone(&progress),
            producer_id: None,
            sequences: BTreeMap::new(),
            pending: Vec::new(),
            gaps: Vec::new(),
            life: 0,
        };
        client.reactor.spawn(async move {
            loop {
                let ended = producer.converse().await;
                producer.client.note(|| format!("producer: {:?}, {} pending", ended.err(), producer.pending.len()));
                if !producer.kind.idempotent && producer.client.one_in(2) {
                    producer.pending.clear();
                }
                producer.client.pause(20_000).await;
            }
        });
        progress
    }

    /// Works over one connection until that ends.
    async fn converse(&mut self) -> io::Result<()> {
        let losses = self.client.bench.model.borrow().losses();
        self.life = self.client.bench.life.get();
        let mut link = Link::connect(&self.client.reactor, self.client.bench.broker).await?;
        if self.kind.idempotent && self.producer_id.is_none() {
            self.init(&mut link).await?;
        }
        loop {
            self.fill();
            self.tell_progress();
            let count = self.send_window(&mut link).await?;
            if self.kind.acks == 0 {
                self.pending.drain(..count);
            } else {
                let mut done = Vec::new();
                for at in 0..count {
                    let answer = link.answer().await?;
                    if self.answered(at, &answer, losses) {
                        done.push(at);
                    }
                }
                for at in done.iter().rev() {
                    self.pending.remove(*at);
                }
                // A client sends them anew under its next id; here they are given up. Under the old id they would wait for ever.
                let gaps = std::mem::take(&mut self.gaps);
                self.pending.retain(|batch| !gaps.contains(&batch.target));
                if self.producer_id.is_none() && self.kind.idempotent {
                    self.init(&mut link).await?;
                }
            }
            self.tell_progress();
            let micros_max = if count == 0 || self.client.one_in(8) { 5_000 } else { 300 };
            self.client.pause(micros_max).await;
        }
    }

    fn tell_progress(&self) {
        self.progress.pending.set(self.pending.len());
        self.progress.oldest_pending.set(self.pending.iter().filter_map(|batch| batch.first_sent).min());
    }

    async fn init(&mut self, link: &mut Link) -> io::Result<()> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
        };
        let answer = link.call(ApiKey::InitProducerId, 4, &request).await?;
        let answer: InitProducerIdResponse = answer.decode();
        if !answer.error_code.is_none() {
            assert!(self.client.bench.tolerates_errors(self.life), "InitProducerId: {}", answer.error_code);
            return Err(io::Error::other("no producer id"));
        }
        self.producer_id = Some((answer.producer_id, answer.producer_epoch));
        self.sequences.clear();
        Ok(())
    }

    /// New batches for what the window has room for; what belongs to topics on their way out is forgotten.
    fn fill(&mut self) {
        let bench = Rc::clone(&self.client.bench);
        let mut model = bench.model.borrow_mut();
        self.pending.retain(|batch| model.is_live(batch.target.topic_id));
        let targets = model.live_targets();
        let window = self.client.below(WINDOW_MAX as u64) as usize + 1;
        while !bench.draining.get() && !targets.is_empty() && self.pending.len() < window {
            let target = self.client.pick(&targets);
            let count = self.client.below(6) + 1;
            // One that began anew is another producer: what it had under way before is repeated under its old id.
            let identity = self.producer_id.map_or(self.client.number, |(id, _)| IDENTITIES_FROM + id as usize);
            let first_id = model.new_records(target, identity, self.kind.idempotent, count);
            let producer = self.producer_id.map(|(producer_id, producer_epoch)| {
                let sequence = self.sequences.entry(target).or_default();
                let base_sequence = *sequence;
                *sequence += count as i32;
                (producer_id, producer_epoch, base_sequence)
            });
            let codec =
                if self.client.one_in(6) { self.client.pick(&[Codec::Lz4, Codec::Snappy]) } else { Codec::None };
            let timestamp_ms = self.client.reactor.wall_clock_ms();
            let spec = BatchSpec { first_id, count, producer, codec, timestamp_ms };
            self.pending.push(Batch { target, spec, first_sent: None });
        }
    }

    async fn send_window(&mut self, link: &mut Link) -> io::Result<usize> {
        let count = self.pending.len().min(WINDOW_MAX);
        for batch in &mut self.pending[..count] {
            batch.first_sent.get_or_insert(self.client.reactor.now().0);
            let bytes = batch.spec.encode();
            let data = [PartitionProduceData { index: batch.target.partition, records: Some(Records::Bytes(&bytes)) }];
            let topic = TopicProduceData { name: "", topic_id: batch.target.topic_id, partition_data: data[..].into() };
            let request = ProduceRequest {
                transactional_id: None,
                acks: self.kind.acks,
                timeout_ms: 30_000,
                topic_data: vec![topic].into(),
            };
            if self.kind.acks == 0 {
                link.send_unanswered(ApiKey::Produce, VERSION, &request).await?;
            } else {
                link.send(ApiKey::Produce, VERSION, &request).await?;
            }
        }
        Ok(count)
    }

    /// Takes the answer to pending batch `at`. True when it is settled.
    fn answered(&mut self, at: usize, answer: &Answer, losses: u64) -> bool {
        let answer: ProduceResponse<'_> = answer.decode();
        let topic = answer.responses.iter().next().expect("one topic was asked");
        let result = topic.partition_responses.iter().next().expect("one partition was asked");
        let Batch { target, spec, first_sent } = &self.pending[at];
        let bench = &self.client.bench;
        let mut model = bench.model.borrow_mut();
        self.client.note(|| {
            let (ids, code) = (spec.first_id..spec.first_id + spec.count, result.error_code);
            let name = &model.topics[&target.topic_id].name;
            format!("records {ids:?} to {name}-{}: {code} at {}", target.partition, result.base_offset)
        });
        match result.error_code {
            ErrorCode::NONE => {
                let first_sent = first_sent.expect("it was sent");
                model.acked(*target, result.base_offset, spec.ids(), first_sent, losses);
                true
            }
            _ if !model.is_live(target.topic_id) => true,
            // The disk is full, or was for a batch before this one, or is broken: what was under way when a log failed may be
            // there after the restart.
            ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                if bench.tolerates_errors(self.life) =>
            {
                false
            }
            // Else it means that the broker forgot acked batches, or refused one of two for a reason of its own: librdkafka
            // would begin a new epoch, and send again what was appended and not acked.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if model.may_have_lost(*target) => {
                // A new producer id begins anew; what is pending was lost or not, nobody knows.
                drop(model);
                self.producer_id = None;
                self.gaps.push(*target);
                true
            }
            code => panic!("{code} for {spec:?} to {target:?}"),
        }
    }
}
