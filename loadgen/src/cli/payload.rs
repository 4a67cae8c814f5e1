//! Flags of what is produced.

use clap::{Args, ValueEnum};
use ringlog_core::record::Codec;

use crate::units::parse_bytes;
use crate::workload::{BatchSpec, KeySpec, ProduceSpec, Sizes};

/// Who acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// All in-sync replicas.
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Nobody: requests are not answered.
    #[value(name = "0")]
    None,
}

impl Acks {
    /// As Produce carries it.
    pub fn code(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// Codecs of record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    fn codec(self) -> Codec {
        match self {
            Self::None => Codec::None,
            Self::Gzip => Codec::Gzip,
            Self::Snappy => Codec::Snappy,
            Self::Lz4 => Codec::Lz4,
            Self::Zstd => Codec::Zstd,
        }
    }
}

/// Flags of what is produced.
#[derive(Debug, Args)]
pub struct Payload {
    /// Bytes of one batch before compression, about; decides the number of records
    #[arg(long, default_value = "16k", value_parser = parse_bytes, conflicts_with = "records_per_batch")]
    pub batch_bytes: usize,
    /// Records of one batch
    #[arg(long)]
    pub records_per_batch: Option<usize>,
    /// Bytes of one record's value: `100`, `100,1k,10k` in turn, `uniform:50..2k` or `exponential:500`
    #[arg(long, alias = "record-size", default_value = "100")]
    pub record_bytes: Sizes,
    /// Keys, which decide the partition as Kafka's clients do: `none`, `round-robin:N`, `uniform:N`, `zipf:N[:EXPONENT]`
    #[arg(long, default_value = "none")]
    pub keys: KeySpec,
    /// How batches are compressed (once, before the run)
    #[arg(long, value_enum, default_value = "none")]
    pub compression: Compression,
    /// The share of each value that is repeated text, from 0 to 1; the rest is random
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    pub compressible: f64,
    /// Batches of one request, each for another partition
    #[arg(long, default_value_t = 1)]
    pub partitions_per_request: usize,
    /// Who acknowledges
    #[arg(long, value_enum, default_value = "all")]
    pub acks: Acks,
}

impl Payload {
    /// Bytes of one request, about.
    pub fn request_bytes(&self) -> usize {
        let batch = match self.records_per_batch {
            Some(records) => records.saturating_mul(self.record_bytes.about()),
            None => self.batch_bytes,
        };
        batch.saturating_mul(self.partitions_per_request.max(1))
    }

    /// As meant.
    pub fn spec(&self, seed: u64) -> ProduceSpec {
        let batch = BatchSpec {
            batch_bytes: self.batch_bytes,
            records: self.records_per_batch,
            sizes: self.record_bytes.clone(),
            keys: self.keys,
            codec: self.compression.codec(),
            compressible: self.compressible,
            seed,
        };
        ProduceSpec { batch, partitions_per_request: self.partitions_per_request, acks: self.acks.code() }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is no share: write a number from 0 to 1")),
    }
}
