//! One request on its way through a handler: the frame, its header, and the one answer it gets.

use bytes::Bytes;
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader};
use ringlog_core::reactor::Parts;
use ringlog_core::wire::{DecodeError, Message, Reader, Segment, Writer};

use crate::net::Responder;

/// A frame whose header was read, with the duty to answer it.
pub struct Request {
    /// Which API, as the table found it.
    pub api_key: ApiKey,
    /// A version that the API has.
    pub api_version: i16,
    /// Echoed in the answer.
    pub correlation_id: i32,
    body: Body,
    responder: Responder,
}

/// The body of a request, still encoded. Clones share the frame, so that a handler can borrow from one while it
/// answers the request.
#[derive(Debug, Clone)]
pub struct Body {
    frame: Bytes,
    position: usize,
    api_version: i16,
}

impl Body {
    /// Decodes, borrowed from the frame.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> Result<M, DecodeError> {
        M::decode(&mut Reader::new(&self.frame[self.position..]), self.api_version)
    }

    /// The part of the frame that `bytes` (a slice of it) lies in, shared instead of copied.
    pub fn share(&self, bytes: &[u8]) -> Bytes {
        self.frame.slice_ref(bytes)
    }

}

impl Request {
    /// Puts header, body and the means to answer together. The body begins at `position` of the frame.
    pub fn new(header: &RequestHeader<'_>, api_key: ApiKey, frame: Bytes, position: usize, responder: Responder) -> Self {
        let (api_version, correlation_id) = (header.api_version, header.correlation_id);
        Self { api_key, api_version, correlation_id, body: Body { frame, position, api_version }, responder }
    }

    /// The body, to be decoded.
    pub fn body(&self) -> Body {
        self.body.clone()
    }

    /// The connection's side of this request.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    /// Answers. `elsewhere` holds the record data announced by [`ringlog_core::wire::Records::Elsewhere`], in order.
    pub fn answer<'a, M: Message<'a>>(self, message: &M, elsewhere: impl IntoIterator<Item = Parts>) {
        let header = ResponseHeader { correlation_id: self.correlation_id };
        let mut writer = Writer::with_buffer(vec![0; size_of::<i32>()]);
        header.encode(&mut writer, self.api_key.response_header_version(self.api_version));
        message.encode(&mut writer, self.api_version);
        self.finish(writer, elsewhere);
    }

    /// Answers with an ApiVersions body of version 0, for a client that asked in a version that is not known here.
    pub fn answer_api_versions_v0<'a, M: Message<'a>>(self, message: &M) {
        let mut writer = Writer::with_buffer(vec![0; size_of::<i32>()]);
        writer.put_i32(self.correlation_id);
        message.encode(&mut writer, 0);
        self.finish(writer, []);
    }

    /// No answer, as acks=0 wants it.
    pub fn answer_nothing(self) {
        self.responder.none();
    }

    /// Closes the connection, as Kafka does where no answer is possible.
    pub fn close(self, why: &dyn std::fmt::Display) {
        tracing::debug!(api = ?self.api_key, version = self.api_version, %why, "closing the connection");
        self.responder.close();
    }

    fn finish(self, mut writer: Writer, elsewhere: impl IntoIterator<Item = Parts>) {
        let size = writer.size_bytes() - size_of::<i32>();
        match i32::try_from(size) {
            Ok(size) => writer.bytes_mut()[..size_of::<i32>()].copy_from_slice(&size.to_be_bytes()),
            Err(error) => return self.close(&error),
        }
        let encoded = match writer.finish() {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(api = ?self.api_key, version = self.api_version, %error, "answer cannot be encoded");
                return self.close(&error);
            }
        };
        let mut elsewhere = elsewhere.into_iter();
        let mut parts = Parts::new();
        for segment in encoded.into_segments() {
            match segment {
                Segment::Bytes(bytes) => parts.push(bytes),
                Segment::Elsewhere { size_bytes } => {
                    let records = elsewhere.next().expect("each announced piece is given");
                    assert_eq!(size_bytes, records.iter().map(Bytes::len).sum::<usize>(), "as announced");
                    parts.extend(records);
                }
            }
        }
        self.responder.send(parts);
    }
}
