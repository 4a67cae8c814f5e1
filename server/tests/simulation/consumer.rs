//! Simulated consumers: read from 0 and tail with a long poll, ask for offsets, and tell the model what they saw.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use ringlog_core::protocol::messages::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::Records;
use uuid::Uuid;

use super::bench::Client;
use super::list_offsets::{EARLIEST, LATEST, list_offset};
use super::model::{Stage, Target};
use super::records::{RecordId, read_batches};
use super::wire::Link;

/// What a fetch asks for, besides positions.
#[derive(Debug, Clone, Copy)]
struct Limits {
    version: i16,
    max_wait_ms: i32,
    partition_max_bytes: i32,
}

/// Starts a consumer that reads for as long as the run goes.
pub fn start(client: Client) {
    client.reactor.clone().spawn(async move {
        loop {
            let ended = Reader::new(&client).converse().await;
            client.note(|| format!("consumer: {:?}", ended.err()));
            client.pause(20_000).await;
        }
    });
}

/// Reads every live partition from its start to its end and compares all of it with the model.
pub async fn verify_all(client: &Client) {
    let targets = client.bench.model.borrow().live_targets();
    for target in targets {
        loop {
            match Reader::new(client).read_whole(target).await {
                Ok((start, read)) => break client.bench.model.borrow_mut().verify(target, start, &read),
                Err(error) => client.note(|| format!("verifier: {error}")),
            }
            client.pause(5_000).await;
        }
    }
}

/// One connection's view.
struct Reader<'a> {
    client: &'a Client,
    losses: u64,
    /// The broker's life in which the connection was opened.
    life: u64,
    positions: BTreeMap<Target, i64>,
    high_watermarks: BTreeMap<Target, i64>,
    session: Session,
    /// Where logs started at least when the last fetch was sent.
    starts_acked: BTreeMap<Target, i64>,
    /// The log was asked for what is below its start, or behind its end.
    out_of_range: Option<Target>,
}

/// A fetch session (KIP-227) as its reader sees it.
#[derive(Default)]
struct Session {
    id: i32,
    /// Of the next fetch: 0 asks for a session, -1 for none.
    epoch: i32,
    /// Where the broker believes the reader to be.
    positions: BTreeMap<Target, i64>,
}

impl Session {
    fn none() -> Self {
        Self { epoch: -1, ..Self::default() }
    }

    /// Whether the next fetch has to name a partition.
    fn misses(&self, target: &Target, position: i64) -> bool {
        self.epoch <= 0 || self.positions.get(target) != Some(&position)
    }
}

impl<'a> Reader<'a> {
    fn new(client: &'a Client) -> Self {
        let losses = client.bench.model.borrow().losses();
        let life = client.bench.life.get();
        Self {
            client,
            losses,
            life,
            positions: BTreeMap::new(),
            high_watermarks: BTreeMap::new(),
            session: Session::none(),
            starts_acked: BTreeMap::new(),
            out_of_range: None,
        }
    }

    async fn converse(&mut self) -> io::Result<()> {
        let mut link = Link::connect(&self.client.reactor, self.client.bench.broker).await?;
        if self.client.one_in(2) {
            self.session = Session::default();
        }
        loop {
            let targets = self.client.bench.model.borrow().live_targets();
            self.positions.retain(|target, _| targets.contains(target));
            if targets.is_empty() {
                self.client.pause(5_000).await;
                continue;
            }
            for _ in 0..self.client.below(4) {
                self.positions.entry(self.client.pick(&targets)).or_insert(0);
            }
            if let Some(target) = self.out_of_range.take().filter(|target| targets.contains(target)) {
                let (start, _) = self.list_offsets(&mut link, target).await?;
                self.positions.insert(target, start);
            }
            if self.client.one_in(10) {
                self.list_offsets(&mut link, self.client.pick(&targets)).await?;
            }
            let limits = Limits {
                version: self.client.pick(&[13, 15, 17]),
                max_wait_ms: self.client.pick(&[0, 5, 40]),
                partition_max_bytes: self.client.pick(&[1, 700, 5_000, 1 << 20]),
            };
            self.fetch(&mut link, limits, |_, _| ()).await?;
            self.client.pause(2_000).await;
        }
    }

    /// The start of a partition and all its records up to the end that the broker tells first, and what others see behind it meanwhile:
    /// what producers that want no acks sent last may still be on its way.
    async fn read_whole(&mut self, target: Target) -> io::Result<(i64, Vec<(i64, RecordId)>)> {
        let mut link = Link::connect(&self.client.reactor, self.client.bench.broker).await?;
        let (start, mut end) = self.list_offsets(&mut link, target).await?;
        let limits = Limits { version: 17, max_wait_ms: 0, partition_max_bytes: 1 << 16 };
        self.positions = BTreeMap::from([(target, start)]);
        let mut read = Vec::new();
        while self.positions[&target] < end {
            let before = self.positions[&target];
            self.fetch(&mut link, limits, |offset, id| read.push((offset, id))).await?;
            if self.positions.get(&target).is_none_or(|position| *position == before) {
                return Err(io::Error::other("nothing to read below the end"));
            }
            end = end.max(self.client.bench.model.borrow().partition(target).end());
        }
        Ok((start, read))
    }

    async fn fetch(&mut self, link: &mut Link, limits: Limits, mut each: impl FnMut(i64, RecordId)) -> io::Result<()> {
        let mut by_topic: BTreeMap<Uuid, Vec<FetchPartition>> = BTreeMap::new();
        for (target, position) in &self.positions {
            if !self.session.misses(target, *position) {
                continue;
            }
            by_topic.entry(target.topic_id).or_default().push(FetchPartition {
                partition: target.partition,
                current_leader_epoch: -1,
                fetch_offset: *position,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: limits.partition_max_bytes,
                replica_directory_id: Uuid::nil(),
                high_watermark: i64::MAX,
            });
        }
        let topics = by_topic
            .iter()
            .map(|(&topic_id, partitions)| FetchTopic { topic: "", topic_id, partitions: partitions[..].into() })
            .collect();
        let forgotten = self.session.positions.keys().filter(|target| !self.positions.contains_key(target));
        let forgotten = forgotten.map(|target| ForgottenTopic {
            topic: "",
            topic_id: target.topic_id,
            partitions: vec![target.partition].into(),
        });
        let request = FetchRequest {
            max_wait_ms: limits.max_wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics,
            session_id: self.session.id,
            session_epoch: self.session.epoch,
            forgotten_topics_data: forgotten.collect(),
            ..FetchRequest::default()
        };
        self.starts_acked = {
            let model = self.client.bench.model.borrow();
            self.positions.keys().map(|target| (*target, model.partition(*target).start_acked())).collect()
        };
        let answer = link.call(ApiKey::Fetch, limits.version, &request).await?;
        let answer: FetchResponse<'_> = answer.decode();
        match answer.error_code {
            ErrorCode::NONE => {}
            // Evicted, or this connection is on another shard.
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND if self.session.epoch > 0 => {
                self.session = Session::default();
                return Ok(());
            }
            code => panic!("Fetch: {code}"),
        }
        if self.session.epoch >= 0 {
            self.session = match answer.session_id {
                0 => Session::default(),
                id => Session { id, epoch: self.session.epoch + 1, positions: self.positions.clone() },
            };
        }
        for topic in &answer.responses {
            for data in &topic.partitions {
                self.take(Target { topic_id: topic.topic_id, partition: data.partition_index }, &data, &mut each)?;
            }
        }
        Ok(())
    }

    /// Takes what was fetched of one partition.
    fn take(
        &mut self,
        target: Target,
        data: &PartitionData<'_>,
        each: &mut impl FnMut(i64, RecordId),
    ) -> io::Result<()> {
        let bench = Rc::clone(&self.client.bench);
        let mut model = bench.model.borrow_mut();
        if !model.is_live(target.topic_id) {
            self.positions.remove(&target);
            return Ok(());
        }
        let position = self.positions[&target];
        let lossy = model.may_have_lost(target);
        match data.error_code {
            ErrorCode::NONE => {}
            ErrorCode::KAFKA_STORAGE_ERROR if bench.tolerates_errors(self.life) => {
                return Err(io::Error::other("storage error"));
            }
            ErrorCode::OFFSET_OUT_OF_RANGE if lossy || model.may_be_cut(target) => {
                self.positions.remove(&target);
                self.out_of_range = Some(target);
                return Ok(());
            }
            code => panic!("fetch of {target:?} at {position}: {code}"),
        }
        let hw = self.high_watermarks.entry(target).or_insert(0);
        assert!(
            data.high_watermark >= *hw,
            "{target:?}: the high watermark goes back from {hw} to {}",
            data.high_watermark
        );
        *hw = data.high_watermark;
        model.seen(target, data.high_watermark);
        let (start, acked) = (data.log_start_offset, self.starts_acked[&target]);
        assert!(model.may_start(target, start, acked), "{target:?} starts at {start}, {acked} was acked");
        let bytes = data.records.as_ref().map_or(&[][..], Records::bytes);
        let records = read_batches(bytes).unwrap_or_else(|damaged| panic!("{target:?} at {position}: {}", damaged.0));
        let mut next = position;
        for (offset, id) in records.into_iter().filter(|(offset, _)| *offset >= position) {
            assert_eq!(offset, next, "{target:?}: read on at {next}, got {offset}");
            next += 1;
            model.fetched(target, offset, id, self.losses);
            each(offset, id);
        }
        assert!(next <= data.high_watermark, "{target:?}: read up to {next}, above the high watermark");
        self.positions.insert(target, next);
        Ok(())
    }

    /// Asks for both ends of a partition: its start, and the high watermark.
    async fn list_offsets(&mut self, link: &mut Link, target: Target) -> io::Result<(i64, i64)> {
        let (name, start, end) = {
            let model = self.client.bench.model.borrow();
            let partition = model.partition(target);
            (model.topics[&target.topic_id].name.clone(), partition.start_acked(), partition.end())
        };
        let mut ends = [0; 2];
        for (at, timestamp) in [EARLIEST, LATEST].into_iter().enumerate() {
            let (error_code, offset) = list_offset(link, &name, target.partition, timestamp).await?;
            if self.client.bench.model.borrow().topics[&target.topic_id].stage != Stage::Live {
                return Err(io::Error::other("deleted meanwhile"));
            }
            match error_code {
                ErrorCode::NONE => ends[at] = offset,
                ErrorCode::KAFKA_STORAGE_ERROR if self.client.bench.tolerates_errors(self.life) => {
                    return Err(io::Error::other("storage error"));
                }
                code => panic!("offsets of {name}-{}: {code}", target.partition),
            }
        }
        let may_start = self.client.bench.model.borrow().may_start(target, ends[0], start);
        assert!(may_start, "{name}-{} starts at {}", target.partition, ends[0]);
        assert!(
            ends[1] >= end || self.losses != self.client.bench.model.borrow().losses(),
            "{name}-{} ends at {}, {end} was promised",
            target.partition,
            ends[1]
        );
        Ok(ends.into())
    }
}
