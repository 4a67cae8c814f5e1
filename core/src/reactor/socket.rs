//! TCP: [`Listener`] and [`Socket`].
//!
//! A descriptor is closed when its owner is gone **and** the last operation on it has completed ([`Descriptor`] sits in
//! the slot of each operation), so an operation never meets a reused descriptor.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::executor::{Operation, SharedDriver, Stream};
use super::{Completion, FileRange, Handle, Instant, Op, Parts, Piece, Pieces, Reactor};

/// One call of `sendfile(2)` moves at most this much, so that a fast reader cannot hold the shard.
const SENDFILE_MAX: usize = 1 << 20;
/// After a piece of at least this size was received into own memory, the next one probably follows in the same way:
/// its head is received by a single short operation instead of a stream, which would have to be stopped again.
const BULK_MIN: usize = 64 << 10;
/// Bytes for such a head.
const HEAD_SIZE: usize = 4 << 10;
/// A driver that has no buffer left is asked again after this time.
const BUFFERS_RETRY: Duration = Duration::from_millis(1);

/// Closes the descriptor when the last holder is gone.
pub(super) struct Descriptor {
    handle: Handle,
    driver: SharedDriver,
    given_away: Cell<bool>,
    /// A send is in flight: reset by its last completion.
    pub(super) sending: Cell<bool>,
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptor").field(&self.handle.0).finish()
    }
}

impl Descriptor {
    fn new(reactor: &Reactor, handle: Handle) -> Rc<Self> {
        let driver = Rc::clone(reactor.driver());
        Rc::new(Self { handle, driver, given_away: Cell::new(false), sending: Cell::new(false) })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if !self.given_away.get() {
            self.driver.borrow_mut().close_socket(self.handle);
        }
    }
}

/// A connection between two reactors: not yet (or no longer) used by any. Give it to [`Reactor::adopt`]; one that is
/// lost stays open until the process ends.
#[derive(Debug)]
#[must_use]
pub struct SocketHandle(Handle);

impl Reactor {
    /// A listening TCP socket (SO_REUSEADDR, no SO_REUSEPORT). Blocking, at start only.
    pub fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let (handle, address) = {
            let mut driver = self.driver().borrow_mut();
            let handle = driver.listen(address)?;
            match driver.local_address(handle) {
                Ok(address) => (handle, address),
                Err(error) => {
                    driver.close_socket(handle);
                    return Err(error);
                }
            }
        };
        Ok(Listener { reactor: self.clone(), descriptor: Descriptor::new(self, handle), address, stream: None })
    }

    /// Connects to `peer`.
    pub fn connect(&self, peer: SocketAddr) -> impl Future<Output = io::Result<Socket>> + use<> {
        let reactor = self.clone();
        let started = (|| {
            let handle = self.driver().borrow_mut().socket(peer)?;
            let descriptor = Descriptor::new(self, handle);
            let operation = self.submit(Op::Connect { socket: handle, peer }, Some(Rc::clone(&descriptor)));
            Ok::<_, io::Error>((descriptor, operation))
        })();
        async move {
            let (descriptor, operation) = started?;
            operation.await.result?;
            Ok(Socket::new(&reactor, descriptor))
        }
    }

    /// Takes over a connection that another reactor accepted.
    pub fn adopt(&self, handle: SocketHandle) -> Socket {
        Socket::new(self, Descriptor::new(self, handle.0))
    }
}

/// A listening socket.
pub struct Listener {
    reactor: Reactor,
    descriptor: Rc<Descriptor>,
    address: SocketAddr,
    stream: Option<Stream>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.address).finish()
    }
}

impl Listener {
    /// The address it is bound to, with the real port.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. After an error it may be called again; wait a little when descriptors have run out.
    pub async fn accept(&mut self) -> io::Result<Socket> {
        loop {
            if self.stream.is_none() {
                let op = Op::Accept { listener: self.descriptor.handle };
                self.stream = Some(self.reactor.submit_stream(op, Rc::clone(&self.descriptor))?);
            }
            let next = poll_fn(|context| match &mut self.stream {
                Some(stream) => stream.poll_next(context),
                None => Poll::Ready(None),
            });
            let Some(completion) = next.await else {
                self.stream = None;
                continue;
            };
            if !completion.more {
                self.stream = None;
            }
            match completion.result {
                Ok(handle) => {
                    let descriptor = Descriptor::new(&self.reactor, Handle(handle as i32));
                    return Ok(Socket::new(&self.reactor, descriptor));
                }
                // Paused because many were waiting: goes on.
                Err(error) if is_cancelled(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A TCP connection. Clones are the same connection: one part of it receives, another sends.
#[derive(Clone)]
pub struct Socket(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    descriptor: Rc<Descriptor>,
    incoming: RefCell<Incoming>,
    last_active: Cell<Instant>,
}

#[derive(Default)]
struct Incoming {
    stream: Option<Stream>,
    /// A single receive in place of the stream. It stays here when the future that waits for it is dropped.
    head: Option<Operation>,
    /// The last receive was a large one into own memory.
    bulk: bool,
    /// Received by the stream, and more than the last receive wanted.
    rest: Bytes,
    /// The end of the connection, seen by the stream.
    end: Option<io::Result<()>>,
    used: bool,
    receiving: bool,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.0.descriptor.handle.0).finish()
    }
}

/// At most one receive at a time; freed also when its future is dropped.
struct Receiving<'a>(&'a Socket);

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.0.incoming.borrow_mut().receiving = false;
    }
}

impl Socket {
    fn new(reactor: &Reactor, descriptor: Rc<Descriptor>) -> Self {
        // A peer that is gone already makes this fail; the first operation tells.
        let _ = reactor.driver().borrow_mut().set_nodelay(descriptor.handle);
        let (reactor, last_active) = (reactor.clone(), Cell::new(reactor.now()));
        Self(Rc::new(Inner { reactor, descriptor, incoming: RefCell::default(), last_active }))
    }

    /// When the peer last let a send or a receive get on.
    pub fn last_active(&self) -> Instant {
        self.0.last_active.get()
    }

    fn note_active(&self) {
        self.0.last_active.set(self.0.reactor.now());
    }

    fn handle(&self) -> Handle {
        self.0.descriptor.handle
    }

    /// The address of the other end; an error once that is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.0.reactor.driver().borrow().peer_address(self.handle())
    }

    fn start_receiving(&self) -> Receiving<'_> {
        let mut incoming = self.0.incoming.borrow_mut();
        assert!(!std::mem::replace(&mut incoming.receiving, true), "one receive at a time");
        incoming.used = true;
        Receiving(self)
    }

    /// The next bytes, in a buffer of the driver: keep it briefly. Empty means that the peer has ended its side.
    pub async fn receive(&self) -> io::Result<Bytes> {
        let _receiving = self.start_receiving();
        loop {
            {
                let mut incoming = self.0.incoming.borrow_mut();
                if !incoming.rest.is_empty() {
                    return Ok(std::mem::take(&mut incoming.rest));
                }
                if let Some(end) = incoming.end_seen() {
                    return end.map(|()| Bytes::new());
                }
                if incoming.stream.is_none() && incoming.head.is_none() {
                    let (socket, keep) = (self.handle(), Rc::clone(&self.0.descriptor));
                    if std::mem::take(&mut incoming.bulk) {
                        let op = Op::Recv { socket, buffer: vec![0; HEAD_SIZE], filled: 0, all: false };
                        incoming.head = Some(self.0.reactor.submit(op, Some(keep)));
                    } else {
                        incoming.stream = Some(self.0.reactor.submit_stream(Op::RecvMany { socket }, keep)?);
                    }
                }
            }
            self.take_next().await;
        }
    }

    /// Receives into `buffer` from `filled` on: some bytes, or with `all` until it is full or the stream ends.
    /// Returns the bytes received by this call (0: the peer has ended its side) and the buffer.
    /// Dropping the future may lose bytes that had arrived: only for a connection that is given up.
    pub async fn receive_into(&self, mut buffer: Vec<u8>, filled: usize, all: bool) -> (io::Result<u32>, Vec<u8>) {
        let _receiving = self.start_receiving();
        let mut at = filled;
        // What the stream has received, or is just receiving, comes first.
        loop {
            let in_stream = {
                let mut incoming = self.0.incoming.borrow_mut();
                let count = incoming.rest.len().min(buffer.len() - at);
                buffer[at..at + count].copy_from_slice(&incoming.rest[..count]);
                incoming.rest.advance(count);
                at += count;
                if at == buffer.len() || (at > filled && !all) {
                    return (Ok((at - filled) as u32), buffer);
                }
                if let Some(end) = incoming.end_seen() {
                    let result = if at > filled { Ok((at - filled) as u32) } else { end.map(|()| 0) };
                    return (result, buffer);
                }
                incoming.stream.as_ref().map(Stream::pause).is_some() || incoming.head.is_some()
            };
            if !in_stream {
                break;
            }
            self.take_next().await;
        }
        self.0.incoming.borrow_mut().bulk = buffer.len() - filled >= BULK_MIN;
        let op = Op::Recv { socket: self.handle(), buffer, filled: at, all };
        let done = self.0.reactor.submit(op, Some(Rc::clone(&self.0.descriptor))).await;
        self.note_active();
        let Some(Op::Recv { buffer, .. }) = done.op else { panic!("not the operation that was submitted") };
        let before = (at - filled) as u32;
        match done.result {
            Ok(count) => (Ok(before + count), buffer),
            Err(error) if before > 0 => {
                self.0.incoming.borrow_mut().end = Some(Err(error));
                (Ok(before), buffer)
            }
            Err(error) => (Err(error), buffer),
        }
    }

    /// Receives no more until it is asked to again, and moves what has arrived into own memory: whoever waits for
    /// something else keeps no buffer of the driver.
    pub async fn pause_receiving(&self) {
        let _receiving = self.start_receiving();
        let mut arrived = Vec::new();
        loop {
            {
                let mut incoming = self.0.incoming.borrow_mut();
                arrived.extend_from_slice(&std::mem::take(&mut incoming.rest));
                let Some(stream) = &incoming.stream else {
                    incoming.rest = arrived.into();
                    return;
                };
                stream.pause();
            }
            self.take_next().await;
        }
    }

    /// Waits for one completion of the stream, or of the head, and files it.
    async fn take_next(&self) {
        let next = poll_fn(|context| {
            let incoming = &mut *self.0.incoming.borrow_mut();
            match (&mut incoming.head, &mut incoming.stream) {
                (Some(head), _) => Pin::new(head).poll(context).map(Some),
                (None, Some(stream)) => stream.poll_next(context),
                (None, None) => Poll::Ready(None),
            }
        });
        let completion = next.await;
        self.note_active();
        if self.0.incoming.borrow_mut().file(completion) {
            self.0.reactor.sleep(BUFFERS_RETRY).await;
        }
    }

    /// Sends the parts in order; may be short. `more`: further bytes follow at once. At most one send at a time.
    pub fn send(&self, parts: Parts, more: bool) -> impl Future<Output = (io::Result<u32>, Parts)> + use<> {
        let descriptor = Rc::clone(&self.0.descriptor);
        assert!(!descriptor.sending.replace(true), "one send at a time on a socket");
        let op = Op::Send { socket: descriptor.handle, parts, more };
        let operation = self.0.reactor.submit(op, Some(Rc::clone(&descriptor)));
        async move {
            let done = operation.await;
            descriptor.sending.set(false);
            match done.op {
                Some(Op::Send { parts, .. }) => (done.result, parts),
                other => panic!("not the operation that was submitted: {other:?}"),
            }
        }
    }

    /// Sends all of the pieces in order: neighbours in memory in one call, ranges of files by `sendfile`.
    pub async fn send_pieces(&self, pieces: Pieces) -> io::Result<()> {
        let mut parts = Parts::new();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => parts.push(bytes),
                Piece::File(range) => {
                    self.send_parts(std::mem::take(&mut parts), true).await?;
                    self.sendfile_all(&range).await?;
                }
            }
        }
        self.send_parts(parts, false).await
    }

    /// Sends all of the parts.
    pub async fn send_all(&self, parts: Parts) -> io::Result<()> {
        self.send_parts(parts, false).await
    }

    async fn send_parts(&self, mut parts: Parts, more: bool) -> io::Result<()> {
        parts.retain(|part| !part.is_empty());
        while !parts.is_empty() {
            let (result, rest) = self.send(parts, more).await;
            parts = rest;
            self.note_active();
            match result? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                sent => advance(&mut parts, sent as usize),
            }
        }
        Ok(())
    }

    /// Sends a range of a file straight from the page cache. A file that ends before is an error after a part was sent:
    /// close the connection.
    pub async fn sendfile_all(&self, range: &FileRange) -> io::Result<()> {
        let (mut position, file) = (range.position, range.lease.handle());
        let end = position + range.len as u64;
        while position < end {
            assert!(!self.0.descriptor.sending.get(), "one send at a time on a socket");
            let ask = usize::try_from(end - position).map_or(SENDFILE_MAX, |left| left.min(SENDFILE_MAX));
            let sent = self.0.reactor.driver().borrow_mut().sendfile(self.handle(), file, position, ask);
            match sent {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => {
                    position += sent as u64;
                    self.note_active();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let op = Op::PollWritable { socket: self.handle() };
                    self.0.reactor.submit(op, Some(Rc::clone(&self.0.descriptor))).await.result?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends both directions: the peer sees the end, operations in flight complete.
    pub fn shutdown(&self) {
        self.0.reactor.driver().borrow_mut().shutdown(self.handle());
    }

    /// Takes the connection out of this reactor, for another one. Only the sole clone, before anything was received
    /// and with nothing in flight.
    pub fn into_handle(self) -> SocketHandle {
        assert!(Rc::strong_count(&self.0) == 1, "the only clone of the socket");
        assert!(!self.0.incoming.borrow().used, "nothing was received here");
        assert!(Rc::strong_count(&self.0.descriptor) == 1, "nothing is in flight");
        self.0.descriptor.given_away.set(true);
        self.0.reactor.driver().borrow_mut().release_socket(self.handle());
        SocketHandle(self.handle())
    }
}

impl Incoming {
    /// The end of the connection: stays an end; an error is told once and is then a plain end.
    fn end_seen(&mut self) -> Option<io::Result<()>> {
        self.end.as_mut().map(|end| std::mem::replace(end, Ok(())))
    }

    /// Files a completion of the stream; true when the driver has no buffers.
    fn file(&mut self, completion: Option<Completion>) -> bool {
        let Some(completion) = completion else {
            self.stream = None;
            return false;
        };
        if !completion.more {
            (self.stream, self.head) = (None, None);
        }
        match completion.result {
            Ok(0) => self.end = Some(Ok(())),
            Ok(count) => {
                self.rest = match completion.op {
                    Some(Op::Recv { mut buffer, .. }) => {
                        buffer.truncate(count as usize);
                        Bytes::from(buffer)
                    }
                    _ => completion.bytes,
                }
            }
            Err(error) if is_cancelled(&error) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return true,
            Err(error) => self.end = Some(Err(error)),
        }
        false
    }
}

fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}

/// Takes `count` bytes off the front.
fn advance(parts: &mut Parts, mut count: usize) {
    let whole = parts
        .iter()
        .take_while(|part| {
            let fits = part.len() <= count;
            if fits {
                count -= part.len();
            }
            fits
        })
        .count();
    parts.drain(..whole);
    if let Some(first) = parts.first_mut() {
        first.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advance_cuts_whole_parts_and_the_front_of_the_next() {
        let parts = || Parts::from_iter([Bytes::from_static(b"ab"), Bytes::from_static(b"cde")]);
        let after = |count| {
            let mut parts = parts();
            advance(&mut parts, count);
            parts.concat()
        };
        assert_eq!(after(0), b"abcde");
        assert_eq!(after(1), b"bcde");
        assert_eq!(after(2), b"cde");
        assert_eq!(after(4), b"e");
        assert_eq!(after(5), b"");
    }
}
