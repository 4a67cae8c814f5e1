//! Kafka's metadata records, owned: what the controller writes, shards exchange and the image replays.
//!
//! A value starts with three varints: frame version 1, type (`api_key`), version. Written are the versions that Kafka
//! 4.3 writes at metadata.version 30; read are these and all before them. Types that Ringlog has no use for stay bytes.

use uuid::Uuid;

use super::codec::{Decoder, Encoder, RecordDecodeError, field};

/// What a broker or controller offers, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Name of the listener.
    pub name: String,
    /// Host without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// 0 is PLAINTEXT.
    pub security_protocol: i16,
}

/// The levels of a feature that a node can run at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRange {
    /// Name of the feature.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// A broker makes itself known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBroker {
    /// Its node id.
    pub broker_id: i32,
    /// One life of the process.
    pub incarnation_id: Uuid,
    /// The offset of this record.
    pub broker_epoch: i64,
    /// Its listeners for clients.
    pub endpoints: Vec<EndpointRecord>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Leads nothing yet.
    pub fenced: bool,
    /// On its way out.
    pub in_controlled_shutdown: bool,
    /// Ids of its data directories.
    pub log_dirs: Vec<Uuid>,
}

/// A controller makes itself known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterController {
    /// Its node id.
    pub controller_id: i32,
    /// One life of the process.
    pub incarnation_id: Uuid,
    /// Its listeners.
    pub endpoints: Vec<EndpointRecord>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
}

/// What changed about a registration; `None` is no change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerChange {
    /// Its node id.
    pub broker_id: i32,
    /// Epoch of the registration.
    pub broker_epoch: i64,
    /// Fenced or unfenced.
    pub fenced: Option<bool>,
    /// On its way out; never taken back.
    pub in_controlled_shutdown: bool,
    /// Ids of its data directories; empty is no change.
    pub log_dirs: Vec<Uuid>,
    /// Directories that take no new partitions.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// A partition as it was created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionRecord {
    /// Index within the topic.
    pub partition_index: i32,
    /// The topic.
    pub topic_id: Uuid,
    /// Brokers, preferred first.
    pub replicas: Vec<i32>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// Being removed.
    pub removing_replicas: Vec<i32>,
    /// Being added.
    pub adding_replicas: Vec<i32>,
    /// -1 is none.
    pub leader: i32,
    /// 1 after an unclean election.
    pub leader_recovery_state: i8,
    /// Counts leader changes.
    pub leader_epoch: i32,
    /// Counts all changes.
    pub partition_epoch: i32,
    /// Directory of each replica.
    pub directories: Vec<Uuid>,
    /// KIP-966.
    pub eligible_leader_replicas: Vec<i32>,
    /// KIP-966.
    pub last_known_elr: Vec<i32>,
}

/// What changed about a partition; `None` is no change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionChange {
    /// Index within the topic.
    pub partition_index: i32,
    /// The topic.
    pub topic_id: Uuid,
    /// In-sync replicas.
    pub isr: Option<Vec<i32>>,
    /// -1 is none. A leader that is written raises the leader epoch, also when it is the same one.
    pub leader: Option<i32>,
    /// Brokers, preferred first.
    pub replicas: Option<Vec<i32>>,
    /// Being removed.
    pub removing_replicas: Option<Vec<i32>>,
    /// Being added.
    pub adding_replicas: Option<Vec<i32>>,
    /// 1 after an unclean election.
    pub leader_recovery_state: Option<i8>,
    /// KIP-966.
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// KIP-966.
    pub last_known_elr: Option<Vec<i32>>,
    /// Directory of each replica.
    pub directories: Option<Vec<Uuid>>,
}

/// The kinds of thing that a config record belongs to.
pub mod resource_type {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker, or all of them with an empty name.
    pub const BROKER: i8 = 4;
}

/// A value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    /// See [`resource_type`].
    pub resource_type: i8,
    /// Name of the topic, or node id as text.
    pub resource_name: String,
    /// The key.
    pub name: String,
    /// `None` deletes it.
    pub value: Option<String>,
}

/// One metadata record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Type 0.
    RegisterBroker(RegisterBroker),
    /// Type 1.
    UnregisterBroker {
        /// Its node id.
        broker_id: i32,
        /// Epoch of the registration.
        broker_epoch: i64,
    },
    /// Type 2.
    Topic {
        /// Its name.
        name: String,
        /// Random, never used again.
        topic_id: Uuid,
    },
    /// Type 3.
    Partition(PartitionRecord),
    /// Type 4.
    Config(ConfigRecord),
    /// Type 5.
    PartitionChange(PartitionChange),
    /// Type 9: the topic with its partitions and configs.
    RemoveTopic {
        /// The topic.
        topic_id: Uuid,
    },
    /// Type 12.
    FeatureLevel {
        /// Name of the feature.
        name: String,
        /// 0 removes it.
        level: i16,
    },
    /// Type 15.
    ProducerIds {
        /// Who asked.
        broker_id: i32,
        /// Epoch of its registration.
        broker_epoch: i64,
        /// First id of the next block.
        next_producer_id: i64,
    },
    /// Type 17.
    BrokerChange(BrokerChange),
    /// Type 20.
    NoOp,
    /// Type 23: what follows counts only once [`Record::EndTransaction`] is there.
    BeginTransaction {
        /// For humans.
        name: Option<String>,
    },
    /// Type 24.
    EndTransaction,
    /// Type 25: what came since [`Record::BeginTransaction`] does not count.
    AbortTransaction {
        /// For humans.
        reason: Option<String>,
    },
    /// Type 27.
    RegisterController(RegisterController),
    /// Quotas, ACLs, SCRAM users, delegation tokens: kept in the log, without effect.
    Other {
        /// Type.
        api_key: u16,
        /// Version.
        version: u16,
        /// What follows.
        body: Vec<u8>,
    },
}

impl Record {
    /// The value of the record in a batch.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        let mut start = |api_key: u32, version: u32| {
            out.varint(1);
            out.varint(api_key);
            out.varint(version);
        };
        match self {
            Self::RegisterBroker(broker) => {
                start(0, 4);
                encode_broker(&mut out, broker);
            }
            Self::UnregisterBroker { broker_id, broker_epoch } => {
                start(1, 0);
                out.i32(*broker_id);
                out.i64(*broker_epoch);
                out.no_tags();
            }
            Self::Topic { name, topic_id } => {
                start(2, 0);
                out.string(name);
                out.uuid(*topic_id);
                out.no_tags();
            }
            Self::Partition(partition) => {
                start(3, 2);
                encode_partition(&mut out, partition);
            }
            Self::Config(config) => {
                start(4, 0);
                out.u8(config.resource_type as u8);
                out.string(&config.resource_name);
                out.string(&config.name);
                out.nullable_string(config.value.as_deref());
                out.no_tags();
            }
            Self::PartitionChange(change) => {
                start(5, 2);
                encode_partition_change(&mut out, change);
            }
            Self::RemoveTopic { topic_id } => {
                start(9, 0);
                out.uuid(*topic_id);
                out.no_tags();
            }
            Self::FeatureLevel { name, level } => {
                start(12, 0);
                out.string(name);
                out.i16(*level);
                out.no_tags();
            }
            Self::ProducerIds { broker_id, broker_epoch, next_producer_id } => {
                start(15, 0);
                out.i32(*broker_id);
                out.i64(*broker_epoch);
                out.i64(*next_producer_id);
                out.no_tags();
            }
            Self::BrokerChange(change) => {
                start(17, change.version());
                encode_broker_change(&mut out, change);
            }
            Self::NoOp => {
                start(20, 0);
                out.no_tags();
            }
            Self::BeginTransaction { name } => {
                start(23, 0);
                encode_note(&mut out, name.as_deref());
            }
            Self::EndTransaction => {
                start(24, 0);
                out.no_tags();
            }
            Self::AbortTransaction { reason } => {
                start(25, 0);
                encode_note(&mut out, reason.as_deref());
            }
            Self::RegisterController(controller) => {
                start(27, 0);
                out.i32(controller.controller_id);
                out.uuid(controller.incarnation_id);
                out.bool(false);
                encode_offer(&mut out, &controller.endpoints, &controller.features);
                out.no_tags();
            }
            Self::Other { api_key, version, body } => {
                start((*api_key).into(), (*version).into());
                out.0.extend(body);
            }
        }
        out.0
    }

    /// The record of a value.
    pub fn decode(value: &[u8]) -> Result<Self, RecordDecodeError> {
        let mut input = Decoder(value);
        if input.varint()? != 1 {
            return Err(RecordDecodeError::Field);
        }
        let narrow = |number: u32| u16::try_from(number).map_err(|_| RecordDecodeError::Field);
        let (api_key, version) = (narrow(input.varint()?)?, narrow(input.varint()?)?);
        let newest = match api_key {
            0 => 4,
            3 | 5 => 2,
            17 => 3,
            _ => 0,
        };
        let is_known = matches!(api_key, 0..=5 | 9 | 12 | 15 | 17 | 20 | 23..=25 | 27);
        if is_known && version > newest {
            return Err(RecordDecodeError::Version { api_key, version });
        }
        decode_body(api_key, version, &mut input)
    }
}

fn decode_body(api_key: u16, version: u16, input: &mut Decoder<'_>) -> Result<Record, RecordDecodeError> {
    let record = match api_key {
        0 => return Ok(Record::RegisterBroker(decode_broker(input, version)?)),
        1 => Record::UnregisterBroker { broker_id: input.i32()?, broker_epoch: input.i64()? },
        2 => Record::Topic { name: input.string()?, topic_id: input.uuid()? },
        3 => return Ok(Record::Partition(decode_partition(input, version)?)),
        4 => Record::Config(ConfigRecord {
            resource_type: input.i8()?,
            resource_name: input.string()?,
            name: input.string()?,
            value: input.nullable_string()?,
        }),
        5 => return Ok(Record::PartitionChange(decode_partition_change(input)?)),
        9 => Record::RemoveTopic { topic_id: input.uuid()? },
        12 => Record::FeatureLevel { name: input.string()?, level: input.i16()? },
        15 => {
            Record::ProducerIds { broker_id: input.i32()?, broker_epoch: input.i64()?, next_producer_id: input.i64()? }
        }
        17 => return Ok(Record::BrokerChange(decode_broker_change(input)?)),
        20 => Record::NoOp,
        23 => return Ok(Record::BeginTransaction { name: decode_note(input)? }),
        24 => Record::EndTransaction,
        25 => return Ok(Record::AbortTransaction { reason: decode_note(input)? }),
        27 => {
            let (controller_id, incarnation_id) = (input.i32()?, input.uuid()?);
            input.bool()?;
            let (endpoints, features) = decode_offer(input)?;
            Record::RegisterController(RegisterController { controller_id, incarnation_id, endpoints, features })
        }
        _ => return Ok(Record::Other { api_key, version, body: input.0.to_vec() }),
    };
    input.no_tags()?;
    Ok(record)
}

fn encode_note(out: &mut Encoder, note: Option<&str>) {
    let tagged: Vec<_> = note.iter().map(|note| (0, field(|out| out.string(note)))).collect();
    out.tagged(&tagged);
}

fn decode_note(input: &mut Decoder<'_>) -> Result<Option<String>, RecordDecodeError> {
    let mut note = None;
    input.tagged(|tag, value| {
        if tag == 0 {
            note = value.nullable_string()?;
        }
        Ok(())
    })?;
    Ok(note)
}

fn encode_offer(out: &mut Encoder, endpoints: &[EndpointRecord], features: &[FeatureRange]) {
    out.array(endpoints, |out, endpoint| {
        out.string(&endpoint.name);
        out.string(&endpoint.host);
        out.u16(endpoint.port);
        out.i16(endpoint.security_protocol);
        out.no_tags();
    });
    out.array(features, |out, feature| {
        out.string(&feature.name);
        out.i16(feature.min);
        out.i16(feature.max);
        out.no_tags();
    });
}

type Offer = (Vec<EndpointRecord>, Vec<FeatureRange>);

fn decode_offer(input: &mut Decoder<'_>) -> Result<Offer, RecordDecodeError> {
    let endpoints = input.array(|input| {
        let (name, host) = (input.string()?, input.string()?);
        let endpoint = EndpointRecord { name, host, port: input.u16()?, security_protocol: input.i16()? };
        input.no_tags()?;
        Ok(endpoint)
    })?;
    let features = input.array(|input| {
        let feature = FeatureRange { name: input.string()?, min: input.i16()?, max: input.i16()? };
        input.no_tags()?;
        Ok(feature)
    })?;
    Ok((endpoints, features))
}

fn encode_broker(out: &mut Encoder, broker: &RegisterBroker) {
    out.i32(broker.broker_id);
    out.bool(false);
    out.uuid(broker.incarnation_id);
    out.i64(broker.broker_epoch);
    encode_offer(out, &broker.endpoints, &broker.features);
    out.nullable_string(broker.rack.as_deref());
    out.bool(broker.fenced);
    out.bool(broker.in_controlled_shutdown);
    match broker.log_dirs.is_empty() {
        true => out.no_tags(),
        false => out.tagged(&[(0, field(|out| out.uuids(&broker.log_dirs)))]),
    }
}

fn decode_broker(input: &mut Decoder<'_>, version: u16) -> Result<RegisterBroker, RecordDecodeError> {
    let broker_id = input.i32()?;
    if version >= 2 {
        input.bool()?;
    }
    let (incarnation_id, broker_epoch) = (input.uuid()?, input.i64()?);
    let (endpoints, features) = decode_offer(input)?;
    let (rack, fenced) = (input.nullable_string()?, input.bool()?);
    let in_controlled_shutdown = version >= 1 && input.bool()?;
    let mut log_dirs = Vec::new();
    input.tagged(|tag, value| {
        if tag == 0 {
            log_dirs = value.uuids()?;
        }
        Ok(())
    })?;
    Ok(RegisterBroker {
        broker_id,
        incarnation_id,
        broker_epoch,
        endpoints,
        features,
        rack,
        fenced,
        in_controlled_shutdown,
        log_dirs,
    })
}

impl BrokerChange {
    /// The lowest version that can carry it, as Kafka writes it.
    fn version(&self) -> u32 {
        match self {
            Self { cordoned_log_dirs: Some(_), .. } => 3,
            Self { log_dirs, .. } if !log_dirs.is_empty() => 2,
            Self { in_controlled_shutdown: true, .. } => 1,
            _ => 0,
        }
    }
}

fn encode_broker_change(out: &mut Encoder, change: &BrokerChange) {
    out.i32(change.broker_id);
    out.i64(change.broker_epoch);
    let mut tagged = Vec::new();
    if let Some(fenced) = change.fenced {
        tagged.push((0, vec![if fenced { 1 } else { 0xff }]));
    }
    if change.in_controlled_shutdown {
        tagged.push((1, vec![1]));
    }
    if !change.log_dirs.is_empty() {
        tagged.push((2, field(|out| out.uuids(&change.log_dirs))));
    }
    if let Some(cordoned) = &change.cordoned_log_dirs {
        tagged.push((3, field(|out| out.uuids(cordoned))));
    }
    out.tagged(&tagged);
}

fn decode_broker_change(input: &mut Decoder<'_>) -> Result<BrokerChange, RecordDecodeError> {
    let mut change = BrokerChange { broker_id: input.i32()?, broker_epoch: input.i64()?, ..BrokerChange::default() };
    input.tagged(|tag, value| {
        match tag {
            0 => change.fenced = Some(value.i8()?).filter(|fenced| *fenced != 0).map(|fenced| fenced > 0),
            1 => change.in_controlled_shutdown = value.i8()? > 0,
            2 => change.log_dirs = value.uuids()?,
            3 => change.cordoned_log_dirs = value.nullable_array(Decoder::uuid)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(change)
}

fn encode_partition(out: &mut Encoder, partition: &PartitionRecord) {
    out.i32(partition.partition_index);
    out.uuid(partition.topic_id);
    out.i32s(&partition.replicas);
    out.i32s(&partition.isr);
    out.i32s(&partition.removing_replicas);
    out.i32s(&partition.adding_replicas);
    out.i32(partition.leader);
    out.i32(partition.leader_epoch);
    out.i32(partition.partition_epoch);
    out.uuids(&partition.directories);
    let mut tagged = Vec::new();
    if partition.leader_recovery_state != 0 {
        tagged.push((0, vec![partition.leader_recovery_state as u8]));
    }
    for (tag, replicas) in [(1, &partition.eligible_leader_replicas), (2, &partition.last_known_elr)] {
        if !replicas.is_empty() {
            tagged.push((tag, field(|out| out.i32s(replicas))));
        }
    }
    out.tagged(&tagged);
}

fn decode_partition(input: &mut Decoder<'_>, version: u16) -> Result<PartitionRecord, RecordDecodeError> {
    let mut partition = PartitionRecord {
        partition_index: input.i32()?,
        topic_id: input.uuid()?,
        replicas: input.i32s()?,
        isr: input.i32s()?,
        removing_replicas: input.i32s()?,
        adding_replicas: input.i32s()?,
        leader: input.i32()?,
        leader_epoch: input.i32()?,
        partition_epoch: input.i32()?,
        directories: if version >= 1 { input.uuids()? } else { Vec::new() },
        ..PartitionRecord::default()
    };
    input.tagged(|tag, value| {
        match tag {
            0 => partition.leader_recovery_state = value.i8()?,
            1 => partition.eligible_leader_replicas = value.nullable_array(Decoder::i32)?.unwrap_or_default(),
            2 => partition.last_known_elr = value.nullable_array(Decoder::i32)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(partition)
}

fn encode_partition_change(out: &mut Encoder, change: &PartitionChange) {
    out.i32(change.partition_index);
    out.uuid(change.topic_id);
    let ids = |ids: &Option<Vec<i32>>| ids.as_ref().map(|ids| field(|out| out.i32s(ids)));
    let fields = [
        (0, ids(&change.isr)),
        (1, change.leader.map(|leader| field(|out| out.i32(leader)))),
        (2, ids(&change.replicas)),
        (3, ids(&change.removing_replicas)),
        (4, ids(&change.adding_replicas)),
        (5, change.leader_recovery_state.map(|state| vec![state as u8])),
        (6, ids(&change.eligible_leader_replicas)),
        (7, ids(&change.last_known_elr)),
        (8, change.directories.as_ref().map(|ids| field(|out| out.uuids(ids)))),
    ];
    let tagged: Vec<_> = fields.into_iter().filter_map(|(tag, bytes)| Some((tag, bytes?))).collect();
    out.tagged(&tagged);
}

fn decode_partition_change(input: &mut Decoder<'_>) -> Result<PartitionChange, RecordDecodeError> {
    let mut change =
        PartitionChange { partition_index: input.i32()?, topic_id: input.uuid()?, ..PartitionChange::default() };
    input.tagged(|tag, value| {
        match tag {
            0 => change.isr = value.nullable_array(Decoder::i32)?,
            1 => change.leader = Some(value.i32()?).filter(|leader| *leader != -2),
            2 => change.replicas = value.nullable_array(Decoder::i32)?,
            3 => change.removing_replicas = value.nullable_array(Decoder::i32)?,
            4 => change.adding_replicas = value.nullable_array(Decoder::i32)?,
            5 => change.leader_recovery_state = Some(value.i8()?).filter(|state| *state != -1),
            6 => change.eligible_leader_replicas = value.nullable_array(Decoder::i32)?,
            7 => change.last_known_elr = value.nullable_array(Decoder::i32)?,
            8 => change.directories = value.nullable_array(Decoder::uuid)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(change)
}

#[cfg(test)]
mod tests {
    use ringlog_core::record::Batches;

    use super::*;

    /// Written by Apache Kafka 4.3.1: a first start, some topics created and deleted, a clean stop.
    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    #[test]
    fn every_record_of_a_real_log_comes_back_byte_for_byte() {
        let mut count = 0;
        for batch in Batches::new(GOLDEN).filter(|batch| !batch.is_control()) {
            for record in batch.records() {
                let value = record.unwrap().value.unwrap();
                let decoded = Record::decode(value).unwrap();
                assert!(!matches!(decoded, Record::Other { .. }), "{decoded:?}");
                assert_eq!(decoded.encode(), value, "{decoded:?}");
                count += 1;
            }
        }
        assert_eq!(count, 297);
    }

    #[test]
    fn damaged_records_are_errors() {
        for batch in Batches::new(GOLDEN).filter(|batch| !batch.is_control()) {
            for record in batch.records() {
                let value = record.unwrap().value.unwrap();
                for len in 0..value.len() {
                    assert!(Record::decode(&value[..len]).is_err());
                    let mut damaged = value.to_vec();
                    damaged[len] = 0xff;
                    let _ = Record::decode(&damaged);
                }
            }
        }
        assert_eq!(
            Record::decode(&[1, 3, 9]),
            Err(RecordDecodeError::Version { api_key: 3, version: 9 }),
            "a newer version may mean something else"
        );
        let acl = Record::decode(&[1, 18, 0, 7, 7]).unwrap();
        assert_eq!(acl.encode(), [1, 18, 0, 7, 7]);
    }
}
