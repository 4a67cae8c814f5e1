//! `ringlog consume`: prints records, from where it is told, until it is told to end. It is of no group and commits
//! nothing.

mod aborted;
mod pattern;

use std::io::{self, BufWriter, Write};

use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ringlog_core::record::{BatchView, Batches};
use ringlog_core::wire::Records as WireRecords;

use self::aborted::AbortedRecords;
use self::pattern::{Pattern, Shown, write_json};
use super::client::{Cluster, PartitionInfo, check};
use super::records::with_records;
use super::{CommandError, check_partition};
use crate::config::{ConsumeOptions, OutputFormat};

/// The last that names topics instead of their ids.
const FETCH_VERSION_MAX: i16 = 12;
const FETCH_BYTES_MAX: i32 = 8 << 20;
const PARTITION_BYTES_MAX: i32 = 1 << 20;
const WAIT_MS: i32 = 1000;
/// How long other leaders' records wait where a topic has several leaders.
const WAIT_MS_OF_SEVERAL: i32 = 100;
const END: i64 = -1;
const START: i64 = -2;

/// Where a partition is read next.
struct Position {
    partition: PartitionInfo,
    next_offset: i64,
    /// Reading ends there (exclusive).
    end_offset: Option<i64>,
}

impl Position {
    fn is_done(&self) -> bool {
        self.end_offset.is_some_and(|end| self.next_offset >= end)
    }

    /// Reading goes on behind the batch.
    fn pass(&mut self, batch: &BatchView<'_>) {
        self.next_offset = self.next_offset.max(batch.next_offset());
    }
}

pub(super) fn run(options: &ConsumeOptions) -> Result<(), CommandError> {
    let mut cluster = Cluster::enter(&options.cluster.bootstrap)?;
    let mut positions = positions(&mut cluster, options)?;
    let pattern = Pattern::parse(&options.pattern).map_err(CommandError::Usage)?;
    let mut left = options.count.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(io::stdout().lock());
    loop {
        positions.retain(|position| !position.is_done());
        let mut leaders: Vec<i32> = positions.iter().map(|position| position.partition.leader).collect();
        leaders.sort_unstable();
        leaders.dedup();
        if leaders.is_empty() || left == 0 {
            return Ok(out.flush()?);
        }
        for leader in &leaders {
            let wait_ms = if leaders.len() == 1 { WAIT_MS } else { WAIT_MS_OF_SEVERAL };
            fetch(&mut cluster, options, *leader, wait_ms, &mut positions, &mut |shown| {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                match options.cluster.format {
                    OutputFormat::Text => pattern.write(&mut out, shown),
                    OutputFormat::Json => write_json(&mut out, shown),
                }
            })?;
        }
        out.flush()?;
    }
}

/// Where each partition begins and ends.
fn positions(cluster: &mut Cluster, options: &ConsumeOptions) -> Result<Vec<Position>, CommandError> {
    let topic = cluster.topic(&options.topic)?;
    for partition in &options.partitions {
        check_partition(&topic, *partition)?;
    }
    let wanted =
        |partition: &PartitionInfo| options.partitions.is_empty() || options.partitions.contains(&partition.partition);
    let mut positions = Vec::new();
    for partition in topic.partitions.into_iter().filter(wanted) {
        let mut offset_at = |timestamp| cluster.offset(&topic.name, &partition, timestamp, options.isolation_level);
        let start = offset_at(START)?;
        let end = offset_at(END)?;
        let next_offset = match parse_offset(&options.offset)? {
            Begin::Start => start,
            Begin::End => end,
            Begin::Offset(offset) => offset.max(start),
            Begin::Last(count) => (end - count).max(start),
            Begin::Time(time_ms) => match offset_at(time_ms)? {
                -1 => end,
                offset => offset,
            },
        };
        let end_offset = options.exit_at_end.then_some(end);
        positions.push(Position { partition, next_offset, end_offset });
    }
    Ok(positions)
}

/// Where reading begins.
enum Begin {
    Start,
    End,
    Offset(i64),
    Last(i64),
    Time(i64),
}

fn parse_offset(text: &str) -> Result<Begin, CommandError> {
    let wrong = || CommandError::Usage(format!("'{text}' is no place to begin: start, end, N, -N or @MILLISECONDS"));
    let number = |digits: &str| digits.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(wrong);
    match text.split_at_checked(1) {
        _ if text == "start" => Ok(Begin::Start),
        _ if text == "end" => Ok(Begin::End),
        Some(("-", digits)) => number(digits).map(Begin::Last),
        Some(("@", digits)) => number(digits).map(Begin::Time),
        _ => number(text).map(Begin::Offset),
    }
}

fn fetch(
    cluster: &mut Cluster,
    options: &ConsumeOptions,
    leader: i32,
    max_wait_ms: i32,
    positions: &mut [Position],
    show: &mut impl FnMut(&Shown<'_>) -> io::Result<()>,
) -> Result<(), CommandError> {
    let asked = positions.iter().filter(|position| position.partition.leader == leader);
    let partitions = asked.map(|position| FetchPartition {
        partition: position.partition.partition,
        fetch_offset: position.next_offset,
        partition_max_bytes: PARTITION_BYTES_MAX,
        ..Default::default()
    });
    let topic = FetchTopic { topic: &options.topic, partitions: partitions.collect(), ..Default::default() };
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: FETCH_BYTES_MAX,
        isolation_level: options.isolation_level.wire(),
        topics: vec![topic].into(),
        ..Default::default()
    };
    let answer = cluster.ask_broker(leader, ApiKey::Fetch, FETCH_VERSION_MAX, &request)?;
    let response: FetchResponse<'_> = answer.decode()?;
    check(&options.topic, response.error_code, None)?;
    for topic in &response.responses {
        for row in &topic.partitions {
            check(&format!("{}-{}", options.topic, row.partition_index), row.error_code, None)?;
            let position = positions.iter_mut().find(|known| known.partition.partition == row.partition_index);
            let Some(position) = position else { continue };
            let mut aborted = AbortedRecords::new(row.aborted_transactions.iter().flatten());
            for batch in Batches::new(row.records.as_ref().map_or(&[], WireRecords::bytes)) {
                if batch.is_control() | aborted.contain(&batch) {
                    position.pass(&batch);
                } else {
                    show_batch(options, position, &batch, show)?;
                }
            }
        }
    }
    Ok(())
}

fn show_batch(
    options: &ConsumeOptions,
    position: &mut Position,
    batch: &BatchView<'_>,
    show: &mut impl FnMut(&Shown<'_>) -> io::Result<()>,
) -> Result<(), CommandError> {
    let mut shown = Ok(());
    with_records(batch, |record| {
        let offset = batch.base_offset() + i64::from(record.offset_delta);
        let is_wanted = offset >= position.next_offset && position.end_offset.is_none_or(|end| offset < end);
        if is_wanted && shown.is_ok() {
            shown = show(&Shown {
                topic: &options.topic,
                partition: position.partition.partition,
                offset,
                timestamp_ms: batch.base_timestamp() + record.timestamp_delta,
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
    })
    .map_err(CommandError::Damaged)?;
    shown?;
    position.pass(batch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin() {
        assert!(matches!(parse_offset("start"), Ok(Begin::Start)));
        assert!(matches!(parse_offset("end"), Ok(Begin::End)));
        assert!(matches!(parse_offset("17"), Ok(Begin::Offset(17))));
        assert!(matches!(parse_offset("-5"), Ok(Begin::Last(5))));
        assert!(matches!(parse_offset("@1700000000000"), Ok(Begin::Time(1_700_000_000_000))));
        for text in ["", "-", "@", "x", "--5", "@-", "1.5"] {
            assert!(parse_offset(text).is_err(), "{text}");
        }
    }
}
