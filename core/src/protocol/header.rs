//! Request and response headers, and whole frames.
//!
//! A frame is `length:int32, header, body`. The request header keeps an int16 length before `client_id` in every version.

use crate::protocol::ApiKey;
use crate::wire::{DecodeError, Element, EncodeError, Encoded, Message, Reader, Scope, Writer, tagged};

const PLAIN: Scope = Scope { version: 1, flexible: false };

/// What stands before every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which request it is.
    pub api_key: ApiKey,
    /// The version of the request; not checked here, because an unknown version of ApiVersions gets an answer.
    pub api_version: i16,
    /// Goes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header of a frame; the length in front is already off. Leaves the reader at the body.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = reader.read_i16()?;
        let api_key = ApiKey::from_i16(key).ok_or(DecodeError::ApiKey(key))?;
        let api_version = reader.read_i16()?;
        let correlation_id = reader.read_i32()?;
        let client_id = Element::read(reader, PLAIN)?;
        if api_key.request_header_version(api_version) == 2 {
            tagged::skip(reader)?;
        }
        Ok(Self { api_key, api_version, correlation_id, client_id })
    }

    /// Appends the header.
    pub fn encode(&self, writer: &mut Writer) {
        writer.put_i16(self.api_key as i16);
        writer.put_i16(self.api_version);
        writer.put_i32(self.correlation_id);
        self.client_id.write(writer, PLAIN);
        if self.api_key.request_header_version(self.api_version) == 2 {
            tagged::write_count(writer, 0);
        }
    }
}

/// What stands before every response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The number that came with the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a frame; the length in front is already off. Leaves the reader at the body.
    pub fn decode(reader: &mut Reader<'_>, api_key: ApiKey, api_version: i16) -> Result<Self, DecodeError> {
        let correlation_id = reader.read_i32()?;
        if api_key.response_header_version(api_version) == 1 {
            tagged::skip(reader)?;
        }
        Ok(Self { correlation_id })
    }

    /// Appends the header.
    pub fn encode(&self, writer: &mut Writer, api_key: ApiKey, api_version: i16) {
        writer.put_i32(self.correlation_id);
        if api_key.response_header_version(api_version) == 1 {
            tagged::write_count(writer, 0);
        }
    }
}

/// Appends a whole request frame to `buffer`.
pub fn encode_request<'a>(
    buffer: Vec<u8>,
    header: &RequestHeader<'_>,
    request: &impl Message<'a>,
) -> Result<Encoded, EncodeError> {
    encode_frame(buffer, |writer| {
        header.encode(writer);
        request.encode(writer, header.api_version);
    })
}

/// Appends a whole response frame to `buffer`. A request of ApiVersions in an unknown version is answered with version 0
/// and `UNSUPPORTED_VERSION`.
pub fn encode_response<'a>(
    buffer: Vec<u8>,
    api_key: ApiKey,
    api_version: i16,
    correlation_id: i32,
    response: &impl Message<'a>,
) -> Result<Encoded, EncodeError> {
    encode_frame(buffer, |writer| {
        ResponseHeader { correlation_id }.encode(writer, api_key, api_version);
        response.encode(writer, api_version);
    })
}

fn encode_frame(buffer: Vec<u8>, content: impl FnOnce(&mut Writer)) -> Result<Encoded, EncodeError> {
    let start = buffer.len();
    let mut writer = Writer::with_buffer(buffer);
    writer.put_i32(0);
    content(&mut writer);
    let size_bytes = writer.size_bytes() - start - size_of::<i32>();
    match i32::try_from(size_bytes) {
        Ok(size) => writer.bytes_mut()[start..start + size_of::<i32>()].copy_from_slice(&size.to_be_bytes()),
        Err(_) => writer.fail(EncodeError::Length(size_bytes)),
    }
    writer.finish()
}
