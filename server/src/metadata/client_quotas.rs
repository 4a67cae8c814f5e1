//! Client quotas (KIP-546): whom they are for, and the decisions to alter them: `(state, request) -> (results, records)`.
//!
//! Invariant: an entity is altered as a whole or not at all.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringlog_core::protocol::metadata::{self, ClientQuotaRecord};

use super::controller::records_for;
use super::image::MetadataImage;
use super::records::Records;

/// Types of entities.
pub mod entity_type {
    /// A principal's name.
    pub const USER: &str = "user";
    /// What a client calls itself.
    pub const CLIENT_ID: &str = "client-id";
    /// An address.
    pub const IP: &str = "ip";
    /// All that there are.
    pub const ALL: [&str; 3] = [USER, CLIENT_ID, IP];
}

/// Keys of quotas.
pub mod quota_key {
    /// Bytes per second.
    pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
    /// Bytes per second.
    pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
    /// Percent of one shard's time.
    pub const REQUEST_PERCENTAGE: &str = "request_percentage";
    /// Connections per second.
    pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";
    /// Created and deleted partitions per second.
    pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
}

use entity_type::IP;
use quota_key::{
    CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE,
};

/// Whom a quota is for: a name for each type of entity, `None` for all that have no quota by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

/// A quota's value; equal if it is the same number bit by bit.
#[derive(Debug, Clone, Copy)]
pub struct QuotaValue(pub f64);

/// All quotas.
pub type ClientQuotas = BTreeMap<QuotaEntity, BTreeMap<String, QuotaValue>>;

/// The changes of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaAlteration {
    /// Type and name, as the request has them.
    pub entity: Vec<(String, Option<String>)>,
    /// Key and value; `None` takes the quota away.
    pub ops: Vec<(String, Option<f64>)>,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterClientQuotas {
    /// In the order of the answer.
    pub alterations: Vec<QuotaAlteration>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// INVALID_REQUEST: why an entity's quotas are not altered, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AlterQuotaError(pub String);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for QuotaValue {}

impl QuotaEntity {
    /// Of these types and names.
    pub fn new(names: &[(&str, Option<&str>)]) -> Self {
        Self(names.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect())
    }
}

/// Replays a record.
pub(super) fn apply(quotas: &mut ClientQuotas, record: &ClientQuotaRecord<'_>) {
    let names =
        record.entity.iter().map(|entity| (entity.entity_type.to_owned(), entity.entity_name.map(str::to_owned)));
    let entity = QuotaEntity(names.collect());
    if !record.remove {
        quotas.entry(entity).or_default().insert(record.key.to_owned(), QuotaValue(record.value));
    } else if let Some(values) = quotas.get_mut(&entity) {
        values.remove(record.key);
        if values.is_empty() {
            quotas.remove(&entity);
        }
    }
}

/// Alters quotas. With `validate_only` there are no records.
pub fn alter_client_quotas(
    image: &MetadataImage,
    request: &AlterClientQuotas,
) -> (Vec<Result<(), AlterQuotaError>>, Records) {
    let mut records = records_for(image);
    let alter = |alteration: &QuotaAlteration| {
        let entity = check_entity(&alteration.entity)?;
        let current = image.client_quotas().get(&entity);
        let mut changes: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for (key, value) in &alteration.ops {
            if let Some(value) = value {
                check_value(&entity, key, *value)?;
            }
            changes.insert(key, *value);
        }
        changes.retain(|key, value| current.and_then(|current| current.get(*key)).copied() != value.map(QuotaValue));
        if !request.validate_only {
            records.extend(changes.iter().map(|(key, value)| record(&entity, key, *value)));
        }
        Ok(())
    };
    let results = request.alterations.iter().map(alter).collect();
    (results, records)
}

/// All of them as records.
pub(super) fn records(quotas: &ClientQuotas) -> impl Iterator<Item = ClientQuotaRecord<'_>> {
    quotas.iter().flat_map(|(entity, values)| values.iter().map(|(key, value)| record(entity, key, Some(value.0))))
}

/// Sets a quota; without a value, takes it away.
fn record<'a>(entity: &'a QuotaEntity, key: &'a str, value: Option<f64>) -> ClientQuotaRecord<'a> {
    let named = |(kind, name): (&'a String, &'a Option<String>)| metadata::QuotaEntity {
        entity_type: kind,
        entity_name: name.as_deref(),
    };
    let entity = entity.0.iter().map(named).collect();
    ClientQuotaRecord { entity, key, value: value.unwrap_or_default(), remove: value.is_none() }
}

fn refuse<T>(text: impl Into<String>) -> Result<T, AlterQuotaError> {
    Err(AlterQuotaError(text.into()))
}

fn check_entity(names: &[(String, Option<String>)]) -> Result<QuotaEntity, AlterQuotaError> {
    let mut entity = QuotaEntity::default();
    for (kind, name) in names {
        if !entity_type::ALL.contains(&kind.as_str()) {
            return refuse(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return refuse(format!("Empty {kind} not supported"));
        }
        if entity.0.insert(kind.clone(), name.clone()).is_some() {
            return refuse(format!("Invalid client quota entity, duplicate entity entry {kind}"));
        }
    }
    match (entity.0.get(IP), entity.0.len()) {
        (_, 0) => refuse("Invalid empty client quota entity"),
        (Some(_), 2..) => refuse("Invalid quota entity combination: ip cannot be combined with user or client-id"),
        // Kafka also looks names of hosts up.
        (Some(Some(ip)), _) if ip.parse::<IpAddr>().is_err() => refuse(format!("{ip} is not a valid IP address.")),
        _ => Ok(entity),
    }
}

fn check_value(entity: &QuotaEntity, key: &str, value: f64) -> Result<(), AlterQuotaError> {
    let is_whole = match (key, entity.0.contains_key(IP)) {
        (REQUEST_PERCENTAGE | CONTROLLER_MUTATION_RATE, false) => false,
        (PRODUCER_BYTE_RATE | CONSUMER_BYTE_RATE, false) | (CONNECTION_CREATION_RATE, true) => true,
        _ => return refuse(format!("Invalid configuration key {key}")),
    };
    if value.is_nan() || value <= 0.0 {
        return refuse(format!("Quota {key} must be greater than 0"));
    }
    if is_whole && (value.fract() > 1e-6 || value > i64::MAX as f64) {
        return refuse(format!("Configuration {key} must be a Long value"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::entity_type::{CLIENT_ID, USER};
    use super::*;

    fn alter(
        image: &mut MetadataImage,
        entity: &[(&str, Option<&str>)],
        ops: &[(&str, Option<f64>)],
    ) -> Result<usize, String> {
        let entity = entity.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect();
        let ops = ops.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        let request = AlterClientQuotas { alterations: vec![QuotaAlteration { entity, ops }], validate_only: false };
        let (results, records) = alter_client_quotas(image, &request);
        let count = records.len();
        image.replay_all(image.end_offset(), &records).unwrap();
        results[0].clone().map(|()| count).map_err(|error| error.0)
    }

    #[test]
    fn quotas_are_set_changed_and_taken_away() {
        let mut image = MetadataImage::default();
        let ada = [(USER, Some("ada")), (CLIENT_ID, None)];
        let both = [(PRODUCER_BYTE_RATE, Some(1000.0)), (REQUEST_PERCENTAGE, Some(12.5))];
        assert_eq!(alter(&mut image, &ada, &both), Ok(2));
        assert_eq!(alter(&mut image, &ada, &both), Ok(0), "nothing changes");
        let values = &image.client_quotas()[&QuotaEntity::new(&ada)];
        assert_eq!((values[PRODUCER_BYTE_RATE].0, values[REQUEST_PERCENTAGE].0), (1000.0, 12.5));
        assert_eq!(alter(&mut image, &ada, &[(PRODUCER_BYTE_RATE, None), (CONSUMER_BYTE_RATE, None)]), Ok(1));
        assert_eq!(alter(&mut image, &ada, &[(REQUEST_PERCENTAGE, None)]), Ok(1));
        assert!(image.client_quotas().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused_whole() {
        let mut image = MetadataImage::default();
        let rate = &[(PRODUCER_BYTE_RATE, Some(5.0))];
        for (entity, ops, text) in [
            (&[][..], &rate[..], "empty"),
            (&[("group", Some("g"))], rate, "Unhandled"),
            (&[(USER, Some(""))], rate, "Empty user"),
            (&[(USER, Some("a")), (USER, Some("b"))], rate, "duplicate"),
            (&[(USER, Some("a")), (IP, Some("::1"))], rate, "combination"),
            (&[(IP, Some("nowhere"))], &[(CONNECTION_CREATION_RATE, Some(5.0))], "not a valid IP"),
            (&[(IP, None)], rate, "Invalid configuration key"),
            (&[(USER, None)], &[(CONNECTION_CREATION_RATE, Some(5.0))], "Invalid configuration key"),
            (&[(USER, None)], &[(PRODUCER_BYTE_RATE, Some(5.0)), (CONSUMER_BYTE_RATE, Some(0.0))], "greater than 0"),
            (&[(USER, None)], &[(CONSUMER_BYTE_RATE, Some(1.5))], "Long"),
            (&[(IP, None)], &[(CONTROLLER_MUTATION_RATE, Some(1.5))], "Invalid configuration key"),
        ] {
            let refused = alter(&mut image, entity, ops).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
        assert!(image.client_quotas().is_empty());
    }
}
