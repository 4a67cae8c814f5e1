//! The writer of a compacted topic, which also reads it: whatever compaction has removed, the newest record of each key is
//! the last one that was acked, or one whose ack was lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use ringlog_core::protocol::messages::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionProduceData, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::record::compression::open;
use ringlog_core::record::{BatchBuilder, Batches, Codec, NewRecord, Records};
use ringlog_core::wire;
use uuid::Uuid;

use super::super::bench::Client;
use super::super::changes;
use super::super::list_offsets::{EARLIEST, list_offset};
use super::super::wire::Link;

const KEYS: u64 = 10;
const VALUE_BYTES_MAX: u64 = 300;
/// The last versions that name topics.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;

/// A topic of one partition, and what was written to it.
#[derive(Debug, Default)]
pub struct KeyedTopic {
    pub name: String,
    pub configs: Vec<(&'static str, &'static str)>,
    sent: RefCell<Vec<Sent>>,
    /// By offset, what was read there.
    known: RefCell<BTreeMap<i64, usize>>,
    /// By key, offset and number of the newest record that was read.
    newest: RefCell<BTreeMap<u8, (i64, usize)>>,
    /// A batch is on its way.
    pub is_pending: Cell<bool>,
    /// Its configuration may be altered.
    is_changing: bool,
    /// Somebody asked for it.
    has_retention: Cell<bool>,
}

/// A record; its place in the list is its number.
#[derive(Debug, Clone)]
struct Sent {
    key: u8,
    is_tombstone: bool,
    /// `None`: nobody knows whether it is there.
    acked: Option<i64>,
}

/// A record as it was read.
#[derive(Debug, Clone, Copy)]
struct Found {
    offset: i64,
    number: usize,
    key: u8,
    is_tombstone: bool,
}

/// Starts the writer.
pub fn start(client: Client, topic: Rc<KeyedTopic>) {
    client.reactor.clone().spawn(async move {
        loop {
            let ended = work(&client, &topic).await;
            client.note(|| format!("writer of {}: {:?}", topic.name, ended.err()));
            topic.is_pending.set(false);
            client.pause(20_000).await;
        }
    });
}

/// Reads all of the topic, and compares it, until that succeeds.
pub async fn verify(client: &Client, topic: &KeyedTopic) {
    loop {
        let read = async {
            let mut link = Link::connect(&client.reactor, client.bench.broker).await?;
            read(client, &mut link, topic, client.bench.life.get()).await
        };
        match read.await {
            Ok(()) => return,
            Err(error) => client.note(|| format!("verifier of {}: {error}", topic.name)),
        }
        client.pause(5_000).await;
    }
}

async fn work(client: &Client, topic: &KeyedTopic) -> io::Result<()> {
    let life = client.bench.life.get();
    let mut link = Link::connect(&client.reactor, client.bench.broker).await?;
    loop {
        if !client.bench.draining.get() {
            topic.is_pending.set(true);
            write(client, &mut link, topic, life).await?;
            topic.is_pending.set(false);
        }
        if topic.is_changing && !client.bench.draining.get() && client.one_in(15) {
            change(client, &mut link, topic, life).await?;
        }
        if client.one_in(20) {
            read(client, &mut link, topic, life).await?;
        }
        client.pause(6_000).await;
    }
}

async fn write(client: &Client, link: &mut Link, topic: &KeyedTopic, life: u64) -> io::Result<()> {
    let codec = if client.one_in(4) { client.pick(&[Codec::Lz4, Codec::Snappy]) } else { Codec::None };
    let mut builder = BatchBuilder::new().codec(codec);
    let first = topic.sent.borrow().len();
    for _ in 0..1 + client.below(5) {
        let (key, is_tombstone) = (client.below(KEYS) as u8, client.one_in(5));
        let value = vec![key; client.below(VALUE_BYTES_MAX) as usize];
        let number = (topic.sent.borrow().len() as u64).to_be_bytes();
        topic.sent.borrow_mut().push(Sent { key, is_tombstone, acked: None });
        builder.push(NewRecord {
            timestamp: client.reactor.wall_clock_ms(),
            key: Some(&[key]),
            value: (!is_tombstone).then_some(&value),
            // A tombstone has room for its number only here.
            headers: &[(b"number", Some(&number))],
        });
    }
    let bytes = builder.build();
    let data = PartitionProduceData { index: 0, records: Some(wire::Records::Bytes(&bytes)) };
    let topic_data = TopicProduceData { name: &topic.name, topic_id: Uuid::nil(), partition_data: vec![data].into() };
    let request =
        ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 30_000, topic_data: vec![topic_data].into() };
    let answer = link.call(ApiKey::Produce, PRODUCE_VERSION, &request).await?;
    let answer: ProduceResponse<'_> = answer.decode();
    let answered = answer.responses.iter().next().expect("one topic was asked");
    let result = answered.partition_responses.iter().next().expect("one partition was asked");
    client.note(|| format!("{} {first}..: {} at {}", topic.name, result.error_code, result.base_offset));
    match result.error_code {
        ErrorCode::NONE => {
            let mut sent = topic.sent.borrow_mut();
            (result.base_offset..).zip(&mut sent[first..]).for_each(|(offset, sent)| sent.acked = Some(offset));
        }
        // Not created yet, busy, or the disk is full.
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::REQUEST_TIMED_OUT => {}
        ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            if client.bench.tolerates_errors(life) => {}
        code => panic!("{code} for {}", topic.name),
    }
    Ok(())
}

/// Alters how the topic is cleaned.
async fn change(client: &Client, link: &mut Link, topic: &KeyedTopic, life: u64) -> io::Result<()> {
    let policy = client.pick(&["compact", "compact,delete", "delete", "compact"]);
    let (name, value) = client.pick(&[
        ("cleanup.policy", policy),
        ("delete.retention.ms", "0"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("segment.ms", "40"),
    ]);
    if value.contains("delete") {
        topic.has_retention.set(true);
    }
    changes::alter(client, link, &topic.name, (name, value), life).await.map(drop)
}

/// Reads from the start to the end, and compares.
async fn read(client: &Client, link: &mut Link, topic: &KeyedTopic, life: u64) -> io::Result<()> {
    let start = topic.start(link).await?;
    let (mut position, mut end) = (start, i64::MAX);
    let mut view = BTreeMap::new();
    while position < end {
        let partition = FetchPartition {
            fetch_offset: position,
            partition_max_bytes: client.pick(&[1, 1_000, 8_000]),
            ..FetchPartition::default()
        };
        let fetched = FetchTopic { topic: &topic.name, topic_id: Uuid::nil(), partitions: vec![partition].into() };
        let request = FetchRequest { topics: vec![fetched].into(), min_bytes: 1, ..FetchRequest::default() };
        let answer = link.call(ApiKey::Fetch, FETCH_VERSION, &request).await?;
        let answer: FetchResponse<'_> = answer.decode();
        let answered = answer.responses.iter().next().expect("one topic was asked");
        let data = answered.partitions.iter().next().expect("one partition was asked");
        match data.error_code {
            ErrorCode::NONE => {}
            ErrorCode::OFFSET_OUT_OF_RANGE if topic.is_deleted() => return Err(io::Error::other("retention was here")),
            ErrorCode::KAFKA_STORAGE_ERROR if client.bench.tolerates_errors(life) => {
                return Err(io::Error::other("storage error"));
            }
            code => panic!("fetch of {} at {position}: {code}", topic.name),
        }
        end = end.min(data.high_watermark);
        let bytes = data.records.as_ref().map_or(&[][..], wire::Records::bytes);
        let next = records_of(bytes, position, |found| {
            topic.meet(found);
            view.insert(found.key, found);
        });
        if next == position && position < end {
            return Err(io::Error::other("nothing to read below the end"));
        }
        position = next;
    }
    topic.check(&view, start);
    Ok(())
}

/// Gives each record from `position` on; returns where to read on.
fn records_of(bytes: &[u8], position: i64, mut each: impl FnMut(Found)) -> i64 {
    let mut batches = Batches::new(bytes);
    let mut next = position;
    for batch in batches.by_ref() {
        assert!(batch.is_crc_valid(), "batch at {}", batch.base_offset());
        let payload = open(&batch, 1 << 20).expect("it was written here");
        for record in Records::new(&payload, batch.record_count()) {
            let mut record = record.expect("it was written here");
            let number = record.headers.next().and_then(|(_, value)| value?.first_chunk().copied());
            let found = Found {
                offset: batch.base_offset() + i64::from(record.offset_delta),
                number: u64::from_be_bytes(number.expect("each record has its number")) as usize,
                key: record.key.expect("each record has a key")[0],
                is_tombstone: record.value.is_none(),
            };
            if found.offset >= position {
                each(found);
            }
        }
        next = batch.next_offset();
    }
    assert!(batches.rest().is_empty(), "{} bytes that are no whole batch", batches.rest().len());
    next
}

impl KeyedTopic {
    /// A topic that nothing was written to.
    pub fn new(name: String, configs: Vec<(&'static str, &'static str)>, is_changing: bool) -> Self {
        let has_retention = Cell::new(configs.contains(&("cleanup.policy", "compact,delete")));
        Self { name, configs, is_changing, has_retention, ..Self::default() }
    }

    fn is_deleted(&self) -> bool {
        self.has_retention.get()
    }

    /// Where the log starts.
    async fn start(&self, link: &mut Link) -> io::Result<i64> {
        let (error_code, offset) = list_offset(link, &self.name, 0, EARLIEST).await?;
        if !error_code.is_none() {
            return Err(io::Error::other(format!("no start: {error_code}")));
        }
        assert!(offset == 0 || self.is_deleted(), "{} starts at {offset}", self.name);
        Ok(offset)
    }

    /// A record that was read is the one that is always at its offset.
    fn meet(&self, found: Found) {
        let Found { offset, number, .. } = found;
        let known = *self.known.borrow_mut().entry(offset).or_insert(number);
        assert_eq!(known, number, "{} at {offset}", self.name);
        let sent = self.sent.borrow();
        let sent = sent.get(number).unwrap_or_else(|| panic!("{}: nobody sent {number}", self.name));
        assert_eq!((sent.key, sent.is_tombstone), (found.key, found.is_tombstone), "{} at {offset}", self.name);
        assert!(sent.acked.is_none_or(|acked| acked == offset), "{}: {sent:?} is at {offset}", self.name);
    }

    /// Offset and number of the newest record of a key that is known to be there, or to have been.
    fn newest_known(&self, key: u8) -> Option<(i64, usize)> {
        let sent = self.sent.borrow();
        let of_key = sent.iter().enumerate().filter(|(_, record)| record.key == key);
        let acked = of_key.filter_map(|(number, record)| Some((record.acked?, number)));
        acked.chain(self.newest.borrow().get(&key).copied()).max()
    }

    /// The newest record of each key is not older than what is known. None is there only if the newest was a tombstone, or
    /// retention has removed it from before `start`.
    fn check(&self, view: &BTreeMap<u8, Found>, start: i64) {
        let sent = self.sent.borrow();
        for key in 0..KEYS as u8 {
            let known = self.newest_known(key);
            if let Some(Found { offset, number, .. }) = view.get(&key) {
                assert!(known <= Some((*offset, *number)), "{}: key {key} is {offset}, was {known:?}", self.name);
                self.newest.borrow_mut().insert(key, (*offset, *number));
            } else if let Some((offset, number)) = known {
                let may_be_deleted = |record: &Sent| record.key == key && record.is_tombstone && record.acked.is_none();
                let is_deleted = sent[number].is_tombstone || sent.iter().any(may_be_deleted);
                assert!(is_deleted || offset < start, "{}: key {key} is lost, was at {offset}", self.name);
            }
        }
    }
}
