//! Produce, readers at the end of the log and commits at the same time, each on a thread of its own.

use std::sync::Arc;

use anyhow::anyhow;

use super::pipes::{Connection, Place, run};
use super::{Load, commit, produce};
use crate::client::{Target, TopicSpec};
use crate::measured::Measured;
use crate::plan::Rate;
use crate::workload::{Fetch, FetchSpec, Production};

/// What runs beside the producers, whose load is the main one.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Connections that read.
    pub readers: usize,
    /// How they read.
    pub fetch: &'a FetchSpec,
    /// Groups that commit.
    pub groups: usize,
    /// Their names start so.
    pub group_prefix: &'a str,
    /// Commits per second.
    pub commit_rate: Rate,
}

/// What each kind of load measured.
#[derive(Debug)]
pub struct Parts {
    /// The producers.
    pub produce: Measured,
    /// The readers.
    pub fetch: Measured,
    /// The commits.
    pub commit: Measured,
}

impl Parts {
    /// All of them with their names.
    pub fn named(&self) -> [(&'static str, &Measured); 3] {
        [("produce", &self.produce), ("fetch", &self.fetch), ("commit", &self.commit)]
    }

    /// Their sum. CPU time is of the process and counted once.
    pub fn total(&self) -> Measured {
        let mut total = self.produce.clone();
        for part in [&self.fetch, &self.commit] {
            total.recorder.merge(&part.recorder);
            total.findings.merge(&part.findings);
            total.elapsed = total.elapsed.max(part.elapsed);
            total.threads += part.threads;
        }
        total
    }
}

/// Runs all three.
pub fn mixed(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    production: &Arc<Production>,
    beside: &Beside<'_>,
) -> anyhow::Result<Parts> {
    let places = Place::leaders(target);
    let reading = Load {
        connections: beside.readers,
        in_flight: 1,
        threads: 1,
        rate: Rate::Max,
        control: None,
        shown_as: None,
        ..load.clone()
    };
    let connections = load.connections.min(beside.groups);
    let committing =
        Load { connections, threads: 1, rate: beside.commit_rate, control: None, shown_as: None, ..load.clone() };
    std::thread::scope(|scope| {
        let fetch = scope.spawn(|| {
            run(&reading, topic, &places, |connection: &Connection<'_>| {
                let reader = connection.index / places.len();
                Ok(Fetch::new(target, &connection.place.partitions, beside.fetch, reader, 1)?)
            })
        });
        let commit = scope.spawn(|| commit(&committing, topic, target, beside.group_prefix, beside.groups));
        let produce = produce(load, topic, target, production, false)?;
        let fetch = fetch.join().map_err(|_| anyhow!("the readers panicked"))??;
        let commit = commit.join().map_err(|_| anyhow!("the commits panicked"))??;
        Ok(Parts { produce, fetch, commit })
    })
}
