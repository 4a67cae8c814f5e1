//! A metadata record of any type, in its frame.

use super::*;
use crate::wire::{DecodeError, Message, Reader, Writer, read_unsigned_varint, write_unsigned_varint};

/// The version of the frame around every record.
pub const FRAME_VERSION: u32 = 1;

macro_rules! metadata_records {
    ($($variant:ident($name:ty) = $id:literal;)*) => {
        /// One record of the metadata log.
        #[derive(Debug, Clone, PartialEq)]
        pub enum MetadataRecord<'a> {
            $(#[doc = concat!("Type ", $id, ".")] $variant($name),)*
        }

        impl<'a> MetadataRecord<'a> {
            /// The number of its type.
            pub fn record_type(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => $id,)*
                }
            }

            /// The newest version of its type.
            pub fn latest_version(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => *<$name>::VERSIONS.end(),)*
                }
            }

            fn decode_body(reader: &mut Reader<'a>, record_type: u32, version: i16) -> Result<Self, DecodeError> {
                match record_type {
                    $($id => <$name>::decode(reader, version).map(Self::$variant),)*
                    unknown => Err(DecodeError::RecordType(unknown)),
                }
            }

            fn encode_body(&self, writer: &mut Writer, version: i16) {
                match self {
                    $(Self::$variant(record) => record.encode(writer, version),)*
                }
            }
        }

        $(
            impl<'a> From<$name> for MetadataRecord<'a> {
                fn from(record: $name) -> Self {
                    Self::$variant(record)
                }
            }
        )*
    };
}

metadata_records! {
    RegisterBroker(RegisterBrokerRecord<'a>) = 0;
    UnregisterBroker(UnregisterBrokerRecord) = 1;
    Topic(TopicRecord<'a>) = 2;
    Partition(PartitionRecord<'a>) = 3;
    Config(ConfigRecord<'a>) = 4;
    PartitionChange(PartitionChangeRecord<'a>) = 5;
    FenceBroker(FenceBrokerRecord) = 7;
    UnfenceBroker(UnfenceBrokerRecord) = 8;
    RemoveTopic(RemoveTopicRecord) = 9;
    DelegationToken(DelegationTokenRecord<'a>) = 10;
    UserScramCredential(UserScramCredentialRecord<'a>) = 11;
    FeatureLevel(FeatureLevelRecord<'a>) = 12;
    ClientQuota(ClientQuotaRecord<'a>) = 14;
    ProducerIds(ProducerIdsRecord) = 15;
    BrokerRegistrationChange(BrokerRegistrationChangeRecord<'a>) = 17;
    AccessControlEntry(AccessControlEntryRecord<'a>) = 18;
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord) = 19;
    NoOp(NoOpRecord) = 20;
    ZkMigrationState(ZkMigrationStateRecord) = 21;
    RemoveUserScramCredential(RemoveUserScramCredentialRecord<'a>) = 22;
    BeginTransaction(BeginTransactionRecord<'a>) = 23;
    EndTransaction(EndTransactionRecord) = 24;
    AbortTransaction(AbortTransactionRecord<'a>) = 25;
    RemoveDelegationToken(RemoveDelegationTokenRecord<'a>) = 26;
    RegisterController(RegisterControllerRecord<'a>) = 27;
    ClearElr(ClearElrRecord<'a>) = 28;
}

impl<'a> MetadataRecord<'a> {
    /// Reads the value of a record of the metadata log, all of it.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let frame_version = read_unsigned_varint(&mut reader)?;
        if frame_version != FRAME_VERSION {
            return Err(DecodeError::Version(i16::try_from(frame_version).unwrap_or(i16::MAX)));
        }
        let record_type = read_unsigned_varint(&mut reader)?;
        let version = i16::try_from(read_unsigned_varint(&mut reader)?).map_err(|_| DecodeError::Version(i16::MAX))?;
        let record = Self::decode_body(&mut reader, record_type, version)?;
        reader.expect_end()?;
        Ok(record)
    }

    /// Appends the value of a record of the metadata log. Which version to write follows from `metadata.version`, see
    /// [`MetadataRecord::version_at`].
    pub fn encode(&self, writer: &mut Writer, version: i16) {
        write_unsigned_varint(writer.bytes_mut(), FRAME_VERSION);
        write_unsigned_varint(writer.bytes_mut(), self.record_type());
        write_unsigned_varint(writer.bytes_mut(), u32::try_from(version).unwrap_or_default());
        self.encode_body(writer, version);
    }

    /// The version that Kafka writes at a level of `metadata.version` (7 is 3.3-IV3, 30 is 4.3-IV0). A change of a
    /// registration is in the lowest version that can carry it.
    pub fn version_at(&self, metadata_version: i16) -> i16 {
        let newest_first: &[(i16, i16)] = match self {
            Self::RegisterBroker(_) => &[(30, 4), (17, 3), (8, 2), (7, 1)],
            Self::BrokerRegistrationChange(change) => return change.lowest_version(),
            Self::Partition(_) | Self::PartitionChange(_) => &[(23, 2), (17, 1)],
            _ => &[],
        };
        newest_first.iter().find(|(level, _)| metadata_version >= *level).map_or(0, |(_, version)| *version)
    }
}
