//! The same value as a struct of `kafka-protocol`, field by field by name.

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, GroupId, ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::wire::{Array, Element, Records};
use uuid::Uuid;

/// A value that `kafka-protocol` has as `Oracle`.
pub trait Twin<Oracle> {
    fn twin(&self) -> Oracle;
}

macro_rules! same {
    ($($ours:ty => $theirs:ty: $convert:expr;)*) => {$(
        impl Twin<$theirs> for $ours {
            fn twin(&self) -> $theirs {
                let convert: fn($ours) -> $theirs = $convert;
                convert(*self)
            }
        }
    )*};
}

same! {
    i8 => i8: |value| value;
    i16 => i16: |value| value;
    u16 => u16: |value| value;
    f64 => f64: |value| value;
    i32 => i32: |value| value;
    i64 => i64: |value| value;
    bool => bool: |value| value;
    Uuid => Uuid: |value| value;
    ErrorCode => i16: |code| code.0;
    i32 => BrokerId: BrokerId;
    i64 => ProducerId: ProducerId;
    &'static str => StrBytes: StrBytes::from_static_str;
    &'static str => TopicName: |name| TopicName(StrBytes::from_static_str(name));
    &'static str => TransactionalId: |id| TransactionalId(StrBytes::from_static_str(id));
    &'static str => GroupId: |id| GroupId(StrBytes::from_static_str(id));
    &'static [u8] => Bytes: Bytes::from_static;
    Records<'static> => Bytes: |records| Bytes::from_static(records.bytes());
}

impl<T: Twin<Oracle>, Oracle> Twin<Option<Oracle>> for Option<T> {
    fn twin(&self) -> Option<Oracle> {
        self.as_ref().map(Twin::twin)
    }
}

impl<T: Twin<Oracle> + Element<'static> + Clone, Oracle> Twin<Vec<Oracle>> for Array<'static, T> {
    fn twin(&self) -> Vec<Oracle> {
        self.iter().map(|element| element.twin()).collect()
    }
}
