//! A simulated client's connection: real frames of `core::protocol` over the simulated network, every wait bounded.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::reactor::{Reactor, Socket};
use ringlog_core::wire::{Message, Reader};

/// Longer than any healthy broker takes; then the client takes the connection for dead.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(400);

/// One connection. Requests may be sent ahead; answers come in their order.
pub struct Link {
    reactor: Reactor,
    socket: Socket,
    received: BytesMut,
    sent: VecDeque<(ApiKey, i16, i32)>,
    next_correlation_id: i32,
}

/// An answer's body.
pub struct Answer {
    version: i16,
    body: Bytes,
}

impl Answer {
    /// Decoded. The broker of the simulation never sends what cannot be read.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> M {
        M::decode(&mut Reader::new(&self.body), self.version).expect("a broker's answer can be read")
    }
}

impl Link {
    /// Connects, once.
    pub async fn connect(reactor: &Reactor, broker: SocketAddr) -> io::Result<Self> {
        let socket = within(reactor, reactor.connect(broker)).await??;
        let reactor = reactor.clone();
        Ok(Self { reactor, socket, received: BytesMut::new(), sent: VecDeque::new(), next_correlation_id: 0 })
    }

    /// Sends a request whose answer is taken by [`Link::answer`].
    pub async fn send<'a>(&mut self, api_key: ApiKey, version: i16, request: &impl Message<'a>) -> io::Result<()> {
        self.send_unanswered(api_key, version, request).await?;
        self.sent.push_back((api_key, version, self.next_correlation_id));
        Ok(())
    }

    /// Sends a request that gets no answer.
    pub async fn send_unanswered<'a>(
        &mut self,
        api_key: ApiKey,
        api_version: i16,
        request: &impl Message<'a>,
    ) -> io::Result<()> {
        self.next_correlation_id += 1;
        let correlation_id = self.next_correlation_id;
        let header = RequestHeader { api_key, api_version, correlation_id, client_id: Some("simulation") };
        let frame = encode_request(Vec::new(), &header, request).expect("a client's request can be written").bytes;
        within(&self.reactor, self.socket.send_all([Bytes::from(frame)].into_iter().collect())).await?
    }

    /// The answer to the oldest request that has none.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let (api_key, version, correlation_id) = self.sent.pop_front().expect("a request was sent");
        let reactor = self.reactor.clone();
        let frame = within(&reactor, self.frame()).await??;
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(&mut reader, api_key, version).expect("an answer has a header");
        assert_eq!(header.correlation_id, correlation_id, "answers come in the order of their requests");
        let at = frame.len() - reader.remaining();
        Ok(Answer { version, body: frame.slice(at..) })
    }

    /// Asks and waits for the answer.
    pub async fn call<'a>(&mut self, api_key: ApiKey, version: i16, request: &impl Message<'a>) -> io::Result<Answer> {
        self.send(api_key, version, request).await?;
        self.answer().await
    }

    async fn frame(&mut self) -> io::Result<Bytes> {
        const PREFIX: usize = size_of::<u32>();
        loop {
            if let Some(prefix) = self.received.first_chunk::<PREFIX>() {
                let len = PREFIX + u32::from_be_bytes(*prefix) as usize;
                if self.received.len() >= len {
                    return Ok(self.received.split_to(len).split_off(PREFIX).freeze());
                }
            }
            let chunk = self.socket.receive().await?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&chunk);
        }
    }
}

/// The future's value, unless it takes longer than a client waits.
async fn within<T>(reactor: &Reactor, future: impl Future<Output = T>) -> io::Result<T> {
    let mut future = pin!(future);
    let mut timeout = pin!(reactor.sleep(REQUEST_TIMEOUT));
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        timeout.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}
