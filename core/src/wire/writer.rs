//! A growing buffer that messages are written into, with places where record data is put in without being copied.

use bytes::Bytes;

/// Why a message cannot be written. Only a bug here, or values that this version cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A null where this version allows none.
    #[error("{0} must not be null in this version")]
    Null(&'static str),
    /// A string above 32767 bytes, or something above 2 GiB.
    #[error("length {0} cannot be written")]
    Length(usize),
    /// A version the message does not have.
    #[error("version {0} is not known")]
    Version(i16),
}

/// A place in the buffer where bytes that lie elsewhere belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Splice {
    /// Bytes of the buffer in front of it.
    position: usize,
    size_bytes: usize,
}

/// Appends big-endian values. The first failure is kept and [`Writer::finish`] returns it.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
    spliced_bytes: usize,
    error: Option<EncodeError>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `buffer`, so that buffers can be reused.
    pub fn with_buffer(buffer: Vec<u8>) -> Self {
        Self { bytes: buffer, ..Self::default() }
    }

    /// All bytes so far, with those that lie elsewhere.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.spliced_bytes
    }

    /// The bytes written here.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Remembers that the message cannot be written.
    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// Marks this place: `size_bytes` bytes that lie elsewhere belong here.
    pub fn splice(&mut self, size_bytes: usize) {
        self.splices.push(Splice { position: self.bytes.len(), size_bytes });
        self.spliced_bytes += size_bytes;
    }

    /// What was written, or the first failure.
    pub fn finish(self) -> Result<Encoded, EncodeError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Encoded { bytes: self.bytes, splices: self.splices }),
        }
    }

    /// Bytes as they are.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn put_u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// One signed byte.
    pub fn put_i8(&mut self, value: i8) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Two bytes.
    pub fn put_i16(&mut self, value: i16) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Two bytes, unsigned.
    pub fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn put_i32(&mut self, value: i32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Four bytes, unsigned.
    pub fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn put_i64(&mut self, value: i64) {
        self.put_slice(&value.to_be_bytes());
    }

    /// A float of eight bytes.
    pub fn put_f64(&mut self, value: f64) {
        self.put_slice(&value.to_be_bytes());
    }
}

/// A finished message: the bytes written here, and where the others belong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// What was written here. The whole message, if nothing was spliced.
    pub bytes: Vec<u8>,
    splices: Vec<Splice>,
}

/// A piece of a message that was encoded with [`super::Records::Elsewhere`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Bytes of the message.
    Bytes(Bytes),
    /// The next record data goes here: exactly `size_bytes`, in the order in which the fields were encoded.
    Elsewhere {
        /// What was announced.
        size_bytes: usize,
    },
}

impl Encoded {
    /// All bytes of the message, with those that lie elsewhere.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.splices.iter().map(|splice| splice.size_bytes).sum::<usize>()
    }

    /// The pieces in order, without a copy. Never an empty piece of bytes.
    ///
    /// ```
    /// # use ringlog_core::wire::{Segment, Writer};
    /// let mut writer = Writer::new();
    /// writer.put_i32(7);
    /// writer.splice(7);
    /// let segments: Vec<_> = writer.finish().unwrap().into_segments().collect();
    /// assert_eq!(segments, [Segment::Bytes(bytes::Bytes::from_static(&[0, 0, 0, 7])), Segment::Elsewhere { size_bytes: 7 }]);
    /// ```
    pub fn into_segments(self) -> impl Iterator<Item = Segment> {
        let bytes = Bytes::from(self.bytes);
        let mut splices = self.splices.into_iter().peekable();
        let mut position = 0;
        std::iter::from_fn(move || match splices.peek().copied() {
            Some(splice) if splice.position == position => {
                splices.next();
                Some(Segment::Elsewhere { size_bytes: splice.size_bytes })
            }
            next => {
                let end = next.map_or(bytes.len(), |splice| splice.position);
                let piece = bytes.slice(position..end);
                position = end;
                (!piece.is_empty()).then_some(Segment::Bytes(piece))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_divide_the_bytes() {
        let mut writer = Writer::new();
        writer.splice(1);
        writer.put_u8(2);
        writer.splice(3);
        writer.splice(4);
        writer.put_u8(5);
        assert_eq!(writer.size_bytes(), 10);
        let encoded = writer.finish().expect("nothing failed");
        assert_eq!(encoded.size_bytes(), 10);
        let sizes: Vec<_> = encoded
            .into_segments()
            .map(|segment| match segment {
                Segment::Bytes(bytes) => -(bytes.len() as i64),
                Segment::Elsewhere { size_bytes } => size_bytes as i64,
            })
            .collect();
        assert_eq!(sizes, [1, -1, 3, 4, -1]);
    }

    #[test]
    fn the_first_failure_is_returned() {
        let mut writer = Writer::new();
        writer.fail(EncodeError::Null("a"));
        writer.fail(EncodeError::Null("b"));
        assert_eq!(writer.finish(), Err(EncodeError::Null("a")));
    }
}
