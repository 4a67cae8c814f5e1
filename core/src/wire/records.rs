//! Record data inside a Produce request or a Fetch response.

use super::compact::write_len;
use super::element::{Element, Scope};
use super::reader::{DecodeError, Reader};
use super::writer::Writer;

/// Record batches as bytes, or the place where they belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records<'a> {
    /// What was received, or is copied into the message.
    Bytes(&'a [u8]),
    /// Only the length is written; the sender puts the bytes in between, see [`super::Encoded::into_segments`].
    Elsewhere {
        /// What the sender promises to put there.
        size_bytes: usize,
    },
}

impl<'a> Records<'a> {
    /// The bytes, empty if they lie elsewhere.
    pub fn bytes(&self) -> &'a [u8] {
        match *self {
            Self::Bytes(bytes) => bytes,
            Self::Elsewhere { .. } => &[],
        }
    }

    /// How many bytes of record data there are.
    pub fn size_bytes(&self) -> usize {
        match *self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Elsewhere { size_bytes } => size_bytes,
        }
    }
}

impl<'a> Element<'a> for Option<Records<'a>> {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        Ok(Option::<&[u8]>::read(reader, scope)?.map(Records::Bytes))
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        write_len(writer, scope, self.map(|records| records.size_bytes()));
        match *self {
            None => {}
            Some(Records::Bytes(bytes)) => writer.put_slice(bytes),
            Some(Records::Elsewhere { size_bytes }) => writer.splice(size_bytes),
        }
    }
}
