//! One request to the sink, and the memory that its answer goes to.

use ringlog_core::protocol::{RequestHeader, encode_response};
use ringlog_core::wire::{Message, Reader};

use super::Fault;

/// What was asked.
pub(super) struct Request<'a, 'o> {
    pub(super) header: RequestHeader<'a>,
    /// What has to be wrong in the answer.
    pub(super) fault: Option<Fault>,
    /// Behind the header.
    pub(super) body: Reader<'a>,
    /// The answer is appended here.
    pub(super) out: &'o mut Vec<u8>,
}

impl<'a> Request<'a, '_> {
    /// The body; nothing if it cannot be read.
    pub(super) fn body<M: Message<'a>>(&self) -> Option<M> {
        M::decode(&mut self.body.clone(), self.header.api_version).ok()
    }

    /// Answers; nothing if the version cannot carry it.
    pub(super) fn answer<'b>(&mut self, response: &impl Message<'b>) -> Option<()> {
        let RequestHeader { api_key, api_version, correlation_id, .. } = self.header;
        let encoded = encode_response(std::mem::take(self.out), api_key, api_version, correlation_id, response);
        *self.out = encoded.ok()?.bytes;
        Some(())
    }
}
