//! One connection: a request, then its answer.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use ringlog_core::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::wire::{Message, Reader};

use super::ClientError;

/// Time for connecting, and for each answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Larger than any answer that is asked for here.
const FRAME_BYTES_MAX: usize = 256 << 20;
const CLIENT_ID: &str = "ringlog";

/// A connection to one broker.
pub(in crate::cli) struct Connection {
    address: String,
    stream: TcpStream,
    correlation_id: i32,
    /// API, lowest and highest version.
    versions: Vec<(i16, i16, i16)>,
}

impl Connection {
    /// Connects, and asks which versions the broker has.
    pub(in crate::cli) fn open(address: &str) -> Result<Self, ClientError> {
        let stream = connect(address).map_err(|source| ClientError::Io { address: address.to_owned(), source })?;
        let versions = vec![(ApiKey::ApiVersions as i16, 0, 0)];
        let mut connection = Self { address: address.to_owned(), stream, correlation_id: 0, versions };
        let request = ApiVersionsRequest::default();
        let answer = connection.ask(ApiKey::ApiVersions, i16::MAX, &request)?;
        let response: ApiVersionsResponse<'_> = answer.decode()?;
        connection.versions =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        Ok(connection)
    }

    /// Asks in the highest version up to `version_max` that both know.
    pub(in crate::cli) fn ask<'a, M: Message<'a>>(
        &mut self,
        api_key: ApiKey,
        version_max: i16,
        request: &M,
    ) -> Result<Answer, ClientError> {
        let refused = || ClientError::Version { address: self.address.clone(), api_key };
        let (_, lowest, highest) =
            *self.versions.iter().find(|(key, ..)| *key == api_key as i16).ok_or_else(refused)?;
        let api_version = highest.min(*M::VERSIONS.end()).min(version_max);
        if api_version < lowest.max(*M::VERSIONS.start()) {
            return Err(refused());
        }
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let correlation_id = self.correlation_id;
        let header = RequestHeader { api_key, api_version, correlation_id, client_id: Some(CLIENT_ID) };
        let encoded = encode_request(Vec::new(), &header, request)?;
        let frame = self.exchange(&encoded.bytes);
        let frame = frame.map_err(|source| ClientError::Io { address: self.address.clone(), source })?;
        let mut reader = Reader::new(&frame);
        if ResponseHeader::decode(&mut reader, api_key, api_version)?.correlation_id != correlation_id {
            return Err(ClientError::Confused(self.address.clone()));
        }
        let position = frame.len() - reader.remaining();
        Ok(Answer { frame, position, api_version })
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let length =
            length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a broker of Kafka's protocol"))?;
        let mut frame = Vec::new();
        // Grows with what comes, not with what is announced.
        let received = (&mut self.stream).take(length as u64).read_to_end(&mut frame)?;
        if received == length { Ok(frame) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_TIME_MAX) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
                stream.set_write_timeout(Some(ANSWER_TIME_MAX))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An answer, still encoded.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    frame: Vec<u8>,
    position: usize,
    api_version: i16,
}

impl Answer {
    /// Decodes, borrowed from the answer.
    pub(in crate::cli) fn decode<'a, M: Message<'a>>(&'a self) -> Result<M, ClientError> {
        Ok(M::decode(&mut Reader::new(&self.frame[self.position..]), self.api_version)?)
    }
}
