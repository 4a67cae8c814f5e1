//! Arrays that are walked where they lie.

use std::fmt;

use super::compact::{read_len, write_len};
use super::element::{Element, Scope};
use super::reader::{DecodeError, Reader};
use super::writer::{EncodeError, Writer};

/// A list of elements. One that was received is a slice of the frame, checked as a whole when it was decoded and decoded
/// again by each iteration; one to be sent is a slice, a vector or a function.
///
/// Collecting a received array may take a multiple of what was received: ten million empty names fit in 20 MiB.
pub struct Array<'a, T>(Source<'a, T>);

enum Source<'a, T> {
    Wire { bytes: &'a [u8], count: usize, scope: Scope },
    Slice(&'a [T]),
    Owned(Vec<T>),
    Function { count: usize, element: &'a dyn Fn(usize) -> T },
}

impl<'a, T> Array<'a, T> {
    /// `count` elements that are made one by one when they are written, so that no list is built.
    pub fn from_fn(count: usize, element: &'a dyn Fn(usize) -> T) -> Self {
        Self(Source::Function { count, element })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Wire { count, .. } | Source::Function { count, .. } => *count,
            Source::Slice(elements) => elements.len(),
            Source::Owned(elements) => elements.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Element<'a> + Clone> Array<'a, T> {
    /// The elements, each decoded (or cloned) when it is asked for.
    pub fn iter(&self) -> ArrayIter<'_, 'a, T> {
        match &self.0 {
            Source::Wire { bytes, count, scope } => {
                ArrayIter(Cursor::Wire { reader: Reader::new(bytes), left: *count, scope: *scope })
            }
            Source::Slice(elements) => ArrayIter(Cursor::Slice(elements.iter())),
            Source::Owned(elements) => ArrayIter(Cursor::Slice(elements.iter())),
            Source::Function { count, element } => {
                ArrayIter(Cursor::Function { next: 0, count: *count, element: *element })
            }
        }
    }
}

/// Elements that are written one after the other, for an array that is too long for one go.
#[derive(Debug)]
pub struct ArrayBuilder {
    writer: Writer,
    count: usize,
    scope: Scope,
}

impl ArrayBuilder {
    /// None yet, for a message of this scope.
    pub fn new(scope: Scope) -> Self {
        Self { writer: Writer::new(), count: 0, scope }
    }

    /// Appends one.
    pub fn push<'a, T: Element<'a>>(&mut self, element: &T) {
        element.write(&mut self.writer, self.scope);
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The elements' bytes; those of an array once [`BuiltArray::as_array`] says of what.
    pub fn finish(self) -> Result<BuiltArray, EncodeError> {
        let Self { writer, count, scope } = self;
        Ok(BuiltArray { bytes: writer.finish()?.bytes, count, scope })
    }
}

/// What an [`ArrayBuilder`] has written.
#[derive(Debug)]
pub struct BuiltArray {
    bytes: Vec<u8>,
    count: usize,
    scope: Scope,
}

impl BuiltArray {
    /// The elements, which were pushed as `T`.
    pub fn as_array<'a, T: Element<'a>>(&'a self) -> Array<'a, T> {
        Array(Source::Wire { bytes: &self.bytes, count: self.count, scope: self.scope })
    }
}

/// Iterates an [`Array`].
pub struct ArrayIter<'s, 'a, T>(Cursor<'s, 'a, T>);

enum Cursor<'s, 'a, T> {
    Wire { reader: Reader<'a>, left: usize, scope: Scope },
    Slice(std::slice::Iter<'s, T>),
    Function { next: usize, count: usize, element: &'a dyn Fn(usize) -> T },
}

impl<'a, T: Element<'a> + Clone> Iterator for ArrayIter<'_, 'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Cursor::Wire { reader, left, scope } => {
                *left = left.checked_sub(1)?;
                let element = T::read(reader, *scope);
                debug_assert!(element.is_ok(), "the array was checked when it was decoded");
                element.ok()
            }
            Cursor::Slice(elements) => elements.next().cloned(),
            Cursor::Function { next, count, element } => {
                let index = *next;
                *next += usize::from(index < *count);
                (index < *count).then(|| element(index))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Cursor::Wire { left, .. } => *left,
            Cursor::Slice(elements) => elements.len(),
            Cursor::Function { next, count, .. } => count - next,
        };
        (left, Some(left))
    }
}

impl<'a, T: Element<'a> + Clone> ExactSizeIterator for ArrayIter<'_, 'a, T> {}

impl<'s, 'a, T: Element<'a> + Clone> IntoIterator for &'s Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'s, 'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Default for Array<'_, T> {
    fn default() -> Self {
        Self(Source::Slice(&[]))
    }
}

impl<T> From<Vec<T>> for Array<'_, T> {
    fn from(elements: Vec<T>) -> Self {
        Self(Source::Owned(elements))
    }
}

impl<'a, T> From<&'a [T]> for Array<'a, T> {
    fn from(elements: &'a [T]) -> Self {
        Self(Source::Slice(elements))
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Array<'a, T> {
    fn from(elements: &'a [T; N]) -> Self {
        Self(Source::Slice(elements))
    }
}

impl<T> FromIterator<T> for Array<'_, T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(Source::Owned(elements.into_iter().collect()))
    }
}

impl<T: Clone> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Wire { bytes, count, scope } => Source::Wire { bytes, count: *count, scope: *scope },
            Source::Slice(elements) => Source::Slice(elements),
            Source::Owned(elements) => Source::Owned(elements.clone()),
            Source::Function { count, element } => Source::Function { count: *count, element: *element },
        })
    }
}

impl<'a, T: Element<'a> + Clone + PartialEq> PartialEq for Array<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + Clone + Eq> Eq for Array<'a, T> {}

impl<'a, T: Element<'a> + Clone + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> Element<'a> for Array<'a, T> {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        Option::<Self>::read(reader, scope)?.ok_or(DecodeError::Null("array"))
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        write_len(writer, scope, Some(self.len()));
        self.write_elements(writer, scope);
    }
}

/// Reads an array whose elements are looked at once, by `each`: arrays in arrays are decoded again by each walk of each
/// level. Elements in front of a damaged one have been looked at when the error is told.
pub fn read_each<'a>(
    reader: &mut Reader<'a>,
    scope: Scope,
    mut each: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let count = read_count(reader, scope)?.ok_or(DecodeError::Null("array"))?;
    (0..count).try_for_each(|_| each(reader))
}

/// How many elements follow, within the reader's bounds; nothing for null.
#[inline]
fn read_count(reader: &mut Reader<'_>, scope: Scope) -> Result<Option<usize>, DecodeError> {
    let Some(count) = read_len(reader, scope)? else { return Ok(None) };
    if count > reader.remaining() {
        return Err(DecodeError::Count { count, left: reader.remaining() });
    }
    reader.take_elements(count)?;
    Ok(Some(count))
}

impl<'a, T: Element<'a>> Element<'a> for Option<Array<'a, T>> {
    fn read(reader: &mut Reader<'a>, scope: Scope) -> Result<Self, DecodeError> {
        let Some(count) = read_count(reader, scope)? else { return Ok(None) };
        let start = reader.rest();
        for _ in 0..count {
            T::read(reader, scope)?;
        }
        let bytes = &start[..start.len() - reader.remaining()];
        Ok(Some(Array(Source::Wire { bytes, count, scope })))
    }

    fn write(&self, writer: &mut Writer, scope: Scope) {
        write_len(writer, scope, self.as_ref().map(Array::len));
        if let Some(array) = self {
            array.write_elements(writer, scope);
        }
    }
}

impl<'a, T: Element<'a>> Array<'a, T> {
    fn write_elements(&self, writer: &mut Writer, scope: Scope) {
        let write_all = |writer: &mut Writer, elements: &[T]| {
            for element in elements {
                element.write(writer, scope);
            }
        };
        match &self.0 {
            Source::Slice(elements) => write_all(writer, elements),
            Source::Owned(elements) => write_all(writer, elements),
            Source::Function { count, element } => (0..*count).for_each(|index| element(index).write(writer, scope)),
            Source::Wire { bytes, count, scope: received } if received == &scope => {
                debug_assert!(*count <= bytes.len());
                writer.put_slice(bytes);
            }
            Source::Wire { bytes, count, scope: received } => {
                let mut reader = Reader::new(bytes);
                for element in (0..*count).map_while(|_| T::read(&mut reader, *received).ok()) {
                    element.write(writer, scope);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Scope = Scope { version: 0, flexible: false };
    const FLEXIBLE: Scope = Scope { version: 1, flexible: true };

    fn encoded<'a>(array: &Array<'a, &'a str>, scope: Scope) -> Vec<u8> {
        let mut writer = Writer::new();
        array.write(&mut writer, scope);
        writer.finish().expect("strings are short").bytes
    }

    #[test]
    fn all_sources_write_the_same() {
        let names = ["a", "bc", ""];
        let element = |index: usize| names[index];
        let from_fn = Array::from_fn(3, &element);
        let bytes = encoded(&Array::from(&names), OLD);
        assert_eq!(bytes, [0, 0, 0, 3, 0, 1, b'a', 0, 2, b'b', b'c', 0, 0]);
        assert_eq!(encoded(&from_fn, OLD), bytes);
        assert_eq!(encoded(&Array::from(names.to_vec()), OLD), bytes);
        let mut builder = ArrayBuilder::new(OLD);
        names.iter().for_each(|name| builder.push(name));
        assert_eq!(encoded(&builder.finish().expect("short").as_array(), OLD), bytes);
        let received = Array::<&str>::read(&mut Reader::new(&bytes), OLD).expect("own bytes");
        assert_eq!(received, from_fn);
        assert_eq!(encoded(&received, OLD), bytes);
        assert_eq!(encoded(&received, FLEXIBLE), [4, 2, b'a', 3, b'b', b'c', 1]);
        assert_eq!(received.iter().collect::<Vec<_>>(), names);
    }

    #[test]
    fn elements_of_nested_arrays_count_together() {
        let inner: Vec<i32> = vec![7; 10];
        let outer = Array::from(vec![Array::from(&inner[..]); 3]);
        let mut writer = Writer::new();
        outer.write(&mut writer, OLD);
        let bytes = writer.finish().expect("small").bytes;
        let read = |max| Array::<Array<'_, i32>>::read(&mut Reader::with_elements_max(&bytes, max), OLD).map(|_| ());
        assert_eq!(read(33), Ok(()));
        assert_eq!(read(32), Err(DecodeError::Elements(32)));
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        let error = Array::<i32>::read(&mut Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]), OLD);
        assert_eq!(error.err(), Some(DecodeError::Count { count: i32::MAX as usize, left: 4 }));
        assert_eq!(Array::<i32>::read(&mut Reader::new(&[0]), FLEXIBLE).err(), Some(DecodeError::Null("array")));
    }
}
