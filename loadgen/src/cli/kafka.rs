//! Flags of Kafka's performance tools, so that their command lines work here.

use clap::Args;

use super::{Acks, Compression, Payload};
use crate::plan::Rate;
use clap::ValueEnum;

/// Flags of `kafka-producer-perf-test` that have another meaning or name here.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "As in kafka-producer-perf-test")]
pub struct KafkaProducerFlags {
    /// End after so many records, all of them measured, instead of after a time
    #[arg(long, value_name = "N")]
    pub num_records: Option<u64>,
    /// Records per second, or -1 for a closed loop; instead of --rate
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "rate")]
    pub throughput: Option<f64>,
    /// Producer properties: acks, batch.size, compression.type, enable.idempotence and
    /// max.in.flight.requests.per.connection are used, linger.ms, buffer.memory and bootstrap.servers have no meaning here
    #[arg(long, alias = "command-property", value_name = "NAME=VALUE", num_args = 1..)]
    pub producer_props: Vec<String>,
    /// Print the result line of that tool
    #[arg(long)]
    pub kafka_style: bool,
}

/// Why a property was refused.
#[derive(Debug, thiserror::Error)]
pub enum PropertyError {
    /// Not `NAME=VALUE`.
    #[error("`{0}` is no property: write NAME=VALUE")]
    Form(String),
    /// One that this client cannot follow.
    #[error("the property {0} is not known here")]
    Unknown(String),
    /// A wrong value.
    #[error("the property {name} cannot be `{value}`")]
    Value {
        /// Its name.
        name: String,
        /// What was given.
        value: String,
    },
}

/// What the properties change outside of the payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Requests in flight.
    pub in_flight: Option<usize>,
    /// Whether producers are idempotent.
    pub is_idempotent: bool,
}

impl KafkaProducerFlags {
    /// Applies the properties.
    pub fn apply(&self, payload: &mut Payload) -> Result<Changed, PropertyError> {
        let mut changed = Changed::default();
        for property in &self.producer_props {
            let (name, value) = property.split_once('=').ok_or_else(|| PropertyError::Form(property.clone()))?;
            let wrong = || PropertyError::Value { name: name.to_owned(), value: value.to_owned() };
            match name {
                "acks" => payload.acks = acks(value).ok_or_else(wrong)?,
                "batch.size" => payload.batch_bytes = value.parse().map_err(|_| wrong())?,
                "compression.type" => payload.compression = Compression::from_str(value, true).map_err(|_| wrong())?,
                "enable.idempotence" => changed.is_idempotent = value.parse().map_err(|_| wrong())?,
                "max.in.flight.requests.per.connection" => {
                    changed.in_flight = Some(value.parse().map_err(|_| wrong())?);
                }
                "linger.ms" | "buffer.memory" | "bootstrap.servers" | "client.id" => {}
                _ => return Err(PropertyError::Unknown(name.to_owned())),
            }
        }
        Ok(changed)
    }

    /// Requests per second, where records per second were given.
    pub fn rate(&self, records_per_request: usize) -> Option<Rate> {
        let throughput = self.throughput?;
        let rate = throughput / records_per_request.max(1) as f64;
        Some(if throughput > 0.0 { Rate::PerSecond(rate) } else { Rate::Max })
    }
}

fn acks(value: &str) -> Option<Acks> {
    match value {
        "all" | "-1" => Some(Acks::All),
        "1" => Some(Acks::Leader),
        "0" => Some(Acks::None),
        _ => None,
    }
}
