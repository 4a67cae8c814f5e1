//! Produce: each connection sends to one broker; idempotent ones get their producer ids first.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::pipes::{Connection, Place, run};
use super::{Load, reactor, stop};
use crate::client::{Asker, SetupError, Target, TopicSpec, check};
use crate::measured::Measured;
use crate::workload::{Produce, ProducerIdentity, Production, Requests};

/// Sends what `production` says.
pub fn produce(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    production: &Arc<Production>,
    is_idempotent: bool,
) -> anyhow::Result<Measured> {
    let places = Place::leaders(target);
    let requests = places
        .iter()
        .map(|place| Ok((place.address, Requests::build(production, &place.partitions)?)))
        .collect::<anyhow::Result<HashMap<_, _>>>()?;
    let producer_ids = if is_idempotent { init_producer_ids(target, load.connections)? } else { Vec::new() };
    run(load, topic, &places, |connection: &Connection<'_>| {
        let idempotent = producer_ids.get(connection.index).copied();
        let identity = ProducerIdentity { connection: connection.index as u32, idempotent };
        Ok(Produce::new(production, &requests[&connection.place.address], identity, connection.count))
    })
}

/// Producer id and epoch of each connection.
fn init_producer_ids(target: &Target, count: usize) -> anyhow::Result<Vec<(i64, i16)>> {
    let reactor = reactor()?;
    let asked = reactor.block_on(async {
        let mut asker = Asker::connect(&reactor, target.bootstrap).await?;
        let version = asker.versions().pick::<InitProducerIdRequest<'_>>(ApiKey::InitProducerId)?;
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                producer_id: -1,
                producer_epoch: -1,
            };
            let response: InitProducerIdResponse = asker.ask_in(ApiKey::InitProducerId, version, &request).await?;
            check("InitProducerId", response.error_code, None)?;
            ids.push((response.producer_id, response.producer_epoch));
        }
        Ok::<_, SetupError>(ids)
    });
    stop(&reactor)?;
    asked.context("producer ids")
}
