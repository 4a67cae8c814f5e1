//! Produce: each connection sends to one broker; idempotent ones get their producer ids first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::pipes::{Connection, Place, run};
use super::{Load, is_retriable, reactor, stop};
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

/// How often the coordinator is asked for a producer id while it is not ready, with a pause of `RETRY` in between.
const ATTEMPTS_MAX: usize = 300;
const RETRY: Duration = Duration::from_millis(100);

/// Producer id and epoch of each connection.
fn init_producer_ids(target: &Target, count: usize) -> anyhow::Result<Vec<(i64, i16)>> {
    let reactor = reactor()?;
    let asked = reactor.block_on(async {
        let mut asker = Asker::connect(&reactor, target.bootstrap).await?;
        let mut ids = Vec::with_capacity(count);
        let mut attempts = 0;
        while ids.len() < count {
            match init_producer_id(&mut asker).await {
                Err(SetupError::Refused { code, .. }) if is_retriable(code) && attempts < ATTEMPTS_MAX => attempts += 1,
                answer => {
                    ids.push(answer?);
                    continue;
                }
            }
            reactor.sleep(RETRY).await;
        }
        Ok::<_, SetupError>(ids)
    });
    stop(&reactor)?;
    asked.context("producer ids")
}

async fn init_producer_id(asker: &mut Asker) -> Result<(i64, i16), SetupError> {
    let version = asker.versions().pick::<InitProducerIdRequest<'_>>(ApiKey::InitProducerId)?;
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
    };
    let response: InitProducerIdResponse = asker.ask_in(ApiKey::InitProducerId, version, &request).await?;
    check("InitProducerId", response.error_code, None)?;
    Ok((response.producer_id, response.producer_epoch))
}
