//! Prebuilt Produce requests: one for each group of partitions and variant of their batches, without the batches.

use std::sync::Arc;

use rand::distr::weighted::WeightedIndex;
use ringlog_core::protocol::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ringlog_core::protocol::{ApiKey, RequestHeader, encode_request};
use ringlog_core::wire::{Array, EncodeError, Records, Segment};
use uuid::Uuid;

use super::prebuilt::{BatchSpec, PrebuiltBatches};
use crate::acknowledged::Acknowledged;
use crate::client::{CLIENT_ID, SetupError, Target};
use crate::recorder::Volume;

/// Where the correlation id stands in a request frame: after length, API key and version.
pub const CORRELATION_ID_AT: usize = 8;
const TIMEOUT_MS: i32 = 30_000;

/// How requests look.
#[derive(Debug, Clone)]
pub struct ProduceSpec {
    /// Their batches.
    pub batch: BatchSpec,
    /// Batches in each request, each of another partition.
    pub partitions_per_request: usize,
    /// 0, 1 or -1 for all.
    pub acks: i16,
}

/// What all connections of a run share, on all threads.
#[derive(Debug)]
pub struct Production {
    pub(super) spec: ProduceSpec,
    pub(super) version: i16,
    topic_name: String,
    topic_id: Uuid,
    pub(super) batches: PrebuiltBatches,
    /// Tells this run's records from those of others.
    pub run: u32,
    /// When the run was prepared, by the wall clock.
    pub(super) wall_clock_ms: i64,
    /// What was acknowledged.
    pub acknowledged: Acknowledged,
}

impl Production {
    /// Builds the batches. `run` should differ from run to run.
    pub fn new(target: &Target, spec: &ProduceSpec, run: u32) -> Result<Arc<Self>, SetupError> {
        Ok(Arc::new(Self {
            version: target.versions.pick::<ProduceRequest<'_>>(ApiKey::Produce)?,
            topic_name: target.topic_name.clone(),
            topic_id: target.topic_id,
            batches: PrebuiltBatches::build(&spec.batch, target.partitions.len()),
            run,
            wall_clock_ms: target.wall_clock_ms,
            acknowledged: Acknowledged::new(target.partitions.len()),
            spec: spec.clone(),
        }))
    }

    /// Partitions of the topic when the run was prepared; they are numbered from zero on.
    pub(super) fn partitions_count(&self) -> usize {
        self.acknowledged.partitions_count()
    }

    /// Records in one request, about: batches differ where records do.
    pub fn records_per_request(&self) -> usize {
        (self.batches.get(0).records() * self.spec.partitions_per_request.max(1)).max(1)
    }
}

/// The requests to one broker.
#[derive(Debug)]
pub struct Requests {
    /// Sorted.
    pub(super) partitions: Vec<i32>,
    assemblies: Vec<Assembly>,
    variants: usize,
    /// Of the groups, where keys decide.
    pub(super) weights: Option<WeightedIndex<f64>>,
}

/// One request without its batches.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) segments: Vec<Segment>,
    /// Partition and index of its batch.
    pub(super) batches: Vec<(i32, usize)>,
    pub(super) volume: Volume,
}

impl Requests {
    /// For the partitions that the broker leads.
    pub fn build(production: &Production, partitions: &[i32]) -> Result<Arc<Self>, EncodeError> {
        let mut partitions = partitions.to_vec();
        partitions.sort_unstable();
        let batches = &production.batches;
        let groups: Vec<&[i32]> = partitions.chunks(production.spec.partitions_per_request.max(1)).collect();
        let mut assemblies = Vec::with_capacity(groups.len() * batches.variants());
        for group in &groups {
            for variant in 0..batches.variants() {
                let place = |(place, partition): (usize, &i32)| {
                    (*partition, batches.index(*partition, (variant + place) % batches.variants()))
                };
                assemblies.push(Assembly::build(production, group.iter().enumerate().map(place).collect())?);
            }
        }
        let weight = |group: &&[i32]| group.iter().map(|partition| batches.weight(*partition)).sum::<f64>();
        let weights = batches.are_keyed().then(|| WeightedIndex::new(groups.iter().map(weight)).ok()).flatten();
        Ok(Arc::new(Self { assemblies, variants: batches.variants(), weights, partitions: partitions.clone() }))
    }

    /// Groups of partitions that share a request.
    pub(super) fn groups_count(&self) -> usize {
        self.assemblies.len() / self.variants
    }

    /// Index of an assembly.
    pub(super) fn index(&self, group: usize, variant: usize) -> usize {
        group * self.variants + variant % self.variants
    }

    pub(super) fn get(&self, index: usize) -> &Assembly {
        &self.assemblies[index]
    }
}

impl Assembly {
    fn build(production: &Production, batches: Vec<(i32, usize)>) -> Result<Self, EncodeError> {
        let mut volume = Volume::default();
        for (_, batch) in &batches {
            let batch = production.batches.get(*batch);
            volume.add(Volume { records: batch.records() as u64, bytes: batch.size_bytes() as u64 });
        }
        let data = |(index, batch): &(i32, usize)| PartitionProduceData {
            index: *index,
            records: Some(Records::Elsewhere { size_bytes: production.batches.get(*batch).size_bytes() }),
        };
        let topics = [TopicProduceData {
            name: &production.topic_name,
            topic_id: production.topic_id,
            partition_data: batches.iter().map(data).collect(),
        }];
        let request = ProduceRequest {
            transactional_id: None,
            acks: production.spec.acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: Array::from(&topics),
        };
        let header = RequestHeader {
            api_key: ApiKey::Produce,
            api_version: production.version,
            correlation_id: 0,
            client_id: Some(CLIENT_ID),
        };
        let segments = encode_request(Vec::new(), &header, &request)?.into_segments().collect();
        Ok(Self { segments, batches, volume })
    }
}
