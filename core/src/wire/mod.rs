//! Primitive encodings of Kafka's protocol, both directions, bounded.
//!
//! Invariants:
//! - Decoding never allocates. Strings, bytes and arrays are sub-slices of the frame; an [`Array`] is walked once when it
//!   is decoded, so iterating it later cannot fail, and each walk decodes its elements anew.
//! - Every length and count is compared with the bytes that are really left before it is used.
//! - Encoding never panics: what cannot be written (a null where none may be, a string that is too long) makes
//!   [`Writer::finish`] fail.

mod array;
mod compact;
mod element;
mod reader;
mod records;
pub mod tagged;
mod varint;
mod writer;

pub use array::{Array, ArrayBuilder, ArrayIter, BuiltArray, read_each};
pub use element::{Element, Message, Scope, Struct};
pub use reader::{DecodeError, Reader};
pub use records::Records;
pub use varint::{
    VARINT_LEN_MAX, VARLONG_LEN_MAX, read_unsigned_varint, read_varint, read_varlong, unsigned_varint_len, unzigzag,
    varint_len, varlong_len, with_short_varint, write_unsigned_varint, write_varint, write_varlong,
};
pub use writer::{EncodeError, Encoded, Segment, Writer};
