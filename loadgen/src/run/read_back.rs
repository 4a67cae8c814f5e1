//! After a run of produce: what the topic holds is read from where it ended before, and compared with what was
//! acknowledged.

use std::time::Duration;

use anyhow::Context;
use ringlog_core::protocol::ApiKey;
use ringlog_core::reactor::Reactor;
use ringlog_core::record::Batches;

use super::{reactor, stop};
use crate::client::{Asker, Partition, Target, TopicSpec, offsets};
use crate::findings::Findings;
use crate::verify::ReadBack;
use crate::workload::{FetchOne, FetchTarget, Fetched, Production};

/// Bytes asked for at a time.
const BYTES_MAX: i32 = 8 << 20;
/// How long the broker may wait for the first byte, which is there.
const WAIT_MS: i32 = 500;

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadBackVolume {
    /// Records.
    pub records: u64,
    /// Bytes of record batches.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Reads every partition of `target`, whose end offsets are those before the run.
pub fn read_back(
    topic: &TopicSpec,
    target: &Target,
    production: &Production,
    findings: &mut Findings,
) -> anyhow::Result<ReadBackVolume> {
    let reactor = reactor()?;
    let read = reactor.block_on(read_back_on(&reactor, topic, target, production, findings));
    stop(&reactor)?;
    read.context("read back")
}

/// As [`read_back`], on a reactor that is there.
pub async fn read_back_on(
    reactor: &Reactor,
    topic: &TopicSpec,
    target: &Target,
    production: &Production,
    findings: &mut Findings,
) -> anyhow::Result<ReadBackVolume> {
    let started = reactor.now();
    let mut ends = target.partitions.clone();
    offsets(reactor, topic, &mut ends).await?;
    let fetch = FetchTarget::new(target)?;
    let mut volume = ReadBackVolume::default();
    for leader in target.by_leader().into_keys() {
        let mut asker = Asker::connect(reactor, leader).await?;
        for (before, after) in target.partitions.iter().zip(&ends).filter(|(partition, _)| partition.leader == leader) {
            let acks = production.acknowledged.partition(before.index);
            let mut check = ReadBack::new(before.index, production.run, acks, before.end_offset);
            volume.bytes += read_partition(&mut asker, &fetch, after, &mut check, findings).await?;
            volume.records += check.records;
            check.finish(findings);
        }
    }
    volume.elapsed = Duration::from_nanos(reactor.now().0 - started.0);
    Ok(volume)
}

async fn read_partition(
    asker: &mut Asker,
    fetch: &FetchTarget,
    partition: &Partition,
    check: &mut ReadBack,
    findings: &mut Findings,
) -> anyhow::Result<u64> {
    let index = partition.index;
    let mut bytes = 0;
    while check.next_offset() < partition.end_offset {
        let offset = check.next_offset();
        let one = FetchOne { index, offset, bytes_max: BYTES_MAX, bytes_min: 1, wait_ms: WAIT_MS };
        let frame = asker.exchange(ApiKey::Fetch, fetch.request(0, &one)).await?;
        let Fetched::Records(records) = fetch.records(index, frame, findings)? else { break };
        for batch in Batches::new(records) {
            bytes += batch.bytes().len() as u64;
            check.batch(&batch, findings);
        }
        if check.next_offset() <= offset {
            findings.problem("no batch", || {
                format!("partition {index} at {offset}, which ends at {}", partition.end_offset)
            });
            break;
        }
    }
    Ok(bytes)
}
