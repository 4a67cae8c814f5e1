//! One request on its way through a handler: the frame, its header, and the one answer it gets.

use std::time::Duration;

use bytes::Bytes;
use ringlog_core::protocol::{ApiKey, RequestHeader, encode_response};
use ringlog_core::reactor::{Piece, Pieces};
use ringlog_core::wire::{DecodeError, Message, Reader, Segment};

use crate::net::Responder;

/// Elements in all arrays of a request together. Ten million empty names fit in 20 MiB; no client sends more than a few
/// for each partition that there is.
const REQUEST_ELEMENTS_MAX: u32 = 200_000;
/// Room for an answer at first: those of one topic and partition fit.
const RESPONSE_BYTES: usize = 128;

/// A frame whose header was read, with the duty to answer it.
pub struct Request {
    /// Which API, as the table found it.
    pub api_key: ApiKey,
    /// A version that the API has.
    pub api_version: i16,
    /// Echoed in the answer.
    pub correlation_id: i32,
    /// Index of the listener that it came in by.
    pub listener: usize,
    body: Body,
    responder: Responder,
    /// How long the client has to wait, as it is told.
    throttle_time: Duration,
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
        let body = &self.frame[self.position..];
        M::decode(&mut Reader::with_elements_max(body, REQUEST_ELEMENTS_MAX), self.api_version)
    }

    /// The part of the frame that `bytes` (a slice of it) lies in, shared instead of copied.
    pub fn share(&self, bytes: &[u8]) -> Bytes {
        self.frame.slice_ref(bytes)
    }
}

impl Request {
    /// Puts header, body and the means to answer together. The body begins at `position` of the frame.
    pub fn new(
        header: &RequestHeader<'_>,
        listener: usize,
        frame: Bytes,
        position: usize,
        responder: Responder,
    ) -> Self {
        let RequestHeader { api_key, api_version, correlation_id, .. } = *header;
        let body = Body { frame, position, api_version };
        let throttle_time = Duration::ZERO;
        Self { api_key, api_version, correlation_id, listener, body, responder, throttle_time }
    }

    /// The body, to be decoded.
    pub fn body(&self) -> Body {
        self.body.clone()
    }

    /// It will wait for others: its body, which nobody reads any more, gives up the receive buffer that it lies in. A shard
    /// has few of them, and reads nothing when all are held.
    pub fn release_body(&mut self) {
        let header = &self.body.frame[..self.body.position];
        self.body.frame = Bytes::copy_from_slice(header);
    }

    /// Bytes of the whole frame.
    pub fn size_bytes(&self) -> usize {
        self.body.frame.len()
    }

    /// The name that the client gives itself; empty for none.
    pub fn client_id(&self) -> String {
        let header = RequestHeader::decode(&mut Reader::new(&self.body.frame));
        header.ok().and_then(|header| header.client_id).unwrap_or_default().to_owned()
    }

    /// Where the client is, as Java prints an address: `/127.0.0.1`.
    pub fn client_host(&self) -> String {
        self.responder.peer().map(|peer| format!("/{}", peer.ip().to_canonical())).unwrap_or_default()
    }

    /// The connection's side of this request.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    /// The client has exceeded a quota: nothing is read from its connection for this long, and its answer says so where
    /// the answer is one of Produce or Fetch.
    pub fn throttle(&mut self, time: Duration) {
        if time > self.throttle_time {
            self.throttle_time = time;
            self.responder.mute(time);
        }
    }

    /// For the answer's `throttle_time_ms`.
    pub fn throttle_time_ms(&self) -> i32 {
        i32::try_from(self.throttle_time.as_millis()).unwrap_or(i32::MAX)
    }

    /// Answers. `elsewhere` holds the record data announced by [`ringlog_core::wire::Records::Elsewhere`], in order.
    pub fn answer<'a, M: Message<'a>>(self, message: &M, elsewhere: impl IntoIterator<Item = Pieces>) {
        let version = self.api_version;
        self.answer_in(version, message, elsewhere);
    }

    /// Answers in another version than that of the request: ApiVersions does, for a client newer than this broker.
    pub fn answer_in<'a, M: Message<'a>>(
        self,
        api_version: i16,
        message: &M,
        elsewhere: impl IntoIterator<Item = Pieces>,
    ) {
        let buffer = Vec::with_capacity(RESPONSE_BYTES);
        let encoded = match encode_response(buffer, self.api_key, api_version, self.correlation_id, message) {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(api = ?self.api_key, api_version, %error, "answer cannot be encoded");
                return self.close(&error);
            }
        };
        let mut elsewhere = elsewhere.into_iter();
        let mut pieces = Pieces::new();
        for segment in encoded.into_segments() {
            match segment {
                Segment::Bytes(bytes) => pieces.push(bytes.into()),
                Segment::Elsewhere { size_bytes } => {
                    let records = elsewhere.next().expect("each announced piece is given");
                    assert_eq!(size_bytes, records.iter().map(Piece::size_bytes).sum::<usize>(), "as announced");
                    pieces.extend(records);
                }
            }
        }
        self.responder.send(pieces);
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
}
