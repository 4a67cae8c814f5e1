//! Tagged fields: at the end of every struct of a flexible version, `count (tag size value)*`, all unsigned varints.
//! Unknown tags are skipped.

use super::reader::{DecodeError, Reader};
use super::varint::{read_unsigned_varint, write_unsigned_varint};
use super::writer::Writer;

/// How many tagged fields follow. Each takes two bytes or more.
#[inline]
pub fn read_count(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let count = read_unsigned_varint(reader)?;
    if count as usize > reader.remaining() / 2 {
        return Err(DecodeError::Count { count: count as usize, left: reader.remaining() });
    }
    Ok(count)
}

/// The next tag, and a reader over its value alone.
pub fn read_next<'a>(reader: &mut Reader<'a>) -> Result<(u32, Reader<'a>), DecodeError> {
    let tag = read_unsigned_varint(reader)?;
    let size = read_unsigned_varint(reader)?;
    let value = reader.read_slice(size as usize)?;
    Ok((tag, reader.part(value)))
}

/// Skips all tagged fields of a struct that knows none.
#[inline]
pub fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..read_count(reader)? {
        read_next(reader)?;
    }
    Ok(())
}

/// Writes how many tagged fields follow.
pub fn write_count(writer: &mut Writer, count: u32) {
    write_unsigned_varint(writer.bytes_mut(), count);
}

/// Writes one tagged field; its size is measured after the value was written.
pub fn write_one(writer: &mut Writer, tag: u32, value: impl FnOnce(&mut Writer)) {
    write_unsigned_varint(writer.bytes_mut(), tag);
    let start = writer.bytes_mut().len();
    value(writer);
    let bytes = writer.bytes_mut();
    let end = bytes.len();
    write_unsigned_varint(bytes, (end - start) as u32);
    let size_len = bytes.len() - end;
    bytes[start..].rotate_right(size_len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_fields_are_read_and_skipped() {
        let mut writer = Writer::new();
        write_count(&mut writer, 2);
        write_one(&mut writer, 1, |writer| writer.put_slice(&[7; 200]));
        write_one(&mut writer, 9, |_| {});
        let bytes = writer.finish().expect("nothing failed").bytes;
        assert_eq!(bytes[..5], [2, 1, 0xc8, 0x01, 7]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(read_count(&mut reader), Ok(2));
        let (tag, value) = read_next(&mut reader).expect("first field");
        assert_eq!((tag, value.remaining()), (1, 200));
        let mut reader = Reader::new(&bytes);
        assert_eq!(skip(&mut reader), Ok(()));
        assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        assert!(matches!(
            read_count(&mut Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0])),
            Err(DecodeError::Count { .. })
        ));
    }
}
