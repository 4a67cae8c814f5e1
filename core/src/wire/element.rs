//! What can stand in a message.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::compact::{read_len, read_string_len, write_len, write_string_len};
use super::reader::{DecodeError, Reader};
use super::writer::{EncodeError, Writer};

/// The version of the message around an element, which decides its fields and its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The message's version.
    pub version: i16,
    /// Whether the version has compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
}

/// A value that can be read and written inside a message: a primitive, a struct, an [`super::Array`].
pub trait Element<'a>: Sized {
    /// Reads and checks one value. Never allocates.
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError>;

    /// Appends one value.
    fn write(&self, writer: &mut Writer, scope: Scope);
}

/// Marks what is a struct of fields, so that it can be null: a byte in front says -1 for null (0 in a tagged field), 1 for
/// a struct. Derived.
pub trait Struct {}

impl<'a, T: Struct + Element<'a>> Element<'a> for Option<T> {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        if reader.read_i8()? <= 0 { Ok(None) } else { T::read(reader, scope).map(Some) }
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        writer.put_i8(if self.is_some() { 1 } else { -1 });
        if let Some(value) = self {
            value.write(writer, scope);
        }
    }
}

/// A whole request, response or record. Derived, see `ringlog_derive::Message`.
pub trait Message<'a>: Element<'a> {
    /// The versions it has.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version; `i16::MAX` if there is none.
    const FLEXIBLE_FROM: i16;

    /// The scope of one of its versions.
    fn scope(version: i16) -> Scope {
        Scope { version, flexible: version >= Self::FLEXIBLE_FROM }
    }

    /// Reads a message of this version. Like Kafka, leaves what may follow it in the reader.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::Version(version));
        }
        Self::read(reader, Self::scope(version))
    }

    /// Appends the message in this version. Fields the version does not have are left out.
    fn encode(&self, writer: &mut Writer, version: i16) {
        if !Self::VERSIONS.contains(&version) {
            writer.fail(EncodeError::Version(version));
        }
        self.write(writer, Self::scope(version));
    }
}

macro_rules! fixed_size {
    ($($element:ty: $read:ident, $put:ident;)*) => {$(
        impl<'a> Element<'a> for $element {
            fn read(reader: &mut Reader<'a>, _: Scope) -> Result<Self, DecodeError> {
                reader.$read()
            }

            fn write(&self, writer: &mut Writer, _: Scope) {
                writer.$put(*self);
            }
        }
    )*};
}

fixed_size! {
    i8: read_i8, put_i8;
    i16: read_i16, put_i16;
    u16: read_u16, put_u16;
    i32: read_i32, put_i32;
    u32: read_u32, put_u32;
    i64: read_i64, put_i64;
    f64: read_f64, put_f64;
}

impl<'a> Element<'a> for bool {
    fn read(reader: &mut Reader<'a>, _: Scope) -> Result<Self, DecodeError> {
        Ok(reader.read_u8()? != 0)
    }

    fn write(&self, writer: &mut Writer, _: Scope) {
        writer.put_u8(u8::from(*self));
    }
}

impl<'a> Element<'a> for Uuid {
    fn read(reader: &mut Reader<'a>, _: Scope) -> Result<Self, DecodeError> {
        reader.read_uuid()
    }

    fn write(&self, writer: &mut Writer, _: Scope) {
        writer.put_slice(self.as_bytes());
    }
}

impl<'a> Element<'a> for &'a str {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        Option::<&str>::read(reader, scope)?.ok_or(DecodeError::Null("string"))
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        Some(*self).write(writer, scope);
    }
}

impl<'a> Element<'a> for Option<&'a str> {
    #[inline]
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        read_string_len(reader, scope)?.map(|len| reader.read_str(len)).transpose()
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        write_string_len(writer, scope, self.map(str::len));
        writer.put_slice(self.unwrap_or_default().as_bytes());
    }
}

impl<'a> Element<'a> for &'a [u8] {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        Option::<&[u8]>::read(reader, scope)?.ok_or(DecodeError::Null("bytes"))
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        Some(*self).write(writer, scope);
    }
}

impl<'a> Element<'a> for Option<&'a [u8]> {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        read_len(reader, scope)?.map(|len| reader.read_slice(len)).transpose()
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        write_len(writer, scope, self.map(<[u8]>::len));
        writer.put_slice(self.unwrap_or_default());
    }
}
