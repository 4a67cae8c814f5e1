//! The flexible encoding of metadata records: compact strings and arrays, tagged fields. Bounded: nothing is allocated
//! for a length before the bytes are there.

use uuid::Uuid;

/// Why a metadata record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordDecodeError {
    /// A field goes on behind the end.
    #[error("record cut short")]
    Truncated,
    /// A varint, a string or a null where none may be.
    #[error("damaged field")]
    Field,
    /// A version above what Kafka 4.3 writes.
    #[error("record type {api_key} in version {version} is not known")]
    Version {
        /// Type of the record.
        api_key: u16,
        /// Its version.
        version: u16,
    },
}

use RecordDecodeError::{Field, Truncated};

/// Appends fields.
#[derive(Debug, Default)]
pub(super) struct Encoder(pub(super) Vec<u8>);

impl Encoder {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    pub(super) fn bool(&mut self, value: bool) {
        self.u8(value.into());
    }
    pub(super) fn i16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }
    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }
    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }
    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }
    pub(super) fn uuid(&mut self, value: Uuid) {
        self.0.extend(value.as_bytes());
    }
    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }
    pub(super) fn string(&mut self, value: &str) {
        self.varint(value.len() as u32 + 1);
        self.0.extend(value.as_bytes());
    }
    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.u8(0),
        }
    }
    pub(super) fn array<T>(&mut self, values: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.varint(values.len() as u32 + 1);
        for value in values {
            one(self, value);
        }
    }
    pub(super) fn i32s(&mut self, values: &[i32]) {
        self.array(values, |out, value| out.i32(*value));
    }
    pub(super) fn uuids(&mut self, values: &[Uuid]) {
        self.array(values, |out, value| out.uuid(*value));
    }
    /// The section of tagged fields, in ascending order of tags.
    pub(super) fn tagged(&mut self, fields: &[(u32, Vec<u8>)]) {
        self.varint(fields.len() as u32);
        for (tag, bytes) in fields {
            self.varint(*tag);
            self.varint(bytes.len() as u32);
            self.0.extend(bytes);
        }
    }
    pub(super) fn no_tags(&mut self) {
        self.u8(0);
    }
}

/// The bytes that `write` appends, for a tagged field.
pub(super) fn field(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut out = Encoder::default();
    write(&mut out);
    out.0
}

/// Takes fields off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

type Decoded<T> = Result<T, RecordDecodeError>;

impl<'a> Decoder<'a> {
    pub(super) fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
    fn array_of<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
    pub(super) fn i8(&mut self) -> Decoded<i8> {
        self.array_of().map(i8::from_be_bytes)
    }
    pub(super) fn bool(&mut self) -> Decoded<bool> {
        self.i8().map(|value| value != 0)
    }
    pub(super) fn i16(&mut self) -> Decoded<i16> {
        self.array_of().map(i16::from_be_bytes)
    }
    pub(super) fn u16(&mut self) -> Decoded<u16> {
        self.array_of().map(u16::from_be_bytes)
    }
    pub(super) fn i32(&mut self) -> Decoded<i32> {
        self.array_of().map(i32::from_be_bytes)
    }
    pub(super) fn i64(&mut self) -> Decoded<i64> {
        self.array_of().map(i64::from_be_bytes)
    }
    pub(super) fn uuid(&mut self) -> Decoded<Uuid> {
        self.array_of().map(Uuid::from_bytes)
    }
    pub(super) fn varint(&mut self) -> Decoded<u32> {
        let mut value = 0u64;
        for i in 0..5 {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Field);
            }
        }
        Err(Field)
    }
    pub(super) fn nullable_string(&mut self) -> Decoded<Option<String>> {
        let Some(len) = self.varint()?.checked_sub(1) else { return Ok(None) };
        let text = std::str::from_utf8(self.take(len as usize)?).map_err(|_| Field)?;
        Ok(Some(text.to_owned()))
    }
    pub(super) fn string(&mut self) -> Decoded<String> {
        self.nullable_string()?.ok_or(Field)
    }
    /// An array; each element takes a byte at least.
    pub(super) fn nullable_array<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<Vec<T>>> {
        let Some(count) = self.varint()?.checked_sub(1) else { return Ok(None) };
        if count as usize > self.0.len() {
            return Err(Truncated);
        }
        (0..count).map(|_| one(self)).collect::<Decoded<Vec<T>>>().map(Some)
    }
    pub(super) fn array<T>(&mut self, one: impl FnMut(&mut Self) -> Decoded<T>) -> Decoded<Vec<T>> {
        self.nullable_array(one)?.ok_or(Field)
    }
    pub(super) fn i32s(&mut self) -> Decoded<Vec<i32>> {
        self.array(Self::i32)
    }
    pub(super) fn uuids(&mut self) -> Decoded<Vec<Uuid>> {
        self.array(Self::uuid)
    }
    /// Gives each tagged field to `one`; a tag that it does not know it leaves alone.
    pub(super) fn tagged(&mut self, mut one: impl FnMut(u32, &mut Decoder<'a>) -> Decoded<()>) -> Decoded<()> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()?;
            one(tag, &mut Decoder(self.take(size as usize)?))?;
        }
        Ok(())
    }
    pub(super) fn no_tags(&mut self) -> Decoded<()> {
        self.tagged(|_, _| Ok(()))
    }
}
