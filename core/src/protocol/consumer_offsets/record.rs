//! A record of any type: key and value together.

use super::*;
use crate::wire::{DecodeError, EncodeError, Message, Reader, Writer};

macro_rules! coordinator_records {
    ($($variant:ident($key:ty => $value:ty, version $version:literal) = $($record_type:literal)|+;)*) => {
        /// One record of `__consumer_offsets`; without a value it is a tombstone.
        #[derive(Debug, Clone, PartialEq)]
        pub enum CoordinatorRecord<'a> {
            $(
                #[doc = concat!("Type ", $($record_type, " ",)+ ".")]
                $variant($key, Option<$value>),
            )*
            /// Of a streams group or a share group; the value is as it lies in the log.
            Foreign(ForeignKey<'a>, Option<&'a [u8]>),
        }

        impl<'a> CoordinatorRecord<'a> {
            /// Reads a record; `None` if its type is not known (newer Kafkas skip those, too).
            pub fn decode(bytes: &'a [u8], value: Option<&'a [u8]>) -> Result<Option<Self>, DecodeError> {
                let mut key = Reader::new(bytes);
                let record_type = key.read_i16()?;
                match record_type {
                    $($($record_type)|+ => {
                        let key = <$key>::decode(&mut key, 0)?;
                        Ok(Some(Self::$variant(key, value.map(decode_value).transpose()?)))
                    })*
                    _ => Ok(ForeignKey::decode(bytes)?.map(|key| Self::Foreign(key, value))),
                }
            }

            /// The key's bytes and the value's, in the version that Kafka 4.3 writes.
            pub fn encode(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), EncodeError> {
                match self {
                    $(Self::$variant(key, value) => {
                        let record_type = [$($record_type),+];
                        let value = value.as_ref().map(|value| encode_prefixed(value, self.value_version($version))).transpose()?;
                        Ok((encode_key(key, record_type[record_type.len() - 1])?, value))
                    })*
                    Self::Foreign(key, value) => Ok((key.bytes.to_vec(), value.map(<[u8]>::to_vec))),
                }
            }
        }
    };
}

coordinator_records! {
    OffsetCommit(OffsetCommitKey<'a> => OffsetCommitValue<'a>, version 4) = 0 | 1;
    GroupMetadata(GroupMetadataKey<'a> => GroupMetadataValue<'a>, version 3) = 2;
    ConsumerGroupMetadata(ConsumerGroupMetadataKey<'a> => ConsumerGroupMetadataValue, version 0) = 3;
    ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey<'a> => ConsumerGroupPartitionMetadataValue<'a>, version 0) = 4;
    ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey<'a> => ConsumerGroupMemberMetadataValue<'a>, version 0) = 5;
    ConsumerGroupTargetAssignmentMetadata(ConsumerGroupTargetAssignmentMetadataKey<'a> => ConsumerGroupTargetAssignmentMetadataValue, version 0) = 6;
    ConsumerGroupTargetAssignmentMember(ConsumerGroupTargetAssignmentMemberKey<'a> => ConsumerGroupTargetAssignmentMemberValue<'a>, version 0) = 7;
    ConsumerGroupCurrentMemberAssignment(ConsumerGroupCurrentMemberAssignmentKey<'a> => ConsumerGroupCurrentMemberAssignmentValue<'a>, version 0) = 8;
    ConsumerGroupRegularExpression(ConsumerGroupRegularExpressionKey<'a> => ConsumerGroupRegularExpressionValue<'a>, version 0) = 16;
}

impl CoordinatorRecord<'_> {
    /// An offset with an expiry of its own, as clients before 2.1 commit it, has a version that newer ones have not.
    fn value_version(&self, newest: i16) -> i16 {
        match self {
            Self::OffsetCommit(_, Some(value)) if value.expire_timestamp != -1 => 1,
            _ => newest,
        }
    }
}

fn decode_value<'a, M: Message<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.read_i16()?;
    M::decode(&mut reader, version)
}

/// Room for most keys and values, so that they do not grow piece by piece.
const CAPACITY: usize = 128;

fn encode_key<'a>(key: &impl Message<'a>, record_type: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_buffer(Vec::with_capacity(CAPACITY));
    writer.put_i16(record_type);
    key.encode(&mut writer, 0);
    Ok(writer.finish()?.bytes)
}

fn encode_prefixed<'a>(value: &impl Message<'a>, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_buffer(Vec::with_capacity(CAPACITY));
    writer.put_i16(version);
    value.encode(&mut writer, version);
    Ok(writer.finish()?.bytes)
}
